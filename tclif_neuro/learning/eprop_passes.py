"""The passes of e-prop over a chunk of K steps: compiled where scans are (see `neurons.scan`), else in plain torch.

Shapes: K steps, B samples, N neurons, I inputs of a synapse row (x, the layer's own last spikes, and a constant 1).
What a pass carries to the next chunk (states, traces) it changes in place.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tclif_neuro.learning import eprop_kernels
from tclif_neuro.learning.eprop_equations import Coefficients, Spiked, Trace, at, neuron_step, trace_step
from tclif_neuro.neurons import kernels
from tclif_neuro.neurons.scan import _RESET, _SURROGATE, compiled
from tclif_neuro.neurons.step import TCLIFState
from tclif_neuro.threads import in_parts

GROUP = 4096  # traces that a task advances at once


class Chunk(NamedTuple):
    """What a layer did in K steps: spiked, each [K, B, N]; and, empty unless asked for, what its coefficients multiply:
    `before`, UD and US before each step [2, K, B, N], and UD before a reset of the same step [K, B, N]."""

    spiked: Spiked
    before: Tensor
    dendrite: Tensor


class Moved(NamedTuple):
    """`transition`'s couple and decay, [K, B, N]."""

    couple: Tensor
    decay: Tensor


def advance(current: Tensor, state: Tensor, c: Coefficients, recurrent: Tensor | None, wants_states: bool) -> Chunk:
    """K steps of a layer from `state` [3, B, N] (UD, US, S), which becomes that after them.

    current: [K, B, N]; recurrent: R [N, N] or None.
    """
    steps, batch, size = current.shape
    chunk = Chunk(
        Spiked(*(torch.empty_like(current) for _ in range(3))),
        current.new_empty(2, steps if wants_states else 0, batch, size),
        current.new_empty(steps if wants_states else 0, batch, size),
    )
    if compiled(current):
        weight = current.new_empty(0, size) if recurrent is None else recurrent.T.contiguous()
        psi, spike, soma = chunk.spiked
        arrays = _arrays(current.contiguous(), state, spike, psi, soma, chunk.before, chunk.dendrite)
        in_parts(eprop_kernels.advance, kernels.tasks(batch, size), _neurons(c, size, current, weight), *arrays)
        return chunk
    for t, row in enumerate(current):
        if wants_states:
            chunk.before[:, t] = state[:2]
        row = row if recurrent is None else row + state[2] @ recurrent.T
        reached, after = neuron_step(TCLIFState(*state), row, t, c)
        chunk.spiked.psi[t] = c.surrogate.psi(reached.soma - c.vth)
        chunk.spiked.spike[t], chunk.spiked.soma[t] = reached.spike, reached.soma
        if wants_states:
            chunk.dendrite[t] = reached.dendrite
        state.copy_(torch.stack(after))
    return chunk


