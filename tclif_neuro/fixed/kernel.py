"""The compiled loops of the fast simulator: a chunk of steps of one layer, then of the next; sample by sample.

Synapses are event-driven: only the rows of inputs that spiked are read, in the narrowest type that holds them, and
summed in the narrowest type that holds every partial sum. The neurons are `fixed.step`, compiled by `fixed.exact`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from tclif_neuro.fixed import exact, intrinsics, program, step
from tclif_neuro.fixed.intrinsics import LANES, TO_NEAREST, TOWARDS_ZERO, lowest, nonzeros, set_rounding
from tclif_neuro.fixed.program import (
    ABSENT,
    DELAYED,
    GAMMA,
    GRADED,
    IMMEDIATE,
    INPUT,
    RECURRENT,
    SCALE,
    SPARSE,
    UNIT,
    VTH,
)

CHUNK = 64  # steps that a layer runs before the next one does

Array = npt.NDArray[Any]


class State(NamedTuple):
    """The neurons of a batch, and what was counted since the last reset.

    first, second, fired: [B, W], dendrite and soma (or current and potential) and the last spikes. counts: [B, W],
    spikes. saturations: [B, L].
    """

    first: Array
    second: Array
    fired: Array
    counts: Array
    saturations: Array


class Workspace(NamedTuple):
    """Room for the chunk at hand, for each of P parts of the batch.

    events: [P, 2, CHUNK x widest], what fired: a layer's input and the layer, by turns. The events of step c are those
    from limits[c] to limits[c + 1]. limits: [P, 2, CHUNK + 1]. last: [P, widest] and last_limits: [P, 2], the same of
    the step before. act: [P, CHUNK x widest], synaptic input. sum16, sum32: [P, widest].
    """

    events: Array
    limits: Array
    last: Array
    last_limits: Array
    act: Array
    sum16: Array
    sum32: Array


@njit
def _add_rows(weight, events, total):
    """total[n] = the sum of the event rows' weights; four rows a pass, so that the sums are loaded and stored less."""
    size, n_events = total.shape[0], events.shape[0]
    total[:] = 0
    i = 0
    while i + 4 <= n_events:
        a, b, c, d = weight[events[i]], weight[events[i + 1]], weight[events[i + 2]], weight[events[i + 3]]
        for n in range(size):
            total[n] += a[n] + b[n] + c[n] + d[n]
        i += 4
    while i < n_events:
        a = weight[events[i]]
        for n in range(size):
            total[n] += a[n]
        i += 1


@njit
def _add_sparse(weight, columns, ends, events, total):
    """As `_add_rows`, of a sparse matrix."""
    total[:] = 0
    for m in events:
        for i in range(ends[m], ends[m + 1]):
            total[columns[i]] += weight[i]


@njit
def _add_graded(weight, values, total):
    """total[n] = sum over m of weight[m, n] values[m], skipping the silent inputs."""
    total[:] = 0
    for m in range(values.shape[0]):
        value = np.int32(values[m])
        if value != 0:
            row = weight[m]
            for n in range(total.shape[0]):
                total[n] += row[n] * value


@njit(forceinline=True)
def _deliver(total, scale, unit, act):
    """act += floor(total scale) unit: the exponent's shift, rounding down, and the one that aligns it with the state.

    All in the type of `act`, hence the detour: what numba makes of an integer and a float32 is a float64.
    """
    for n in range(act.shape[0]):
        sofar = act[n]
        act[n] = total[n]
        act[n] = sofar + np.floor(act[n] * scale) * unit


@njit(inline="always")
def _rows(matrix, weight, width):
    """A dense matrix, [inputs, width]."""
    return weight[matrix.weights : matrix.weights + matrix.inputs * width].reshape((matrix.inputs, width))


