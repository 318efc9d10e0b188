"""The compiled loops of the fast simulator: a chunk of steps of one layer, then of the next; sample by sample.

Synapses are event-driven: only the rows of inputs that spiked are read, in the narrowest type that holds them, and
summed in the narrowest type that holds every partial sum. The neurons are `fixed.step`, compiled by `fixed.exact`.

In the loop over steps, arrays are cut by `stretch`: a slice, with its checks, costs as much as a row of weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.core.compiler import Compiler

from tclif_neuro.compiled import kernel
from tclif_neuro.fixed import exact
from tclif_neuro.fixed.intrinsics import (
    LANES,
    TO_NEAREST,
    TOWARDS_ZERO,
    nonzeros,
    popcount,
    put_sums,
    set_rounding,
    stretch,
)
from tclif_neuro.fixed.program import (
    ABSENT,
    DELAYED,
    GAMMA,
    GRADED,
    IMMEDIATE,
    INPUT,
    PAIRED,
    RECURRENT,
    SCALE,
    SPARSE,
    UNIT,
    VTH,
)

CHUNK = 64  # steps that a layer runs before the next one does
BURST = 8  # events are written so many at a time, those that there are first
# Row i: which bits of the byte i are set, and then zeros.
ONES = np.array([[n for n in range(8) if i >> n & 1] + [0] * (8 - i.bit_count()) for i in range(256)], np.uint8)

Array = npt.NDArray[Any]


class _Apart(Compiler):  # type: ignore[misc]
    """Compiles a function whose arrays do not overlap, so that its vectors need not check whether they do."""

    def define_pipelines(self) -> Any:
        self.state.flags.noalias = True
        return super().define_pipelines()


# In the functions below, `& -LANES` tells the compiler what is true of every layer's width: that vectors divide it.


@njit(pipeline_class=_Apart)
def _add_pairs(weight, begin, events, low, high):
    """low, high = the sums of the event rows' weights, two of which share a word: 256 high + low + 128.

    A word is added as it is, and its upper half again; what the upper halves brought to `low` is taken off at the end.
    Sums wrap around on the way, and fit in the end. Four rows a pass, so that sums are loaded and stored less.
    """
    half, n_events = low.shape[0] & -(LANES // 2), events.shape[0]
    for n in range(half):
        low[n] = -128 * n_events
        high[n] = 0
    i = 0
    while i + 4 <= n_events:
        a, b = stretch(weight, begin + events[i] * half, half), stretch(weight, begin + events[i + 1] * half, half)
        c, d = stretch(weight, begin + events[i + 2] * half, half), stretch(weight, begin + events[i + 3] * half, half)
        for n in range(half):
            low[n] += a[n] + b[n] + c[n] + d[n]
            high[n] += (a[n] >> 8) + (b[n] >> 8) + (c[n] >> 8) + (d[n] >> 8)
        i += 4
    while i < n_events:
        a = stretch(weight, begin + events[i] * half, half)
        for n in range(half):
            low[n] += a[n]
            high[n] += a[n] >> 8
        i += 1
    for n in range(half):
        low[n] -= high[n] << 8


@njit(pipeline_class=_Apart)
def _add_rows(weight, begin, events, total):
    """total[n] = the sum of the event rows' weights."""
    width = total.shape[0] & -LANES
    total[:] = 0
    for m in events:
        row = stretch(weight, begin + m * width, width)
        for n in range(width):
            total[n] += row[n]


@njit
def _add_sparse(weight, begin, columns, ends, events, total):
    """As `_add_rows`, of a sparse matrix."""
    total[:] = 0
    for m in events:
        for i in range(ends[m], ends[m + 1]):
            total[columns[i]] += weight[begin + i]


@njit(pipeline_class=_Apart)
def _add_graded(weight, begin, values, total):
    """total[n] = sum over m of weight[m, n] values[m], skipping the silent inputs."""
    width = total.shape[0] & -LANES
    total[:] = 0
    for m in range(values.shape[0]):
        value = np.int32(values[m])
        if value != 0:
            row = stretch(weight, begin + m * width, width)
            for n in range(width):
                total[n] += row[n] * value


@njit(pipeline_class=_Apart)
def _deliver(total, scale, unit, base, act):
    """act = base + floor(total scale) unit: the exponent's shift, rounding down, and the one that aligns it.

    All in the type of `act`, hence the detour: what numba makes of an integer and a float32 is a float64.
    """
    for n in range(act.shape[0] & -LANES):
        act[n] = total[n]
        act[n] = base[n] + np.floor(act[n] * scale) * unit


@njit
def _synapses(matrix, weight, columns, ends, scale, unit, events, sum16, sum32, base, act):
    """act = `base` and what a matrix delivers for these events."""
    if matrix.kind == PAIRED:
        half = act.shape[0] // 2
        _add_pairs(weight, matrix.weights, events, stretch(sum16, 0, half), stretch(sum16, half, half))
        _deliver(sum16, scale, unit, base, act)
    else:
        if matrix.kind == SPARSE:
            _add_sparse(weight, matrix.weights, columns[matrix.columns :], ends[matrix.ends :], events, sum32)
        else:
            _add_rows(weight, matrix.weights, events, sum32)
        _deliver(sum32, scale, unit, base, act)