def input_traces(direct: Tensor, trace: Tensor, c: Coefficients) -> Tensor:
    """e [K, B, I] of a layer that has one trace an input. direct: D [K, B, I], overwritten; trace: [2, B, I]."""
    _, batch, inputs = direct.shape
    if compiled(direct):
        group = max(1, GROUP // inputs)
        neurons = _neurons(c, 1, direct, direct.new_empty(0, 1))
        in_parts(eprop_kernels.input_traces, -(-batch // group), group, neurons, *_arrays(direct, trace))
        return direct
    for t, row in enumerate(direct):
        moved = c.b1, at(c.a2, t)
        row.copy_(_store(trace, trace_step(Trace(*trace), at(c.a1, t), c.b2, moved, (row, 0.0))))
    return direct


def synapse_gradient(
    direct: Tensor, factor: Tensor, trace: Tensor, grad: Tensor, c: Coefficients, moved: Moved
) -> None:
    """grad [N, I] += the sum of factor e over the chunk, for a layer that has one trace a synapse.

    direct: D [K, B, I]; factor: L psi [K, B, N]; trace: [2, B, N, I].
    """
    size, inputs = grad.shape
    if compiled(direct):
        group = max(1, GROUP // inputs)
        neurons = _neurons(c, size, direct, direct.new_empty(0, size))
        arrays = _arrays(*_whole(moved, factor), direct, factor.contiguous(), trace, grad)
        in_parts(eprop_kernels.synapse_gradient, -(-size // group), group, neurons, *arrays)
        return
    for t, row in enumerate(direct):
        at_t = at(moved.couple, t)[..., None], at(moved.decay, t)[..., None]
        step = trace_step(Trace(*trace), at(c.a1, t)[:, None], c.b2[:, None], at_t, (row[:, None], 0.0))
        grad += torch.einsum("bn,bni->ni", factor[t], _store(trace, step))


def coefficient_gradient(
    chunk: Chunk, slopes: tuple[Tensor, ...], factor: Tensor, trace: Tensor, c: Coefficients, moved: Moved
) -> Tensor:
    """The gradient [N], float64, of one of the layer's own parameters.

    slopes: see `coefficient_slopes`; factor: L psi [K, B, N]; trace: [2, B, N].
    """
    _, batch, size = factor.shape
    if compiled(factor):
        parts = kernels.tasks(batch, size)
        grad = torch.zeros(parts, size, dtype=torch.float64)
        wide = tuple(s.expand(*s.shape[:-1], size).contiguous().numpy() for s in _same_length(slopes))
        neurons = _neurons(c, size, factor, factor.new_empty(0, size))
        arrays = _arrays(*_whole(moved, factor), factor.contiguous(), chunk.before, chunk.dendrite, trace, grad)
        in_parts(eprop_kernels.coefficient_gradient, parts, neurons, wide, *arrays)
        return grad.sum(0)
    grad = factor.new_zeros(size, dtype=torch.float64)
    by_a1, by_a2, by_b1, by_b2 = slopes
    for t, row in enumerate(factor):
        (dendrite, soma), now = chunk.before[:, t], chunk.dendrite[t]
        direct = at(by_a1, t) * dendrite + by_b1 * soma, at(by_a2, t) * soma + by_b2 * now
        at_t = at(moved.couple, t), at(moved.decay, t)
        grad += (row * _store(trace, trace_step(Trace(*trace), at(c.a1, t), c.b2, at_t, direct))).sum(0)
    return grad


def _store(trace: Tensor, step: Trace) -> Tensor:
    """Put `step` where `trace` [2, ...] is kept; returns its e."""
    trace.copy_(torch.stack(step))
    return step.soma


def _same_length(slopes: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """da1 and da2 with as many rows, as the kernel reads them."""
    rows = max(len(slopes[0]), len(slopes[1]))
    return tuple(s.expand(rows, -1) for s in slopes[:2]) + slopes[2:]


def _whole(moved: Moved, like: Tensor) -> tuple[Tensor, ...]:
    return tuple(m.expand_as(like).contiguous() for m in moved)


def _arrays(*tensors: Tensor) -> list[Any]:
    return [x.numpy() for x in tensors]


def _neurons(c: Coefficients, size: int, like: Tensor, recurrent: Tensor) -> kernels.Neurons:
    """The layer as the kernels want it: coefficients [..., n] widened to [..., size], scalars of the same type."""
    kind = like.numpy().dtype.type
    a1, a2, b1, b2 = (
        x.detach().expand(*x.shape[:-1], size).contiguous().numpy() for x in (*_same_length((c.a1, c.a2)), c.b1, c.b2)
    )
    return kernels.Neurons(
        a1=a1,
        a2=a2,
        b1=b1,
        b2=b2,
        recurrent=recurrent.numpy(),
        gamma=kind(c.gamma),
        vth=kind(c.vth),
        k=kind(c.surrogate.k * (math.pi if c.surrogate.name == "arctan" else 1.0)),
        one=kind(1.0),
        tiny=kind(kernels.TINY),
        reset=_RESET[c.reset],
        surrogate=_SURROGATE[c.surrogate.name],
        keep=c.keep,
    )