@njit
def _spread(matrix, weight, columns, ends, events, limits, scale, unit, total, act):
    """Add to act[c] what the matrix delivers for the events from limits[c] to limits[c + 1], for every step c."""
    if matrix.kind == SPARSE:
        weight, columns, ends = weight[matrix.weights :], columns[matrix.columns :], ends[matrix.ends :]
        for c in range(act.shape[0]):
            _add_sparse(weight, columns, ends, events[limits[c] : limits[c + 1]], total)
            _deliver(total, scale, unit, act[c])
    else:
        rows = _rows(matrix, weight, act.shape[1])
        for c in range(act.shape[0]):
            _add_rows(rows, events[limits[c] : limits[c + 1]], total)
            _deliver(total, scale, unit, act[c])


@njit
def _spread_graded(matrix, weight, values, scale, unit, total, act):
    """Add to act[c] what the matrix delivers for the graded inputs values[c], for every step c."""
    rows = _rows(matrix, weight, act.shape[1])
    for c in range(act.shape[0]):
        _add_graded(rows, values[c], total)
        _deliver(total, scale, unit, act[c])


@njit(forceinline=True)
def _update(kind, first, second, fired, act, bias, a1, a2, b1, b2, gamma, vth):
    """The neurons of one sample and layer advance by a step. Returns how many states saturated.

    A loop for each kind: a branch inside would keep it from being vectorised.
    """
    saturated = np.int32(0)
    if kind == DELAYED:
        for n in range(first.shape[0]):
            x, y, s, c = exact.tclif_delayed(
                first[n], second[n], fired[n], act[n] + bias[n], a1[n], a2[n], b1[n], b2[n], gamma, vth
            )
            first[n], second[n], fired[n] = x, y, s
            saturated = np.int32(saturated + np.int32(c))
    elif kind == IMMEDIATE:
        for n in range(first.shape[0]):
            x, y, s, c = exact.tclif_immediate(
                first[n], second[n], fired[n], act[n] + bias[n], a1[n], a2[n], b1[n], b2[n], gamma, vth
            )
            first[n], second[n], fired[n] = x, y, s
            saturated = np.int32(saturated + np.int32(c))
    else:
        for n in range(first.shape[0]):
            x, y, s, c = exact.lif(first[n], second[n], act[n], bias[n], a1[n], a2[n], vth)
            first[n], second[n], fired[n] = x, y, s
            saturated = np.int32(saturated + np.int32(c))
    return saturated


@njit(forceinline=True)
def _collect(fired, events, end):
    """Write the indices of those that fired to `events` from `end` on; returns the new end."""
    size = fired.shape[0]
    whole = size // LANES * LANES
    for n in range(0, whole, LANES):
        bits = nonzeros(fired, n)
        while bits:
            events[end] = n + lowest(bits)
            end += 1
            bits &= bits - 1
    for n in range(whole, size):
        if fired[n] != 0:
            events[end] = n
            end += 1
    return end


@njit
def _record(layer, row, b, first, second, fired, spikes, states):
    for n in range(layer.size):
        column = layer.column + n
        spikes[row, b, column] = fired[n] != 0
        states[0, row, b, column] = np.int32(first[n])
        states[1, row, b, column] = np.int32(second[n])


@njit
def _synapses(p, w, part, i, side, events, limits, act):
    """Add to `act` [steps, width] what one matrix of layer `i` delivers for the events of these steps."""
    matrix, scale, unit = p.matrices[i, side], p.constants[i, SCALE + side], p.constants[i, UNIT]
    width = act.shape[1]
    if matrix.narrow:
        _spread(matrix, p.weight8, p.columns, p.ends, events, limits, scale, unit, w.sum16[part, :width], act)
    else:
        _spread(matrix, p.weight16, p.columns, p.ends, events, limits, scale, unit, w.sum32[part, :width], act)


@njit
def _graded_synapses(p, w, part, values, act):
    """Add to `act` [steps, width] what the first layer's matrix delivers for the graded inputs `values` [steps, M]."""
    matrix, scale, unit = p.matrices[0, INPUT], p.constants[0, SCALE + INPUT], p.constants[0, UNIT]
    width = act.shape[1]
    if matrix.narrow:
        _spread_graded(matrix, p.weight8, values, scale, unit, w.sum16[part, :width], act)
    else:
        _spread_graded(matrix, p.weight16, values, scale, unit, w.sum32[part, :width], act)


