"""Whole sequences of a layer: compiled, or the step functions of `neurons.step` in a plain loop over time.

`TCLIF_SCAN` chooses: "auto" (default: compiled for float32 on the CPU, plain otherwise), "reference" (always plain),
"compiled" (also for float64), "triton" (as "auto", but float32 on an NVIDIA card by Triton, which has not yet run on
one). All give the same spikes and gradients.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from tclif_neuro.errors import TclifError
from tclif_neuro.lanes import LANES
from tclif_neuro.memory import empty
from tclif_neuro.neurons import gpu, kernels, lane_kernels
from tclif_neuro.neurons.entries import check_layer, check_state, expect
from tclif_neuro.neurons.spikes import Current, Events, Made, Spikes, add_rows, event_linear, weight_gradient
from tclif_neuro.neurons.step import LIFParams, LIFReset, LIFState, TCLIFParams, TCLIFState, lif_step, tclif_step
from tclif_neuro.neurons.surrogate import Surrogate
from tclif_neuro.threads import in_parts

_RESET = {"delayed": kernels.DELAYED, "immediate": kernels.IMMEDIATE, "zero": kernels.ZERO}
_SURROGATE = {"triangle": kernels.TRIANGLE, "arctan": kernels.ARCTAN, "fast_sigmoid": kernels.FAST_SIGMOID}

_S = TypeVar("_S", TCLIFState, LIFState)

KEEP = 2**26  # bytes of a current up to which it is kept for backward: making it again takes a tenth of the step


def engine(x: Tensor, recurrent: Tensor | None = None) -> Literal["plain", "compiled", "triton"]:
    """Return what runs currents like `x` through a layer with R, or None; see `TCLIF_SCAN` above.

    Raises `TclifError` on another value of it, and where Triton is asked for by name and cannot run.
    """
    choice = os.environ.get("TCLIF_SCAN", "auto")
    if choice not in ("auto", "reference", "compiled", "triton"):
        raise TclifError(f"TCLIF_SCAN: {choice!r} is none of auto, reference, compiled, triton")
    if choice == "triton" and gpu.runs(x, recurrent):
        return "triton"
    single = (torch.float32,)
    kinds = {"auto": single, "triton": single, "reference": (), "compiled": (*single, torch.float64)}[choice]
    return "compiled" if x.device.type == "cpu" and x.dtype in kinds and x.numel() > 0 else "plain"


def compiled(x: Tensor) -> bool:
    """Return whether the CPU's compiled passes run sequences like `x`."""
    return engine(x) == "compiled"


def tclif_scan(
    current: Tensor, p: TCLIFParams, recurrent: Tensor | None = None, state: TCLIFState | None = None
) -> tuple[Tensor, TCLIFState]:
    """Spikes [T, B, N] of a TC-LIF layer for the currents [T, B, N], and the state after the last step.

    p: a1, a2 [1, n] or [T, n]; recurrent: R [N, N], adds `S[t-1] R^T` to the current. state: what a scan of the steps
    before left (from rest without).
    """
    if engine(current, recurrent) == "plain":
        states = tclif_states(current, p, recurrent, state)
        return _stacked(states, current), states[-1] if states else state or _rest(TCLIFState, current)
    state = state or _rest(TCLIFState, current)
    check_state("TCLIF", state, TCLIFState, _row(current))
    spikes, end = _scan(current, (p.a1, p.a2, p.b1, p.b2), recurrent, state, p)
    return spikes, TCLIFState(*end)


def tclif_states(
    current: Tensor, p: TCLIFParams, recurrent: Tensor | None = None, state: TCLIFState | None = None
) -> list[TCLIFState]:
    """The state after every step; arguments as `tclif_scan`."""
    check_layer("TCLIF", current, (p.a1, p.a2, p.b1, p.b2), recurrent)
    out, state = [], state or _rest(TCLIFState, current)
    check_state("TCLIF", state, TCLIFState, _row(current))
    for t, row in enumerate(current):
        at = replace(p, a1=p.a1[min(t, len(p.a1) - 1)], a2=p.a2[min(t, len(p.a2) - 1)])
        row = row if recurrent is None else row + state.spike @ recurrent.T
        state = tclif_step(state, row, at)
        out.append(state)
    return out


def lif_scan(
    current: Tensor, p: LIFParams, recurrent: Tensor | None = None, state: LIFState | None = None
) -> tuple[Tensor, LIFState]:
    """Spikes [T, B, N] of a LIF layer for the currents [T, B, N], and the state after; arguments as `tclif_scan`.

    Compiled, a LIF is a two-compartment neuron with a passive dendrite: a1 = b1 = gamma = 0, b2 = 1.
    """
    if engine(current, recurrent) == "plain":
        states = lif_states(current, p, recurrent, state)
        return _stacked(states, current), states[-1] if states else state or _rest(LIFState, current)
    state = state or _rest(LIFState, current)
    check_state("LIF", state, LIFState, _row(current))
    spikes, (_, *end) = _scan(current, passive(p.beta), recurrent, (torch.zeros_like(state.spike), *state), p)
    return spikes, LIFState(*end)


