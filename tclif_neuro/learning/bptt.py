"""Backpropagation through time: the gradient of a batch's loss through every step of every sample."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tclif_neuro.errors import TclifError
from tclif_neuro.learning.recipe import TrainingSection
from tclif_neuro.neurons.modules import Readout


class TrainingError(TclifError):
    """Training that cannot go on; the message says where and what to change."""


class BatchResult(NamedTuple):
    """What a batch gave before its update: the mean loss, and how many samples were classified rightly."""

    loss: float
    correct: int


# One batch of training by some rule: model, optimiser, x [T, B, M], y [B], the recipe's section -> BatchResult.
RuleStep = Callable[[nn.Sequential, torch.optim.Optimizer, Tensor, Tensor, TrainingSection], BatchResult]


def bptt_step(
    model: nn.Sequential, optimiser: torch.optim.Optimizer, x: Tensor, y: Tensor, training: TrainingSection
) -> BatchResult:
    """One update by the cross-entropy of the readout's potential at the end of the sample.

    x: [T, B, M], y: [B]. Raises `TrainingError`, with the weights as they were, if the loss or its gradient is not
    finite.
    """
    logits = model(x)
    scale = logit_scale(model, len(x)) if training.logits == "mean" else 1.0
    loss = nn.functional.cross_entropy(scale * logits, y, label_smoothing=training.label_smoothing)
    optimiser.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), training.grad_clip or math.inf)
    if not (math.isfinite(loss.item()) and math.isfinite(norm.item())):
        raise TrainingError(f"the loss is {loss.item():g} and its gradient has the norm {norm.item():g}")
    optimiser.step()
    return BatchResult(loss.item(), int((logits.argmax(1) == y).sum()))


def logit_scale(model: nn.Sequential, steps: int) -> float:
    """What makes the readout's potential a mean over time: one over the sum of the steps' weights, decay^(T-1-t)."""
    readout = model[-1]
    if not isinstance(readout, Readout):
        raise TrainingError(f"the model ends with a {type(readout).__name__}; a Readout is needed")
    return 1.0 / sum(readout.decay**age for age in range(steps))
