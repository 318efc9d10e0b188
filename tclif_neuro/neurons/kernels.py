"""Compiled whole-sequence passes of the two-compartment layer, forward and (hand-derived) backward.

One kernel serves every neuron of the library: a LIF is a two-compartment neuron with a passive dendrite (a1 = b1 =
gamma = 0, b2 = 1). Sequences are [T, B, N]. A task advances a few samples (a block); inside it the loop runs over time,
inside that over neurons, which vectorises. The forward pass keeps the two states only at every `SEGMENT`-th step; the
backward pass recomputes a segment from there, so that nothing but the currents is stored over time.

Operations are in the order of `neurons.step`, without fused multiply-add, so the spikes are those of the plain path,
bit for bit. States and gradients below `TINY` become 0: denormals would slow the machine by a factor of ten and more.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

SEGMENT = 16  # steps between kept states
BLOCK = 1024  # neurons (of one or several samples) in a task: their states stay in the first-level cache
TINY = 1e-30

DELAYED, IMMEDIATE, ZERO = 0, 1, 2
TRIANGLE, ARCTAN, FAST_SIGMOID = 0, 1, 2


class Neurons(NamedTuple):
    """A layer's constants, scalars and arrays of the sequence's own type.

    a1, a2: [K, N], the last row holding past the end. b1, b2: [N]. recurrent: R^T [N from, N to], or [0, N] without.
    k: the surrogate's slope (arctan: pi k). keep: whether the gradient passes through the reset.
    """

    a1: Any
    a2: Any
    b1: Any
    b2: Any
    recurrent: Any
    gamma: Any
    vth: Any
    k: Any
    one: Any
    tiny: Any
    reset: int
    surrogate: int
    keep: bool


def tasks(batch: int, size: int) -> int:
    """How many blocks a batch of layers of `size` neurons is cut into."""
    return -(-batch // max(1, BLOCK // size))


@njit(inline="always")
def _block(task, batch, size):
    group = max(1, BLOCK // size)
    return task * group, min(batch, (task + 1) * group)


@njit(inline="always")
def _row(table, t):
    return table[min(t, table.shape[0] - 1)]


@njit(inline="always")
def _flush(x, zero, tiny):
    return x if abs(x) > tiny else zero


@njit
def _fill_psi(p, soma, out):
    """out = psi(US - Vth), the surrogate derivative; see `surrogate.Surrogate`."""
    vth, k, one = p.vth, p.k, p.one
    if p.surrogate == TRIANGLE:
        for n in range(out.shape[0]):
            out[n] = max(one - one, one - k * abs(soma[n] - vth))
    elif p.surrogate == ARCTAN:
        for n in range(out.shape[0]):
            x = k * (soma[n] - vth)
            out[n] = one / (one + x * x)
    else:
        for n in range(out.shape[0]):
            x = one + k * abs(soma[n] - vth)
            out[n] = one / (x * x)


@njit
def _advance(p, t, current, dendrite, soma, spike, pre_dendrite, pre_soma):
    """Step `t` of one sample, [N] each, in place; `pre_*` receive the states before a reset in the same step.

    A loop for each reset: a branch inside would keep it from being vectorised.
    """
    a1, a2, b1, b2 = _row(p.a1, t), _row(p.a2, t), p.b1, p.b2
    gamma, vth, one, tiny = p.gamma, p.vth, p.one, p.tiny
    zero = one - one
    if p.reset == DELAYED:
        for n in range(current.shape[0]):
            d = a1[n] * dendrite[n] + b1[n] * soma[n] + current[n] - gamma * spike[n]
            s = a2[n] * soma[n] + b2[n] * d - vth * spike[n]
            d, s = _flush(d, zero, tiny), _flush(s, zero, tiny)
            dendrite[n] = pre_dendrite[n] = d
            soma[n] = pre_soma[n] = s
            spike[n] = one if s - vth >= zero else zero
        return
    for n in range(current.shape[0]):
        d = a1[n] * dendrite[n] + b1[n] * soma[n] + current[n]
        s = a2[n] * soma[n] + b2[n] * d
        pre_dendrite[n] = _flush(d, zero, tiny)
        pre_soma[n] = _flush(s, zero, tiny)
        spike[n] = one if s - vth >= zero else zero
    if p.reset == IMMEDIATE:
        for n in range(current.shape[0]):
            dendrite[n] = pre_dendrite[n] - gamma * spike[n]
            soma[n] = pre_soma[n] - vth * spike[n]
    else:
        for n in range(current.shape[0]):
            dendrite[n] = pre_dendrite[n]
            soma[n] = pre_soma[n] * (one - spike[n])


@njit
def _add_recurrent(current, weight, spikes, events, out):
    """out = current + the rows of `weight` [N from, N to] whose neuron spiked, four at a time."""
    out[:] = current
    count = 0
    for j in range(spikes.shape[0]):
        events[count] = j
        count += spikes[j] != 0
    i = 0
    while i + 4 <= count:
        a, b, c, d = weight[events[i]], weight[events[i + 1]], weight[events[i + 2]], weight[events[i + 3]]
        for n in range(out.shape[0]):
            out[n] += (a[n] + b[n]) + (c[n] + d[n])
        i += 4
    while i < count:
        a = weight[events[i]]
        for n in range(out.shape[0]):
            out[n] += a[n]
        i += 1


@njit(cache=True, nogil=True)
def forward(task, p, current, spikes, kept, total):
    """Fill `spikes` [T, B, N] and `kept` [segments, 2, B, N], the states before each segment, for one block of samples.

    current: [T, B, N]. In a recurrent layer `total` [T, B, N] receives the current with the recurrent input.
    """
    steps, batch, size = current.shape
    first, last = _block(task, batch, size)
    dendrite = np.zeros((last - first, size), current.dtype)
    soma, spike = dendrite.copy(), dendrite.copy()
    pre_dendrite, pre_soma, events = dendrite[0].copy(), dendrite[0].copy(), np.zeros(size, np.int64)
    for t in range(steps):
        if t % SEGMENT == 0:
            kept[t // SEGMENT, 0, first:last] = dendrite
            kept[t // SEGMENT, 1, first:last] = soma
        for g in range(last - first):
            now = current[t, first + g]
            if p.recurrent.shape[0] > 0:
                _add_recurrent(now, p.recurrent, spike[g], events, total[t, first + g])
                now = total[t, first + g]
            _advance(p, t, now, dendrite[g], soma[g], spike[g], pre_dendrite, pre_soma)
        spikes[t, first:last] = spike


@njit
def _replay(p, current, b, start, stop, kept, dendrite, soma, pre_dendrite, pre_soma, spike):
    """Steps start ... stop - 1 of sample `b` again, from the kept states, which are row 0 of the result."""
    dendrite[0] = kept[start // SEGMENT, 0, b]
    soma[0] = kept[start // SEGMENT, 1, b]
    for n in range(spike.shape[0]):  # an immediate reset has no memory of it
        spike[n] = p.one if soma[0, n] - p.vth >= p.one - p.one else p.one - p.one
    for t in range(start, stop):
        i = t - start + 1
        dendrite[i] = dendrite[i - 1]
        soma[i] = soma[i - 1]
        _advance(p, t, current[t, b], dendrite[i], soma[i], spike, pre_dendrite[i], pre_soma[i])


@njit
def _retreat(p, t, grad, carried, through, soma, psi, out):
    """One step back of one sample, [N] each.

    grad: dE/dS[t] from the layers above; carried: dE/dS[t] through the recurrent weights. through[0], through[1]:
    dE/dUD and dE/dUS of step t + 1 before its reset, on return those of step t. soma: US[t] before its reset. out =
    dE/dI[t].
    """
    a1, a2, b1, b2, to_d, to_s = _row(p.a1, t + 1), _row(p.a2, t + 1), p.b1, p.b2, through[0], through[1]
    one, tiny = p.one, p.tiny
    zero = one - one
    keep = one if p.keep else zero
    gamma, vth = keep * p.gamma, keep * p.vth
    if p.reset == DELAYED:
        for n in range(out.shape[0]):
            to_spike = grad[n] + carried[n] - gamma * to_d[n] - vth * to_s[n]
            s = b1[n] * to_d[n] + a2[n] * to_s[n] + psi[n] * to_spike
            d = a1[n] * to_d[n] + b2[n] * s
            to_s[n] = _flush(s, zero, tiny)
            to_d[n] = out[n] = _flush(d, zero, tiny)
    elif p.reset == IMMEDIATE:
        for n in range(out.shape[0]):
            after_d, after_s = a1[n] * to_d[n], b1[n] * to_d[n] + a2[n] * to_s[n]
            s = after_s + psi[n] * (grad[n] + carried[n] - gamma * after_d - vth * after_s)
            d = after_d + b2[n] * s
            to_s[n] = _flush(s, zero, tiny)
            to_d[n] = out[n] = _flush(d, zero, tiny)
    else:
        for n in range(out.shape[0]):
            after_s = b1[n] * to_d[n] + a2[n] * to_s[n]
            silent = zero if soma[n] - p.vth >= zero else one
            s = silent * after_s + psi[n] * (grad[n] + carried[n] - keep * soma[n] * after_s)
            d = a1[n] * to_d[n] + b2[n] * s
            to_s[n] = _flush(s, zero, tiny)
            to_d[n] = out[n] = _flush(d, zero, tiny)


@njit(fastmath={"reassoc", "contract", "nsz"})
def _dot(a, b):
    total = a[0] * b[0]
    for i in range(1, a.shape[0]):
        total += a[i] * b[i]
    return total


@njit
def _carry(recurrent, current_grad, psi, carried):
    """carried[j] = sum_i R[i, j] dE/dI[t+1]_i, where the surrogate lets it through (elsewhere it has no effect)."""
    for j in range(carried.shape[0]):
        if psi[j] > 0:
            carried[j] = _dot(recurrent[j], current_grad)


@njit(cache=True, nogil=True)
def backward(task, p, current, kept, grad, out, a_grad, b_grad):
    """Fill `out` [T, B, N] = dE/dI from `grad` [T, B, N] = dE/dS, for one block of samples.

    current: the total input of `forward`. a_grad [2, tasks, K, N] float64 receives the block's dE/da1, dE/da2 and
    b_grad [2, tasks, N] its dE/db1, dE/db2; either may have no tasks, and is then left out.
    """
    steps, batch, size = current.shape
    dendrite = np.zeros((SEGMENT + 1, size), current.dtype)
    soma, pre_dendrite, pre_soma = dendrite.copy(), dendrite.copy(), dendrite.copy()
    spike, carried, psi = dendrite[0].copy(), dendrite[0].copy(), dendrite[0].copy()
    b_sum = np.zeros((2, size), current.dtype)
    for b in range(*_block(task, batch, size)):
        through = np.zeros((2, size), current.dtype)
        carried[:] = 0
        for segment in range(kept.shape[0] - 1, -1, -1):
            start, stop = segment * SEGMENT, min(steps, (segment + 1) * SEGMENT)
            _replay(p, current, b, start, stop, kept, dendrite, soma, pre_dendrite, pre_soma, spike)
            for t in range(stop - 1, start - 1, -1):
                i = t - start
                _fill_psi(p, pre_soma[i + 1], psi)
                if p.recurrent.shape[0] > 0 and t + 1 < steps:
                    _carry(p.recurrent, out[t + 1, b], psi, carried)
                _retreat(p, t, grad[t, b], carried, through, pre_soma[i + 1], psi, out[t, b])
                if a_grad.shape[1] > 0:
                    row = min(t, a_grad.shape[2] - 1)
                    _accumulate(a_grad[0, task, row], through[0], dendrite[i])
                    _accumulate(a_grad[1, task, row], through[1], soma[i])
                if b_grad.shape[1] > 0:
                    _accumulate(b_sum[0], through[0], soma[i])
                    _accumulate(b_sum[1], through[1], pre_dendrite[i + 1])
            if b_grad.shape[1] > 0:  # a segment's sum in single precision loses nothing, a sequence's would
                b_grad[:, task] += b_sum
                b_sum[:] = 0


@njit
def _accumulate(total, a, b):
    for n in range(total.shape[0]):
        total[n] += a[n] * b[n]