def lif_states(
    current: Tensor, p: LIFParams, recurrent: Tensor | None = None, state: LIFState | None = None
) -> list[LIFState]:
    """The state after every step; arguments as `tclif_scan`."""
    check_layer("LIF", current, passive(p.beta), recurrent)
    out, state = [], state or _rest(LIFState, current)
    check_state("LIF", state, LIFState, _row(current))
    for row in current:
        row = row if recurrent is None else row + state.spike @ recurrent.T
        state = lif_step(state, row, p)
        out.append(state)
    return out


def passive(beta: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """a1, a2, b1, b2 of a LIF [1 or N]: a dendrite that hands its current on."""
    zero = torch.zeros_like(beta)
    return zero[None], beta[None], zero, torch.ones_like(beta)


def _rest(kind: type[_S], current: Tensor) -> _S:
    """The state of a layer at rest under currents [T, B, N]: zeros [B, N]."""
    zero = current.new_zeros(current.shape[1:])
    return kind(*(zero for _ in kind._fields))


def _row(current: Tensor) -> Tensor:
    """A tensor like the current of one step, of which nothing is read; there may be no step."""
    return current.new_empty(1, 1).expand(current.shape[1:])


def _stacked(states: Sequence[TCLIFState] | Sequence[LIFState], current: Tensor) -> Tensor:
    """Their spikes [T, B, N]; without a step none."""
    return torch.stack([after.spike for after in states]) if states else torch.empty_like(current)


def _scan(
    current: Tensor,
    coefficients: tuple[Tensor, Tensor, Tensor, Tensor],
    recurrent: Tensor | None,
    state: tuple[Tensor, ...],
    p: TCLIFParams | LIFParams,
) -> tuple[Spikes, tuple[Tensor, ...]]:
    """The compiled pass, behind its door: everything has the size and the type that the kernels take for granted."""
    check_layer(type(p).__name__, current, coefficients, recurrent)
    for x in (*coefficients, *state, *(() if recurrent is None else (recurrent,))):
        expect(f"{type(p).__name__}: a coefficient, weight or state", x, x.shape, current)
    start = torch.stack(state)
    rows = max(len(a) for a in coefficients[:2])  # the kernels read a1 and a2 by one index
    a1, a2 = (a if len(a) == rows else _held(a, rows) for a in coefficients[:2])
    coefficients = (a1, a2, *coefficients[2:])
    if engine(current, recurrent) == "triton":
        of_bits, plain = Current.bits_recipe(current), current.as_subclass(Tensor)
        spikes, end, bits = gpu.Scan.apply(p, of_bits, plain, start, recurrent, *coefficients)
        return Spikes.mark(spikes, bits=bits), end.unbind()
    made = Current.recipe(current) if current.numel() * current.element_size() > KEEP else None
    spikes, end, *events = _Scan.apply(p, made, current.as_subclass(Tensor), start, recurrent, *coefficients)
    return Spikes.mark(spikes, Events(events[0], events[1], current.shape[2]) if events else None), end.unbind()


def _held(a: Tensor, rows: int) -> Tensor:
    """Decays [K, n] as [rows, n], the last row holding past the end."""
    return torch.cat([a, a[-1:].expand(rows - len(a), -1)])


def for_kernels(
    coefficients: tuple[Tensor, ...],
    recurrent: Tensor,
    *,
    gamma: float,
    vth: float,
    reset: LIFReset,
    surrogate: Surrogate,
    keep: bool,
) -> kernels.Neurons:
    """The layer as the kernels want it: coefficients [..., n] widened to [..., N], scalars of the same type.

    coefficients: a1, a2, with as many rows, b1 and b2. recurrent: R^T [N, N], or [0, N] without. keep: whether the
    gradient passes through the reset.
    """
    size, kind = recurrent.shape[1], recurrent.numpy().dtype.type
    a1, a2, b1, b2 = (c.detach().expand(*c.shape[:-1], size).contiguous().numpy() for c in coefficients)
    return kernels.Neurons(
        a1=a1,
        a2=a2,
        b1=b1,
        b2=b2,
        recurrent=recurrent.numpy(),
        gamma=kind(gamma),
        vth=kind(vth),
        k=kind(surrogate.k * (math.pi if surrogate.name == "arctan" else 1.0)),
        one=kind(1.0),
        reset=_RESET[reset],
        surrogate=_SURROGATE[surrogate.name],
        keep=keep,
    )


def _neurons(coefficients: tuple[Tensor, ...], recurrent: Tensor, p: TCLIFParams | LIFParams) -> kernels.Neurons:
    shared: dict[str, Any] = {"vth": p.vth, "reset": p.reset, "surrogate": p.surrogate, "keep": p.reset_grad == "keep"}
    return for_kernels(coefficients, recurrent, gamma=getattr(p, "gamma", 0.0), **shared)


def passes(weight: Tensor) -> ModuleType:
    """Who has `forward` and `backward`, of the same bits, for a layer with the recurrent weights [N, N], or [0, N]."""
    alone = len(weight) == 0 and weight.shape[1] % LANES == 0
    return lane_kernels if alone else kernels


class _Scan(torch.autograd.Function):
    """`kernels.forward` and `kernels.backward` as one differentiable call: (spikes, state after, events)."""

    @staticmethod
    def forward(
        ctx: Any,
        p: TCLIFParams | LIFParams,
        made: Made | None,
        current: Tensor,
        state: Tensor,
        recurrent: Tensor | None,
        *coefficients: Tensor,
    ) -> tuple[Tensor, ...]:
        current = current.detach().contiguous()
        steps, batch, size = current.shape
        spikes = empty(steps, batch, size, like=current)
        end = state.detach().clone()
        kept = empty(-(-steps // kernels.SEGMENT), 2, batch, size, like=current)
        weight = current.new_empty(0, size) if recurrent is None else recurrent.detach().T.contiguous()
        total = empty(steps, batch, size, like=current) if recurrent is not None else current
        arrays = (x.numpy() for x in (current, end, spikes, kept, total))
        in_parts(passes(weight).forward, kernels.tasks(batch, size), _neurons(coefficients, weight, p), *arrays)
        events: tuple[Tensor, ...] = ()
        if recurrent is not None:
            found = Events.of(spikes)
            events = (found.index, found.start)
            ctx.mark_non_differentiable(*events)
        source = (total,) if made is None else (made[0].index, made[0].start, made[1].detach(), made[2])
        ctx.save_for_backward(state, kept, weight, *coefficients, *source, *events)
        ctx.p, ctx.remake, ctx.sources = p, made is not None, len(source)
        ctx.set_materialize_grads(False)
        return (spikes, end, *events)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        state, kept, weight, a1, a2, b1, b2, *rest = ctx.saved_tensors
        source, events = rest[: ctx.sources], rest[ctx.sources :]
        wants_current, wants_state, wants_recurrent, *wants = ctx.needs_input_grad[2:]
        batch, size = state.shape[1:]
        parts = kernels.tasks(batch, size)
        wants_a, wants_b = any(wants[:2]), any(wants[2:])
        spikes = Events(events[0], events[1], size) if events else None
        current = _again(source, weight, state[2], spikes).view(-1, batch, size) if ctx.remake else source[0]
        out = current if ctx.remake else empty(*current.shape, like=current)  # what was made here is ours to write over
        grad = torch.zeros_like(current) if grads[0] is None else grads[0].contiguous()
        to_state = torch.zeros_like(state) if grads[1] is None else torch.empty_like(state).copy_(grads[1])
        a_grad = torch.zeros(2, parts if wants_a else 0, max(len(a1), len(a2)), size, dtype=torch.float64)
        b_grad = torch.zeros(2, parts if wants_b else 0, size, dtype=torch.float64)
        arrays = (x.numpy() for x in (current, kept, state[2], grad, to_state, out, a_grad, b_grad))
        in_parts(passes(weight).backward, parts, _neurons((a1, a2, b1, b2), weight, ctx.p), *arrays)
        by_a = [_narrow(g, c) if wants_a else None for g, c in zip(a_grad.sum(1), (a1, a2), strict=True)]
        by_b = [_narrow(g, c) if wants_b else None for g, c in zip(b_grad.sum(1), (b1, b2), strict=True)]
        by_recurrent = _recurrent_gradient(state[2], spikes, out) if spikes and wants_recurrent else None
        by_sequence = (out if wants_current else None, to_state if wants_state else None, by_recurrent)
        return None, None, *by_sequence, *by_a, *by_b


def _again(source: Sequence[Any], weight: Tensor, before: Tensor, spikes: Events | None) -> Tensor:
    """The total current [T B, N] from what made it: the `Linear`'s events, start, weight and bias, and in a recurrent
    layer R^T and its own spikes (`before`: S[-1])."""
    index, start, rows, bias = source
    total = event_linear(Events(index, start, rows.shape[1]), rows, bias, (len(start) - 1, len(rows)))
    if spikes is not None:
        add_rows(Events.of(before), weight.T, total[: len(before)])
        add_rows(_all_but_last(spikes, len(before)), weight.T, total[len(before) :])
    return total


def _all_but_last(spikes: Events, batch: int) -> Events:
    """The spikes of steps 0 ... T-2."""
    return Events(spikes.index, spikes.start[: len(spikes.start) - batch], spikes.columns)


def _recurrent_gradient(before: Tensor, spikes: Events, to_current: Tensor) -> Tensor:
    """sum_t dE/dI[t]^T S[t-1], the gradient of R: `before` [B, N] is S[-1], the spikes are those of all steps."""
    earlier = _all_but_last(spikes, len(before))
    return weight_gradient(earlier, to_current[1:].flatten(0, 1)) + to_current[0].T @ before


def _narrow(grad: Tensor, like: Tensor) -> Tensor:
    """The gradient [K, N] of a coefficient that was broadcast from `like`, in its shape and type."""
    return grad.sum_to_size(like.shape).to(like.dtype)
