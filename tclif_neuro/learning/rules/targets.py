"""Targets in a batch, time first, and what a model is right about.

Classes [B], or [T, B], `UNLABELLED` where a step has none; real values [B, K], or [T, B, K], NaN where there is none.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tclif_neuro.data.task import UNLABELLED
from tclif_neuro.neurons.within import own_steps


def per_step(y: Tensor) -> bool:
    """Return whether the targets are of every step."""
    return y.ndim == (3 if y.is_floating_point() else 2)


def has_target(y: Tensor) -> Tensor:
    """Return a mask of the samples, or steps of samples, that have a target: [B] or [T, B]."""
    return ~y.isnan().all(-1) if y.is_floating_point() else y != UNLABELLED


def lengths_of(y: Tensor) -> Tensor:
    """[B]: the steps of each sample up to its last target; what comes later changes no answer. At least 1."""
    steps = torch.arange(1, len(y) + 1, device=y.device)[:, None]
    return (steps * has_target(y)).amax(0).clamp(min=1)


def at_end(y: Tensor) -> Tensor:
    """[B] or [B, K]: each sample's last target."""
    return y[lengths_of(y) - 1, torch.arange(y.shape[1], device=y.device)]


def spread(y: Tensor) -> Tensor:
    """The targets with each sample's last one at all of its steps: for rules that learn from every step."""
    own = own_steps(lengths_of(y), *y.shape[:2])
    last = at_end(y).expand_as(y)
    return torch.where(own[..., None], last, torch.nan) if y.is_floating_point() else torch.where(own, last, UNLABELLED)


def scored(answers: Tensor, y: Tensor) -> tuple[float, int]:
    """Of classes, how many answers [..., K] are right; of values, the sum of their squared errors; and of how many."""
    if not y.is_floating_point():
        return float((answers.argmax(-1) == y).sum()), int((y != UNLABELLED).sum())
    known = ~y.isnan()
    errors = (answers.detach() - y)[known].cpu()  # not every device has float64
    return float(errors.double().square().sum()), int(known.sum())
