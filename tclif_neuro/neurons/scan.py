"""Whole sequences of a layer: compiled on the CPU, or the step functions of `neurons.step` in a plain loop over time.

`TCLIF_SCAN` chooses: "auto" (default: compiled for float32 on the CPU, plain otherwise), "reference" (always plain),
"compiled" (also for float64). Both give the same spikes and gradients.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tclif_neuro.errors import TclifError
from tclif_neuro.neurons import kernels
from tclif_neuro.neurons.spikes import Events, Spikes, weight_gradient
from tclif_neuro.neurons.step import LIFParams, LIFState, TCLIFParams, TCLIFState, lif_step, tclif_step
from tclif_neuro.threads import in_parts

_RESET = {"delayed": kernels.DELAYED, "immediate": kernels.IMMEDIATE, "zero": kernels.ZERO}
_SURROGATE = {"triangle": kernels.TRIANGLE, "arctan": kernels.ARCTAN, "fast_sigmoid": kernels.FAST_SIGMOID}


def compiled(x: Tensor) -> bool:
    """Whether sequences like `x` run compiled; see `TCLIF_SCAN` above. Raises `TclifError` on another value of it."""
    choice = os.environ.get("TCLIF_SCAN", "auto")
    if choice not in ("auto", "reference", "compiled"):
        raise TclifError(f"TCLIF_SCAN: {choice!r} is none of auto, reference, compiled")
    kinds = {"auto": (torch.float32,), "reference": (), "compiled": (torch.float32, torch.float64)}[choice]
    return x.device.type == "cpu" and x.dtype in kinds and x.numel() > 0


def tclif_scan(current: Tensor, p: TCLIFParams, recurrent: Tensor | None = None) -> Tensor:
    """Spikes [T, B, N] of a TC-LIF layer for the currents [T, B, N], from rest.

    p: a1, a2 [1, n] or [T, n]; recurrent: R [N, N], adds `S[t-1] R^T` to the current.
    """
    if not compiled(current):
        return torch.stack([state.spike for state in tclif_states(current, p, recurrent)])
    return _scan(current, (p.a1, p.a2, p.b1, p.b2), recurrent, p)


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
    """Spikes [T, B, N] of a LIF layer for the currents [T, B, N], from rest.

    Compiled, a LIF is a two-compartment neuron with a passive dendrite: a1 = b1 = gamma = 0, b2 = 1.
    """
    if not compiled(current):
        return torch.stack([state.spike for state in lif_states(current, p, recurrent)])
    zero = torch.zeros_like(p.beta)
    return _scan(current, (zero[None], p.beta[None], zero, torch.ones_like(zero)), recurrent, p)


def lif_states(current: Tensor, p: LIFParams, recurrent: Tensor | None = None) -> list[LIFState]:
    """The state after every step; arguments as `lif_scan`."""
    zero = torch.zeros_like(current[0])
    state, out = LIFState(zero, zero), []
    for row in current:
        row = row if recurrent is None else row + state.spike @ recurrent.T
        state = lif_step(state, row, p)
        out.append(state)
    return out


def _scan(
    current: Tensor, coefficients: tuple[Tensor, ...], recurrent: Tensor | None, p: TCLIFParams | LIFParams
) -> Spikes:
    spikes, *events = _Scan.apply(current, *coefficients, recurrent, p)
    return Spikes.mark(spikes, Events(events[0], events[1], current.shape[2]) if events else None)


def _neurons(coefficients: tuple[Tensor, ...], recurrent: Tensor, p: TCLIFParams | LIFParams) -> kernels.Neurons:
    """The layer as the kernels want it: coefficients [..., n] widened to [..., N], scalars of the same type."""
    size, kind = recurrent.shape[1], recurrent.numpy().dtype.type
    a1, a2, b1, b2 = (c.detach().expand(*c.shape[:-1], size).contiguous().numpy() for c in coefficients)
    slope = p.surrogate.k * (math.pi if p.surrogate.name == "arctan" else 1.0)
    return kernels.Neurons(
        a1=a1,
        a2=a2,
        b1=b1,
        b2=b2,
        recurrent=recurrent.numpy(),
        gamma=kind(p.gamma if isinstance(p, TCLIFParams) else 0.0),
        vth=kind(p.vth),
        k=kind(slope),
        one=kind(1.0),
        tiny=kind(kernels.TINY),
        reset=_RESET[p.reset],
        surrogate=_SURROGATE[p.surrogate.name],
        keep=not p.detach_reset,
    )


class _Scan(torch.autograd.Function):
    """`kernels.forward` and `kernels.backward` as one differentiable call."""

    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        a1: Tensor,
        a2: Tensor,
        b1: Tensor,
        b2: Tensor,
        recurrent: Tensor | None,
        p: TCLIFParams | LIFParams,
    ) -> tuple[Tensor, ...]:
        current = current.detach().contiguous()
        steps, batch, size = current.shape
        spikes = torch.empty_like(current)
        kept = current.new_empty(-(-steps // kernels.SEGMENT), 2, batch, size)
        weight = current.new_empty(0, size) if recurrent is None else recurrent.detach().T.contiguous()
        total = current.new_empty(0, batch, size) if recurrent is None else torch.empty_like(current)
        neurons = _neurons((a1, a2, b1, b2), weight, p)
        arrays = (x.numpy() for x in (current, spikes, kept, total))
        in_parts(kernels.forward, kernels.tasks(batch, size), neurons, *arrays)
        events: tuple[Tensor, ...] = ()
        if recurrent is not None:
            found = Events.of(spikes)
            events = (found.index, found.start)
            ctx.mark_non_differentiable(*events)
        ctx.save_for_backward(current if recurrent is None else total, a1, a2, b1, b2, weight, kept, *events)
        ctx.p = p
        return (spikes, *events)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        current, a1, a2, b1, b2, weight, kept, *events = ctx.saved_tensors
        steps, batch, size = current.shape
        parts = kernels.tasks(batch, size)
        wants_a, wants_b = any(ctx.needs_input_grad[1:3]), any(ctx.needs_input_grad[3:5])
        out = torch.empty_like(current)
        a_grad = torch.zeros(2, parts if wants_a else 0, max(len(a1), len(a2)), size, dtype=torch.float64)
        b_grad = torch.zeros(2, parts if wants_b else 0, size, dtype=torch.float64)
        neurons = _neurons((a1, a2, b1, b2), weight, ctx.p)
        arrays = (x.numpy() for x in (current, kept, grads[0].contiguous(), out, a_grad, b_grad))
        in_parts(kernels.backward, parts, neurons, *arrays)
        by_a = [_narrow(g, c) if wants_a else None for g, c in zip(a_grad.sum(1), (a1, a2), strict=True)]
        by_b = [_narrow(g, c) if wants_b else None for g, c in zip(b_grad.sum(1), (b1, b2), strict=True)]
        by_recurrent = None
        if ctx.needs_input_grad[5]:
            before = Events(events[0], events[1][: (steps - 1) * batch + 1], size)  # the spikes of steps 0 ... T-2
            by_recurrent = weight_gradient(before, out[1:].flatten(0, 1))
        return out, *by_a, *by_b, by_recurrent, None


def _narrow(grad: Tensor, like: Tensor) -> Tensor:
    """The gradient [K, N] of a coefficient that was broadcast from `like`, in its shape and type."""
    return grad.sum_to_size(like.shape).to(like.dtype)
