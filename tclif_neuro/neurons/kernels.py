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

from tclif_neuro.compiled import kernel

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
def _flush(x, zero, tiny):
    return zero if abs(x) <= tiny else x  # a NaN stays one


@njit
def _fill_psi(surrogate, k, one, vth, soma, i, out):
    """out = psi(US - Vth), the surrogate derivative, for row i of `soma`; see `surrogate.Surrogate`."""
    if surrogate == TRIANGLE:
        for n in range(out.shape[0]):
            x = one - k * abs(soma[i, n] - vth)
            out[n] = one - one if x < 0 else x  # a NaN stays one
    elif surrogate == ARCTAN:
        for n in range(out.shape[0]):
            x = k * (soma[i, n] - vth)
            out[n] = one / (one + x * x)
    else:
        for n in range(out.shape[0]):
            x = one + k * abs(soma[i, n] - vth)
            out[n] = one / (x * x)


@njit
def _advance(reset, a1, a2, row, b1, b2, scalars, current, t, b, dendrite, soma, spike, g, pre_dendrite, pre_soma, i):
    """Step `t` of sample `b`: states in row g advance in place; row i of `pre_*` gets those before an immediate reset.

    A loop for each reset: a branch inside would keep it from being vectorised. Whole arrays and indices are passed
    instead of rows, since making a view costs as much as updating some dozen neurons.
    """
    gamma, vth, one, tiny = scalars
    zero = one - one
    if reset == DELAYED:
        for n in range(b1.shape[0]):
            d = a1[row, n] * dendrite[g, n] + b1[n] * soma[g, n] + current[t, b, n] - gamma * spike[g, n]
            s = a2[row, n] * soma[g, n] + b2[n] * d - vth * spike[g, n]
            d, s = _flush(d, zero, tiny), _flush(s, zero, tiny)
            dendrite[g, n] = pre_dendrite[i, n] = d
            soma[g, n] = pre_soma[i, n] = s
            spike[g, n] = one if s - vth >= zero else zero
        return
    for n in range(b1.shape[0]):
        d = a1[row, n] * dendrite[g, n] + b1[n] * soma[g, n] + current[t, b, n]
        s = a2[row, n] * soma[g, n] + b2[n] * d
        pre_dendrite[i, n] = _flush(d, zero, tiny)
        pre_soma[i, n] = _flush(s, zero, tiny)
        spike[g, n] = one if s - vth >= zero else zero
    if reset == IMMEDIATE:
        for n in range(b1.shape[0]):
            dendrite[g, n] = pre_dendrite[i, n] - gamma * spike[g, n]
            soma[g, n] = pre_soma[i, n] - vth * spike[g, n]
    else:
        for n in range(b1.shape[0]):
            dendrite[g, n] = pre_dendrite[i, n]
            soma[g, n] = pre_soma[i, n] * (one - spike[g, n])


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


