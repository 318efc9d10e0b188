"""Whole sequences: the step functions of `neurons.step` in a loop over time."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tclif_neuro.neurons.step import LIFParams, LIFState, TCLIFParams, TCLIFState, lif_step, tclif_step


def tclif_scan(current: Tensor, p: TCLIFParams, recurrent: Tensor | None = None) -> Tensor:
    """Spikes [T, B, N] of a TC-LIF layer for the currents [T, B, N], from rest.

    p: a1, a2 [1, n] or [T, n]; recurrent: R [N, N], adds `S[t-1] R^T` to the current.
    """
    return torch.stack([state.spike for state in tclif_states(current, p, recurrent)])


def tclif_states(current: Tensor, p: TCLIFParams, recurrent: Tensor | None = None) -> list[TCLIFState]:
    """The state after every step; arguments as `tclif_scan`."""
    zero = torch.zeros_like(current[0])
    state, out = TCLIFState(zero, zero, zero), []
    for t, row in enumerate(current):
        at = replace(p, a1=p.a1[min(t, len(p.a1) - 1)], a2=p.a2[min(t, len(p.a2) - 1)])
        row = row if recurrent is None else row + state.spike @ recurrent.T
        state = tclif_step(state, row, at)
        out.append(state)
    return out


def lif_scan(current: Tensor, p: LIFParams, recurrent: Tensor | None = None) -> Tensor:
    """Spikes [T, B, N] of a LIF layer for the currents [T, B, N], from rest."""
    return torch.stack([state.spike for state in lif_states(current, p, recurrent)])


def lif_states(current: Tensor, p: LIFParams, recurrent: Tensor | None = None) -> list[LIFState]:
    """The state after every step; arguments as `lif_scan`."""
    zero = torch.zeros_like(current[0])
    state, out = LIFState(zero, zero), []
    for row in current:
        row = row if recurrent is None else row + state.spike @ recurrent.T
        state = lif_step(state, row, p)
        out.append(state)
    return out
