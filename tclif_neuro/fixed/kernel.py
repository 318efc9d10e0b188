"""The compiled steps of the fast simulator.

The neurons are the functions of `fixed.step`, compiled from the same source over another arithmetic: states are float64
that hold integers. Every value stays below 2^53, so each operation is exact, and `x k / 4096` truncated is two vector
instructions where 64-bit integers need a dozen. Synapses are event-driven: only the rows of inputs that spiked are
read, in the narrowest type that holds them, and summed in the narrowest type that holds every partial sum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from tclif_neuro.fixed import step
from tclif_neuro.network import STATE_MAX

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[Any]

DELAYED, IMMEDIATE, STOCK = 0, 1, 2


class Program(NamedTuple):
    """A layer's constants. Coefficients are decimals (k / 4096), [K, N] or [N]; weights [M, N], a row an input."""

    kind: int
    graded: bool
    weight: Ints
    scale: float  # 2^exponent
    recurrent: Ints  # [N, N], or [0, N] in a feed-forward layer
    recurrent_scale: float
    a1: Floats
    a2: Floats
    b1: Floats
    b2: Floats
    bias: Floats
    gamma: float
    vth: float


class Memory(NamedTuple):
    """A layer's state over a batch, [B, N] or [B], and its working space."""

    first: Floats
    second: Floats
    fired: Floats
    last: Ints  # indices of the neurons that spiked in the last step, the first `n_last[b]` of row b
    n_last: Ints
    counts: Ints
    saturations: Ints
    sum: Ints
    recurrent_sum: Ints
    act: Floats


def _mul(x: float, k: float) -> float:
    return np.trunc(x * k)


def _sat(x: float) -> float:
    return min(max(x, -float(STATE_MAX)), float(STATE_MAX))


def _int32(x: float) -> float:
    return x - np.floor((x + 2.0**31) * 2.0**-32) * 2.0**32


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of `fixed.step`, compiled with `mul`, `sat` and `int32` in exact float64."""
    arithmetic = {"mul": njit(_mul), "sat": njit(_sat), "int32": njit(_int32)}
    return njit(FunctionType(function.__code__, {**vars(step), **arithmetic}))


_delayed = _compiled(step.tclif_delayed)
_immediate = _compiled(step.tclif_immediate)
_lif = _compiled(step.lif)


@njit
def _add_rows(weight, events, n_events, total):
    """total[n] = the sum of the event rows' weights; four rows a pass, so that the sums are loaded and stored less."""
    size = total.shape[0]
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
def _add_graded(weight, values, total):
    """total[n] = sum over m of weight[m, n] values[m], skipping the silent inputs."""
    total[:] = 0
    for m in range(values.shape[0]):
        value = np.int32(values[m])
        if value != 0:
            row = weight[m]
            for n in range(total.shape[0]):
                total[n] += row[n] * value


@njit
def _update(kind, row, first, second, fired, act, a1, a2, b1, b2, bias, gamma, vth):
    """The neurons of one sample, [N], advance by a step; a1, a2 [K, N] at `row`. Returns how many states saturated.

    A loop for each kind: a branch inside would keep it from being vectorised.
    """
    saturated = 0
    if kind == DELAYED:
        for n in range(first.shape[0]):
            x, y, s, c = _delayed(
                first[n], second[n], fired[n], act[n] + bias[n], a1[row, n], a2[row, n], b1[n], b2[n], gamma, vth
            )
            first[n], second[n], fired[n] = x, y, s
            saturated += c
    elif kind == IMMEDIATE:
        for n in range(first.shape[0]):
            x, y, s, c = _immediate(
                first[n], second[n], fired[n], act[n] + bias[n], a1[row, n], a2[row, n], b1[n], b2[n], gamma, vth
            )
            first[n], second[n], fired[n] = x, y, s
            saturated += c
    else:
        for n in range(first.shape[0]):
            x, y, s, c = _lif(first[n], second[n], act[n], bias[n], a1[row, n], a2[row, n], vth)
            first[n], second[n], fired[n] = x, y, s
            saturated += c
    return saturated


@njit
def _fired(fired, events):
    """Write the indices of the neurons that fired to the front of `events`; returns how many."""
    count = 0
    for n in range(fired.shape[0]):
        events[count] = n
        count += fired[n] != 0.0
    return count


@njit
def _advance(p, m, b, t0, values, events, n_events, out, n_out, start, spikes, states):
    """Sample `b` of one layer over a chunk of steps, from sample time `t0`.

    Input: graded `values` [B, C, M], or `events` [B, C, M] of which the first `n_events[b, c]` are valid. Output:
    events in `out`, `n_out`; and, unless they have length 0, `spikes` [T, B, N] and `states` [2, T, B, N] from row
    `start` on. Views are made once, outside of the loop: each costs as much as a row of synapses.
    """
    first, second, fired, act, last, counts = m.first[b], m.second[b], m.fired[b], m.act[b], m.last[b], m.counts[b]
    total, recurrent_total, n_last, saturated = m.sum[b], m.recurrent_sum[b], m.n_last[b], 0
    weight, scale, recurrent, recurrent_scale = p.weight, p.scale, p.recurrent, p.recurrent_scale
    kind, graded, a1, a2, b1, b2, bias, gamma, vth = p.kind, p.graded, p.a1, p.a2, p.b1, p.b2, p.bias, p.gamma, p.vth
    size, has_recurrent, longest = act.shape[0], recurrent.shape[0] > 0, a1.shape[0] - 1
    for c in range(out.shape[1]):
        if graded:
            _add_graded(weight, values[b, c], total)
        else:
            _add_rows(weight, events[b, c], n_events[b, c], total)
        for n in range(size):
            act[n] = np.floor(total[n] * scale) * 64.0
        if has_recurrent:
            _add_rows(recurrent, last, n_last, recurrent_total)
            for n in range(size):
                act[n] += np.floor(recurrent_total[n] * recurrent_scale) * 64.0
        saturated += _update(kind, min(t0 + c, longest), first, second, fired, act, a1, a2, b1, b2, bias, gamma, vth)
        now = out[b, c]
        count = _fired(fired, now)
        n_out[b, c] = count
        for i in range(count):
            counts[now[i]] += 1
            last[i] = now[i]
        n_last = count
        if spikes.shape[0] > 0:
            for n in range(size):
                spikes[start + c, b, n] = fired[n] != 0.0
        if states.shape[1] > 0:
            for n in range(size):
                states[0, start + c, b, n] = np.int32(first[n])
                states[1, start + c, b, n] = np.int32(second[n])
    m.n_last[b] = n_last
    m.saturations[b] += saturated


def _sources() -> int:
    """A digest of what the kernels are compiled from: numba's cache itself looks at one file only."""
    text = b"".join(Path(str(module)).read_bytes() for module in (__file__, step.__file__))
    return int.from_bytes(hashlib.sha256(text).digest()[:6], "big")


def _driver(sources: int) -> Callable[..., None]:
    """`advance(part, parts, ...)`, recompiled when `sources` changes, since it refers to it."""

    @njit(cache=True, nogil=True)
    def advance(part, parts, p, m, t0, values, events, n_events, out, n_out, start, spikes, states):
        batch = m.first.shape[0] + 0 * sources
        for b in range(batch * part // parts, batch * (part + 1) // parts):
            _advance(p, m, b, t0, values, events, n_events, out, n_out, start, spikes, states)

    return advance


advance = _driver(_sources())