@kernel
def forward(task, p, current, state, spikes, kept, total):
    """Fill `spikes` [T, B, N] and `kept` [segments, 2, B, N], the states before each segment, for one block of samples.

    current: [T, B, N]. state: dendrite, soma and spikes [3, B, N] before the first step, on return after the last. In a
    recurrent layer `total` [T, B, N] receives the current with the recurrent input; in another it is not used.
    """
    steps, batch, size = current.shape
    first, last = _block(task, batch, size)
    a1, a2, b1, b2, recurrent, reset = p.a1, p.a2, p.b1, p.b2, p.recurrent, p.reset
    scalars, has_recurrent = (p.gamma, p.vth, p.one, p.tiny), p.recurrent.shape[0] > 0
    driving = total if has_recurrent else current
    dendrite, soma, spike = state[0, first:last], state[1, first:last], state[2, first:last]
    pre_dendrite, pre_soma = np.zeros((1, size), current.dtype), np.zeros((1, size), current.dtype)
    events = np.zeros(size, np.int64)
    for t in range(steps):
        if t % SEGMENT == 0:
            kept[t // SEGMENT, 0, first:last] = dendrite
            kept[t // SEGMENT, 1, first:last] = soma
        row = min(t, a1.shape[0] - 1)
        for g in range(last - first):
            b = first + g
            if has_recurrent:
                _add_recurrent(current[t, b], recurrent, spike[g], events, total[t, b])
            _advance(
                reset, a1, a2, row, b1, b2, scalars, driving, t, b, dendrite, soma, spike, g, pre_dendrite, pre_soma, 0
            )
            for n in range(size):
                spikes[t, b, n] = spike[g, n]


@njit
def _replay(p, current, b, start, stop, kept, first, state, before, pre):
    """Steps start ... stop - 1 of sample `b` again, from the kept states: row i of `before` and `pre` are the states
    before the i-th step and those in it, before an immediate reset. first: S[-1] [B, N], which may be anyone's."""
    a1, a2, b1, b2, reset = p.a1, p.a2, p.b1, p.b2, p.reset
    scalars = (p.gamma, p.vth, p.one, p.tiny)
    (dendrite, soma, spike), (before_dendrite, before_soma), (pre_dendrite, pre_soma) = state, before, pre
    dendrite[0] = kept[start // SEGMENT, 0, b]
    soma[0] = kept[start // SEGMENT, 1, b]
    for n in range(b1.shape[0]):  # what a delayed reset takes off; an immediate one has no memory of it
        spike[0, n] = p.one if soma[0, n] - p.vth >= p.one - p.one else p.one - p.one
    if start == 0:
        spike[0] = first[b]
    for t in range(start, stop):
        i, row = t - start, min(t, a1.shape[0] - 1)
        for n in range(b1.shape[0]):
            before_dendrite[i, n] = dendrite[0, n]
            before_soma[i, n] = soma[0, n]
        _advance(
            reset, a1, a2, row, b1, b2, scalars, current, t, b, dendrite, soma, spike, 0, pre_dendrite, pre_soma, i
        )


@njit
def _retreat(reset, keep, a1, a2, row, b1, b2, scalars, grad, t, b, to_d, to_s, to_spike, soma, i, psi, out, out_s):
    """Step `t` of sample `b` backward.

    grad: dE/dS[t] from the layers above. to_d, to_s, to_spike: dE/d(UD, US, S)[t] through the steps that follow, on
    return dE/d(UD, US, S)[t-1] through this one, without the recurrent weights. a1, a2 at `row`: the decays of step t.
    soma: US[t] before its reset, in row i. out = dE/dI[t] = dE/dUD[t] and out_s = dE/dUS[t], both before the reset.
    """
    gamma, vth, one, tiny = scalars
    zero = one - one
    kept = one if keep else zero
    kept_gamma, kept_vth = kept * gamma, kept * vth
    if reset == DELAYED:
        for n in range(b1.shape[0]):
            s = to_s[n] + psi[n] * (grad[t, b, n] + to_spike[n])
            d = to_d[n] + b2[n] * s
            out_s[n] = s = _flush(s, zero, tiny)
            out[t, b, n] = d = _flush(d, zero, tiny)
            to_d[n], to_s[n] = a1[row, n] * d, b1[n] * d + a2[row, n] * s
            to_spike[n] = -kept_gamma * d - kept_vth * s
    elif reset == IMMEDIATE:
        for n in range(b1.shape[0]):
            s = to_s[n] + psi[n] * (grad[t, b, n] + to_spike[n] - kept_gamma * to_d[n] - kept_vth * to_s[n])
            d = to_d[n] + b2[n] * s
            out_s[n] = s = _flush(s, zero, tiny)
            out[t, b, n] = d = _flush(d, zero, tiny)
            to_d[n], to_s[n] = a1[row, n] * d, b1[n] * d + a2[row, n] * s
            to_spike[n] = zero
    else:
        for n in range(b1.shape[0]):
            silent = zero if soma[i, n] - vth >= zero else one
            s = silent * to_s[n] + psi[n] * (grad[t, b, n] + to_spike[n] - kept * soma[i, n] * to_s[n])
            d = to_d[n] + b2[n] * s
            out_s[n] = s = _flush(s, zero, tiny)
            out[t, b, n] = d = _flush(d, zero, tiny)
            to_d[n], to_s[n] = a1[row, n] * d, b1[n] * d + a2[row, n] * s
            to_spike[n] = zero


@njit(fastmath={"reassoc", "contract", "nsz"})
def _dot(a, b):
    total = a[0] * b[0]
    for i in range(1, a.shape[0]):
        total += a[i] * b[i]
    return total


@njit
def _carry(recurrent, current_grad, psi, to_spike):
    """to_spike[j] += sum_i R[i, j] dE/dI[t+1]_i, where the surrogate lets it through (elsewhere it has no effect)."""
    for j in range(to_spike.shape[0]):
        if psi[j] > 0:
            to_spike[j] += _dot(recurrent[j], current_grad)


@njit
def _accumulate(total, part, row, factor, source, i):
    """total[part, row] += factor source[i], the gradient of a coefficient."""
    for n in range(factor.shape[0]):
        total[part, row, n] += factor[n] * source[i, n]


@kernel
def backward(task, p, current, kept, first, grad, state_grad, out, a_grad, b_grad):
    """Fill `out` [T, B, N] = dE/dI from `grad` [T, B, N] = dE/dS, for one block of samples.

    current: the total input of `forward`; `out` may be the same array. first: the spikes before the first step, [B, N].
    state_grad [3, B, N]: dE/d(UD, US, S) after the last step, on return before the first. a_grad [2, tasks, K, N]
    float64 receives the block's dE/da1, dE/da2 and b_grad [2, tasks, N] its dE/db1, dE/db2; either may have no tasks,
    and is then left out.
    """
    steps, batch, size = current.shape
    a1, a2, b1, b2, recurrent, reset, keep = p.a1, p.a2, p.b1, p.b2, p.recurrent, p.reset, p.keep
    surrogate, k, scalars = p.surrogate, p.k, (p.gamma, p.vth, p.one, p.tiny)
    has_recurrent, wants_a, wants_b = recurrent.shape[0] > 0, a_grad.shape[1] > 0, b_grad.shape[1] > 0
    before = (np.zeros((SEGMENT, size), current.dtype), np.zeros((SEGMENT, size), current.dtype))
    pre, state = (
        (before[0].copy(), before[0].copy()),
        (before[0][:1].copy(), before[0][:1].copy(), before[0][:1].copy()),
    )
    psi, out_s, everywhere = before[0][0].copy(), before[0][0].copy(), np.ones(size, current.dtype)
    schedule = a_grad.shape[2]
    a_sum = np.zeros((2, schedule if wants_a else 0, size), a_grad.dtype)
    b_sum = np.zeros((2, 1, size), current.dtype)
    for b in range(*_block(task, batch, size)):
        to_d, to_s, to_spike = state_grad[0, b], state_grad[1, b], state_grad[2, b]
        for segment in range(kept.shape[0] - 1, -1, -1):
            start, stop = segment * SEGMENT, min(steps, (segment + 1) * SEGMENT)
            _replay(p, current, b, start, stop, kept, first, state, before, pre)
            for t in range(stop - 1, start - 1, -1):
                i, row = t - start, min(t, a1.shape[0] - 1)
                _fill_psi(surrogate, k, p.one, p.vth, pre[1], i, psi)
                if has_recurrent and t + 1 < steps:
                    _carry(recurrent, out[t + 1, b], psi, to_spike)
                _retreat(
                    reset, keep, a1, a2, row, b1, b2, scalars,
                    grad, t, b, to_d, to_s, to_spike, pre[1], i, psi, out, out_s,
                )  # fmt: skip
                if wants_a:
                    _accumulate(a_sum, 0, min(t, schedule - 1), out[t, b], before[0], i)
                    _accumulate(a_sum, 1, min(t, schedule - 1), out_s, before[1], i)
                if wants_b:
                    _accumulate(b_sum, 0, 0, out[t, b], before[1], i)
                    _accumulate(b_sum, 1, 0, out_s, pre[0], i)
            if wants_b:  # a segment's sum loses nothing in single precision, a whole sequence's would
                b_grad[:, task] += b_sum[:, 0]
                b_sum[:] = 0
        if has_recurrent:
            _carry(recurrent, out[0, b], everywhere, to_spike)
    if wants_a:
        a_grad[:, task] += a_sum