@njit(pipeline_class=_Apart)
def _update(kind, first, second, fired, act, bias, a1, a2, b1, b2, gamma, vth):
    """The neurons of one sample and layer advance by a step. Returns how many states saturated.

    A loop for each kind: a branch inside would keep it from being vectorised.
    """
    saturated = np.int32(0)
    if kind == DELAYED:
        for n in range(first.shape[0] & -LANES):
            x, y, s, c, _ = exact.tclif_delayed(
                first[n], second[n], fired[n], act[n], a1[n], a2[n], b1[n], b2[n], gamma, vth
            )
            first[n], second[n], fired[n] = x, y, s
            saturated = np.int32(saturated + np.int32(c))
    elif kind == IMMEDIATE:
        for n in range(first.shape[0] & -LANES):
            x, y, s, c, _ = exact.tclif_immediate(
                first[n], second[n], fired[n], act[n], a1[n], a2[n], b1[n], b2[n], gamma, vth
            )
            first[n], second[n], fired[n] = x, y, s
            saturated = np.int32(saturated + np.int32(c))
    else:
        for n in range(first.shape[0] & -LANES):
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
        if bits:
            for start in range(n, n + LANES, 8):  # without a branch, which spikes would make mispredicted
                byte = bits & 255
                put_sums(events, end, ONES, BURST * byte, start)
                end += popcount(byte)
                bits >>= 8
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
def _layer(p, m, w, part, b, i, t0, values, row, spikes, states):
    """Layer `i` of sample `b` over the steps of `values`, from step `t0` of the sample on."""
    layer, constants, inputs, recurrents = p.layers[i], p.constants[i], p.matrices[i, INPUT], p.matrices[i, RECURRENT]
    first, width = layer.first, layer.width
    here, room = b * p.bias.shape[0] + first, part * w.sum16.shape[1]
    u, v, fired = stretch(m.first, here, width), stretch(m.second, here, width), stretch(m.fired, here, width)
    bias, b1, b2 = stretch(p.bias, first, width), stretch(p.b1, first, width), stretch(p.b2, first, width)
    base, counts = stretch(p.base, first, width), stretch(m.counts, here, width)
    kind, gamma, vth, unit = layer.kind, constants[GAMMA], constants[VTH], constants[UNIT]
    scale, recurrent_scale = constants[SCALE + INPUT], constants[SCALE + RECURRENT]
    sources, source_limits = w.events[part, i & 1], w.limits[part, i & 1]
    events, limits = w.events[part, 1 - (i & 1)], w.limits[part, 1 - (i & 1)]
    sum16, sum32 = stretch(w.sum16, room, width), stretch(w.sum32, room, width)
    driven, both = stretch(w.act, 2 * room, width), stretch(w.act, 2 * room + w.act.shape[2], width)
    begin, end, saturated = 0, _collect(fired, events, 0), 0
    limits[1] = end
    for c in range(values.shape[0]):
        act = driven
        if inputs.kind == GRADED:
            _add_graded(p.weight, inputs.weights, values[c], sum32)
            _deliver(sum32, scale, unit, base, driven)
        else:
            now = stretch(sources, source_limits[c + 1], source_limits[c + 2] - source_limits[c + 1])
            _synapses(inputs, p.weight, p.columns, p.ends, scale, unit, now, sum16, sum32, base, driven)
        if recurrents.kind != ABSENT:
            act, last = both, stretch(events, begin, end - begin)
            _synapses(recurrents, p.weight, p.columns, p.ends, recurrent_scale, unit, last, sum16, sum32, driven, both)
        decays = layer.decays + min(t0 + c, layer.rows - 1) * width
        a1, a2 = stretch(p.a1, decays, width), stretch(p.a2, decays, width)
        saturated += _update(kind, u, v, fired, act, bias, a1, a2, b1, b2, gamma, vth)
        begin, end = end, _collect(fired, events, end)
        limits[c + 2] = end
        for n in stretch(events, begin, end - begin):
            counts[n] += 1
        if spikes.shape[0] > 0:
            _record(layer, row + c, b, u, v, fired, spikes, states)
    m.saturations[b, i] += saturated


@njit
def _chunk(p, m, w, part, b, t0, values, row, spikes, states):
    """All layers of sample `b` over the encoded inputs `values` [steps, M], at most `CHUNK` steps."""
    if p.matrices[0, INPUT].kind != GRADED:
        events, limits = w.events[part, 0], w.limits[part, 0]
        limits[1] = 0
        for c in range(values.shape[0]):
            limits[c + 2] = _collect(values[c], events, limits[c + 1])
    for i in range(p.layers.shape[0]):
        _layer(p, m, w, part, b, i, t0, values, row, spikes, states)


@kernel(_nrt=False)
def advance(part, parts, p, m, w, t0, values, ends, row, spikes, states):
    """One of the `parts` of a batch over the encoded input `values` [T, B, M], from step `t0` of the samples on.

    Sample b takes the first ends[b] of these steps alone, at most T.
    Recorded are, unless they have length 0, `spikes` [T, B, all neurons] and `states` [2, T, B, all neurons], from
    their `row` on.
    """
    batch = m.first.shape[0]
    set_rounding(TOWARDS_ZERO)
    for b in range(batch * part // parts, batch * (part + 1) // parts):
        for start in range(0, ends[b], CHUNK):
            now = values[start : min(start + CHUNK, ends[b]), b]
            _chunk(p, m, w, part, b, t0 + start, now, row + start, spikes, states)
    set_rounding(TO_NEAREST)
