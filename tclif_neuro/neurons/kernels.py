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

from tclif_neuro import dynamics
from tclif_neuro.compiled import inlined, kernel, over_reals
from tclif_neuro.lanes import where

SEGMENT = 16  # steps between kept states
BLOCK = 1024  # neurons (of one or several samples) in a task: their states stay in the first-level cache
TINY = 1e-30

DELAYED, IMMEDIATE, ZERO = 0, 1, 2
TRIANGLE, ARCTAN, FAST_SIGMOID = 0, 1, 2


def _flush(x):
    return where(abs(x) <= TINY, 0, x)  # a NaN stays one


flush = over_reals(_flush, TINY=TINY)
_mul, _sat = inlined(dynamics.mul), inlined(dynamics.sat)
integrate = inlined(dynamics.integrate, mul=_mul, sat=_sat)
fire = over_reals(dynamics.fire)
reset = inlined(dynamics.reset, sat=_sat)
reset_to_zero = inlined(dynamics.reset_to_zero)
integrate_back = inlined(dynamics.integrate_back, mul=_mul, flush=flush)
fire_back = inlined(dynamics.fire_back)
reset_back = inlined(dynamics.reset_back)
reset_to_zero_back = inlined(dynamics.reset_to_zero_back)


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
    reset: int
    surrogate: int
    keep: bool


class States(NamedTuple):
    """UD, US and S of a layer, or dE/dUD, dE/dUS and dE/dS: arrays of the same shape."""

    dendrite: Any
    soma: Any
    spike: Any


class Reached(NamedTuple):
    """UD and US before a reset of the same step, or before the step."""

    dendrite: Any
    soma: Any