@njit
def _neurons(p, m, w, part, b, i, t0, act, events, limits, row, spikes, states):
    """The neurons of layer `i` of sample `b` over the steps of `act` [steps, width], from step `t0` of the sample on.

    Their spikes go to `events`, `limits`. Views are made once, outside of the loop: each costs as much as a row.
    """
    layer = p.layers[i]
    here, width = slice(layer.first, layer.first + layer.width), layer.width
    first, second, fired, counts = m.first[b, here], m.second[b, here], m.fired[b, here], m.counts[b, here]
    b1, b2, last, last_limits = p.b1[here], p.b2[here], w.last[part], w.last_limits[part]
    kind, gamma, vth, bias = layer.kind, p.constants[i, GAMMA], p.constants[i, VTH], p.bias[here]
    recurrent = p.matrices[i, RECURRENT].kind != ABSENT
    saturated = 0
    for c in range(act.shape[0]):
        if recurrent:
            last_limits[1] = _collect(fired, last, 0)
            _synapses(p, w, part, i, RECURRENT, last, last_limits, act[c : c + 1])
        decays = layer.decays + min(t0 + c, layer.rows - 1) * width
        a1, a2 = p.a1[decays : decays + width], p.a2[decays : decays + width]
        saturated += _update(kind, first, second, fired, act[c], bias, a1, a2, b1, b2, gamma, vth)
        begin, end = limits[c], _collect(fired, events, limits[c])
        limits[c + 1] = end
        for e in range(begin, end):
            counts[events[e]] += 1
        if spikes.shape[0] > 0:
            _record(layer, row + c, b, first, second, fired, spikes, states)
    m.saturations[b, i] += saturated


@njit
def _chunk(p, m, w, part, b, t0, values, row, spikes, states):
    """All layers of sample `b` over the encoded inputs `values` [steps, M], at most `CHUNK` steps."""
    steps, graded = values.shape[0], p.matrices[0, INPUT].kind == GRADED
    if not graded:
        events, limits = w.events[part, 0], w.limits[part, 0]
        for c in range(steps):
            limits[c + 1] = _collect(values[c], events, limits[c])
    for i in range(p.layers.shape[0]):
        source, target = i & 1, 1 - (i & 1)
        layer = p.layers[i]
        act = w.act[part, : steps * layer.width].reshape((steps, layer.width))
        act[:] = 0
        if graded and i == 0:
            _graded_synapses(p, w, part, values, act)
        else:
            _synapses(p, w, part, i, INPUT, w.events[part, source], w.limits[part, source], act)
        events, limits = w.events[part, target], w.limits[part, target]
        _neurons(p, m, w, part, b, i, t0, act, events, limits, row, spikes, states)


def _sources() -> int:
    """A digest of what the kernels are compiled from: numba's cache itself looks at one file only."""
    text = b"".join(
        Path(str(module)).read_bytes()
        for module in (__file__, *(m.__file__ for m in (exact, intrinsics, program, step)))
    )
    return int.from_bytes(hashlib.sha256(text).digest()[:6], "big")


def _driver(sources: int) -> Callable[..., None]:
    """`advance(part, parts, ...)`, recompiled when `sources` changes, since it refers to it."""

    @njit(cache=True, nogil=True, _nrt=False)
    def advance(part, parts, p, m, w, t0, values, row, spikes, states):
        """One of the `parts` of a batch over the encoded input `values` [T, B, M], from step `t0` of the samples on.

        Recorded are, unless they have length 0, `spikes` [T, B, all neurons] and `states` [2, T, B, all neurons], from
        their `row` on.
        """
        batch = m.first.shape[0] + 0 * sources
        set_rounding(TOWARDS_ZERO)
        for b in range(batch * part // parts, batch * (part + 1) // parts):
            for start in range(0, values.shape[0], CHUNK):
                now = values[start : start + CHUNK, b]
                _chunk(p, m, w, part, b, t0 + start, now, row + start, spikes, states)
        set_rounding(TO_NEAREST)

    return advance


advance = _driver(_sources())
