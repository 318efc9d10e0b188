"""Samples of different lengths in one batch: what comes after a sample's own steps is padding, and changes nothing.

lengths: [B], how many steps of each sample are its own, from 1 to T; on any device.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from tclif_neuro.errors import TclifError


def own_steps(lengths: Tensor, steps: int, batch: int) -> Tensor:
    """[T, B]: whether a step is the sample's own. Raises `TclifError` for invalid lengths."""
    if lengths.is_floating_point() or lengths.shape != (batch,):
        raise TclifError(f"lengths: integers [{batch}] expected, got {lengths.dtype} {list(lengths.shape)}")
    if batch and not (lengths.min() >= 1 and lengths.max() <= steps):
        raise TclifError(
            f"lengths: {int(lengths.min())} to {int(lengths.max())}; they must be in [1, {steps}], the steps"
        )
    return torch.arange(steps, device=lengths.device)[:, None] < lengths


def within(x: Tensor, lengths: Tensor) -> Tensor:
    """`x` [T, B, N], and 0 where a step is not the sample's own, whatever stood there."""
    own = own_steps(lengths.to(x.device), *x.shape[:2])
    return torch.where(own[..., None], x, torch.zeros((), dtype=x.dtype, device=x.device))


def held(states: Tensor, lengths: Tensor) -> Tensor:
    """`states` [T, B, N] after each step; after a sample's own ones as after the last of them."""
    steps, batch, _ = states.shape
    lengths = lengths.to(states.device)
    own_steps(lengths, steps, batch)
    step = torch.minimum(torch.arange(steps, device=lengths.device)[:, None], lengths - 1)
    return states.gather(0, step[..., None].expand_as(states))


class Scanned(Protocol):
    """A module with a state: a layer of neurons, or a readout."""

    def scan(self, x: Tensor, state: Any = None, t: int = 0) -> tuple[Tensor, Any]:
        """T steps of a stream."""


def scan_within(module: Scanned, x: Tensor, lengths: Tensor, state: Any = None, t: int = 0) -> tuple[Tensor, Any]:
    """`module.scan` of samples of different lengths: each one's state is that after its own last step.

    Spikes after it are 0. The steps are taken from one sample's end to the next one's: each costs a call.
    """
    own, parts, start = own_steps(lengths.to(x.device), *x.shape[:2]), [], 0
    kept: Any = None
    x = within(x, lengths)
    for end in sorted({int(n) for n in lengths.cpu()}):
        out, state = module.scan(x[start:end], state, t + start)
        parts.append(out)
        over = own[start][:, None]  # of those that were over before, the state stays
        kept = state if kept is None else _choose(over, state, kept)
        start = end
    if out.ndim == 2:  # a readout's potential after all steps is its state
        return kept, kept
    return within(torch.cat([*parts, out.new_zeros(len(x) - start, *out.shape[1:])]), lengths), kept


def _choose(condition: Tensor, new: Any, old: Any) -> Any:
    """State by state, where `condition` [B, 1]."""
    if isinstance(new, Tensor):
        return torch.where(condition, new, old)
    return type(new)(*(torch.where(condition, a, b) for a, b in zip(new, old, strict=True)))