def tasks(batch: int, size: int) -> int:
    """Return the number of blocks that a batch of layers of `size` neurons is cut into."""
    return -(-batch // max(1, BLOCK // size))


@njit(inline="always")
def block(task, batch, size):
    """Return the first sample of a task and the one after its last."""
    group = max(1, BLOCK // size)
    return task * group, min(batch, (task + 1) * group)


@njit
def fill_psi(surrogate, k, one, vth, soma, i, out):
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
def step(p, row, current, t, b, state, g, reached, i):
    """Step `t` of sample `b`: row g of `state` advances in place; row i of `reached` gets UD, US before a reset.

    A loop for each reset: a branch inside would keep it from being vectorised. Whole arrays and indices are passed
    instead of rows, since making a view costs as much as updating some dozen neurons.
    """
    a1, a2, b1, b2, gamma, vth = p.a1, p.a2, p.b1, p.b2, p.gamma, p.vth
    (dendrite, soma, spike), (reached_d, reached_s), zero = state, reached, p.one - p.one
    if p.reset == DELAYED:
        for n in range(b1.shape[0]):
            d, s, _, _ = integrate(
                dendrite[g, n], soma[g, n], current[t, b, n], gamma * spike[g, n], vth * spike[g, n],
                a1[row, n], a2[row, n], b1[n], b2[n],
            )  # fmt: skip
            dendrite[g, n] = reached_d[i, n] = flush(d)
            soma[g, n] = reached_s[i, n] = s = flush(s)
            spike[g, n] = fire(s, vth)
        return
    for n in range(b1.shape[0]):
        d, s, _, _ = integrate(
            dendrite[g, n], soma[g, n], current[t, b, n], zero, zero, a1[row, n], a2[row, n], b1[n], b2[n]
        )
        reached_d[i, n], reached_s[i, n] = flush(d), flush(s)
        spike[g, n] = fire(s, vth)
    if p.reset == IMMEDIATE:
        for n in range(b1.shape[0]):
            d, s, _ = reset(reached_d[i, n], reached_s[i, n], spike[g, n], gamma, vth)
            dendrite[g, n], soma[g, n] = d, s
    else:
        for n in range(b1.shape[0]):
            dendrite[g, n], soma[g, n] = reached_d[i, n], reset_to_zero(reached_s[i, n], spike[g, n])


@njit
def add_recurrent(current, weight, spikes, events, out):
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
    first, last = block(task, batch, size)
    has_recurrent = p.recurrent.shape[0] > 0
    driving = total if has_recurrent else current
    now = States(state[0, first:last], state[1, first:last], state[2, first:last])
    reached = Reached(np.zeros((1, size), current.dtype), np.zeros((1, size), current.dtype))
    events = np.zeros(size, np.int64)
    for t in range(steps):
        if t % SEGMENT == 0:
            kept[t // SEGMENT, 0, first:last] = now.dendrite
            kept[t // SEGMENT, 1, first:last] = now.soma
        row = min(t, p.a1.shape[0] - 1)
        for g in range(last - first):
            b = first + g
            if has_recurrent:
                add_recurrent(current[t, b], p.recurrent, now.spike[g], events, total[t, b])
            step(p, row, driving, t, b, now, g, reached, 0)
            for n in range(size):
                spikes[t, b, n] = now.spike[g, n]


@njit
def _replay(p, current, b, start, stop, kept, first, state, before, reached):
    """Steps start ... stop - 1 of sample `b` again, from the kept states: row i of `before` and `reached` are the
    states before the i-th step and those in it, before a reset. first: S[-1] [B, N], which may be anyone's."""
    state.dendrite[0] = kept[start // SEGMENT, 0, b]
    state.soma[0] = kept[start // SEGMENT, 1, b]
    for n in range(p.b1.shape[0]):  # what a delayed reset takes off; an immediate one has no memory of it
        state.spike[0, n] = fire(state.soma[0, n], p.vth)
    if start == 0:
        state.spike[0] = first[b]
    for t in range(start, stop):
        i, row = t - start, min(t, p.a1.shape[0] - 1)
        for n in range(p.b1.shape[0]):
            before.dendrite[i, n] = state.dendrite[0, n]
            before.soma[i, n] = state.soma[0, n]
        step(p, row, current, t, b, state, 0, reached, i)


@njit
def _step_back(p, row, grad, t, b, to, soma, i, psi, out, out_s):
    """Step `t` of sample `b` backward: through what became of the spikes and the reset, then through `integrate`.

    grad: dE/dS[t] from the layers above. to: dE/d(UD, US, S)[t] through the steps that follow, on return
    dE/d(UD, US, S)[t-1] through this one, without the recurrent weights. a1, a2 at `row`: the decays of step t.
    soma: US[t] before its reset, in row i. out = dE/dI[t] = dE/dUD[t] and out_s = dE/dUS[t], both before the reset.
    """
    zero = p.one - p.one
    kept = p.one if p.keep else zero
    gamma, vth = kept * p.gamma, kept * p.vth
    a1, a2, b1, b2, (to_d, to_s, to_spike) = p.a1, p.a2, p.b1, p.b2, to
    if p.reset == DELAYED:
        for n in range(b1.shape[0]):
            s = fire_back(to_s[n], grad[t, b, n] + to_spike[n], psi[n])
            d, s, to_d[n], to_s[n] = integrate_back(to_d[n], s, a1[row, n], a2[row, n], b1[n], b2[n])
            to_spike[n] = reset_back(d, s, zero, gamma, vth)
            out[t, b, n], out_s[n] = d, s
    elif p.reset == IMMEDIATE:
        for n in range(b1.shape[0]):
            to_fired = reset_back(to_d[n], to_s[n], grad[t, b, n] + to_spike[n], gamma, vth)
            s = fire_back(to_s[n], to_fired, psi[n])
            d, s, to_d[n], to_s[n] = integrate_back(to_d[n], s, a1[row, n], a2[row, n], b1[n], b2[n])
            to_spike[n] = zero
            out[t, b, n], out_s[n] = d, s
    else:
        for n in range(b1.shape[0]):
            u, fired = soma[i, n], fire(soma[i, n], p.vth)
            s, to_fired = reset_to_zero_back(to_s[n], grad[t, b, n] + to_spike[n], u, fired, kept)
            d, s, to_d[n], to_s[n] = integrate_back(
                to_d[n], fire_back(s, to_fired, psi[n]), a1[row, n], a2[row, n], b1[n], b2[n]
            )
            to_spike[n] = zero
            out[t, b, n], out_s[n] = d, s


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
    has_recurrent, wants_a, wants_b = p.recurrent.shape[0] > 0, a_grad.shape[1] > 0, b_grad.shape[1] > 0
    before = Reached(np.zeros((SEGMENT, size), current.dtype), np.zeros((SEGMENT, size), current.dtype))
    reached = Reached(before.dendrite.copy(), before.dendrite.copy())
    row = before.dendrite[:1]
    state = States(row.copy(), row.copy(), row.copy())
    psi, out_s, everywhere = row[0].copy(), row[0].copy(), np.ones(size, current.dtype)
    schedule = a_grad.shape[2]
    a_sum = np.zeros((2, schedule if wants_a else 0, size), a_grad.dtype)
    b_sum = np.zeros((2, 1, size), current.dtype)
    for b in range(*block(task, batch, size)):
        to = States(state_grad[0, b], state_grad[1, b], state_grad[2, b])
        for segment in range(kept.shape[0] - 1, -1, -1):
            start, stop = segment * SEGMENT, min(steps, (segment + 1) * SEGMENT)
            _replay(p, current, b, start, stop, kept, first, state, before, reached)
            for t in range(stop - 1, start - 1, -1):
                i = t - start
                fill_psi(p.surrogate, p.k, p.one, p.vth, reached.soma, i, psi)
                if has_recurrent and t + 1 < steps:
                    _carry(p.recurrent, out[t + 1, b], psi, to.spike)
                _step_back(p, min(t, p.a1.shape[0] - 1), grad, t, b, to, reached.soma, i, psi, out, out_s)
                if wants_a:
                    _accumulate(a_sum, 0, min(t, schedule - 1), out[t, b], before.dendrite, i)
                    _accumulate(a_sum, 1, min(t, schedule - 1), out_s, before.soma, i)
                if wants_b:
                    _accumulate(b_sum, 0, 0, out[t, b], before.soma, i)
                    _accumulate(b_sum, 1, 0, out_s, reached.dendrite, i)
            if wants_b:  # a segment's sum loses nothing in single precision, a whole sequence's would
                b_grad[:, task] += b_sum[:, 0]
                b_sum[:] = 0
        if has_recurrent:
            _carry(p.recurrent, out[0, b], everywhere, to.spike)
    if wants_a:
        a_grad[:, task] += a_sum
