"""Compiled whole-sequence passes of the two-compartment layer, forward and (hand-derived) backward.

One kernel serves every neuron of the library: a LIF is a two-compartment neuron with a passive dendrite (a1 = b1 = gamma
= 0, b2 = 1). Sequences are [T, B, N]. The loop runs over blocks of samples (one task a thread), inside it over time, inside
it over neurons, which vectorises. The forward pass keeps the two states only at every `SEGMENT`-th step; the backward pass
recomputes a segment from there, so that nothing but the currents is stored over time.

Operations are in the order of `neurons.step`, without fused multiply-add, so the spikes are those of the plain path, bit
for bit. States and gradients below `TINY` become 0: denormals would slow the machine by a factor of ten and more.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

SEGMENT = 16  # steps between kept states
BLOCK = 1024  # neurons (of several samples) that one task advances together: their states stay in the first-level cache
TINY = 1e-30

DELAYED, IMMEDIATE, ZERO = 0, 1, 2
TRIANGLE, ARCTAN, FAST_SIGMOID = 0, 1, 2


@njit(inline="always")
def _flush(x, zero, tiny):  # type: ignore[no-untyped-def]
    return x if abs(x) > tiny else zero


@njit(inline="always")
def _psi(x, surrogate, k, one):  # type: ignore[no-untyped-def]
    """The surrogate derivative; see `surrogate.Surrogate`."""
    if surrogate == TRIANGLE:
        return max(one - one, one - k * abs(x))
    if surrogate == ARCTAN:
        y = k * x
        return one / (one + y * y)
    y = one + k * abs(x)
    return one / (y * y)


@njit
def _scratch(like, rows):  # type: ignore[no-untyped-def]
    return np.zeros((rows, like.shape[0]), like.dtype)


@njit
def _advance(reset, current, dendrite, soma, spike, pre_dendrite, pre_soma, a1, a2, b1, b2, constants):  # type: ignore[no-untyped-def]
    """One step of one sample, [N] each, in place; `pre_*` receive the states before an immediate reset."""
    gamma, vth, one = constants[0], constants[1], constants[2]
    zero, tiny = one - one, constants[5]
    for n in range(current.shape[0]):
        if reset == DELAYED:
            d = a1[n] * dendrite[n] + b1[n] * soma[n] + current[n] - gamma * spike[n]
            s = a2[n] * soma[n] + b2[n] * d - vth * spike[n]
        else:
            d = a1[n] * dendrite[n] + b1[n] * soma[n] + current[n]
            s = a2[n] * soma[n] + b2[n] * d
        d, s = _flush(d, zero, tiny), _flush(s, zero, tiny)
        z = one if s - vth >= zero else zero
        pre_dendrite[n] = d
        pre_soma[n] = s
        if reset == IMMEDIATE:
            d = d - gamma * z
            s = s - vth * z
        elif reset == ZERO:
            s = s * (one - z)
        dendrite[n] = d
        soma[n] = s
        spike[n] = z


@njit(inline="always")
def _row(table, t):  # type: ignore[no-untyped-def]
    return table[min(t, table.shape[0] - 1)]


@njit
def _add_recurrent(current, weight, spikes, out):  # type: ignore[no-untyped-def]
    """out = current + the rows of `weight` [N from, N to] whose neuron spiked."""
    out[:] = current
    for j in range(spikes.shape[0]):
        if spikes[j] != 0:
            row = weight[j]
            for n in range(out.shape[0]):
                out[n] += row[n]


@njit(parallel=True, cache=True, nogil=True)
def forward(current, a1, a2, b1, b2, recurrent, constants, reset, spikes, kept, total):  # type: ignore[no-untyped-def]
    """Fill `spikes` [T, B, N] and `kept` [segments, 2, B, N], the states before each segment's first step.

    current: [T, B, N]. a1, a2: [K, N], the last row holding past the end; b1, b2: [N]. recurrent: [N from, N to], or
    [0, N]; with it `total` [T, B, N] receives the current with the recurrent input. constants: gamma, vth, 1, k, pi k, tiny.
    """
    steps, batch, size = current.shape
    group = max(1, BLOCK // size)
    for block in prange((batch + group - 1) // group):
        first, last = block * group, min(batch, (block + 1) * group)
        zero = constants[2] - constants[2]
        dendrite = current[0, first:last] * zero
        soma, spike = dendrite.copy(), dendrite.copy()
        pre_dendrite, pre_soma = dendrite[0].copy(), dendrite[0].copy()
        for t in range(steps):
            if t % SEGMENT == 0:
                kept[t // SEGMENT, 0, first:last] = dendrite
                kept[t // SEGMENT, 1, first:last] = soma
            for g in range(last - first):
                now = current[t, first + g]
                if recurrent.shape[0] > 0:
                    _add_recurrent(now, recurrent, spike[g], total[t, first + g])
                    now = total[t, first + g]
                _advance(
                    reset, now, dendrite[g], soma[g], spike[g], pre_dendrite, pre_soma, _row(a1, t), _row(a2, t), b1, b2, constants
                )
            spikes[t, first:last] = spike


@njit
def _retreat(  # type: ignore[no-untyped-def]
    reset, keep, surrogate, grad, carried, through, dendrite_next, soma_next, pre_soma, a1, a2, b1, b2, constants, out
):
    """One step back of one sample, [N] each.

    grad: dE/dS of this step from the layers above; carried: dE/dS through the recurrent weights. through[0, 1]: dE/dUD and
    dE/dUS before the reset of the next step (of this one on return, `out` = dE/dI of this step). a1, a2: the next step's.
    """
    gamma, vth, one, k = constants[0], constants[1], constants[2], constants[3 + (surrogate == ARCTAN)]
    zero, tiny = one - one, constants[5]
    for n in range(grad.shape[0]):
        next_d, next_s = through[0, n], through[1, n]
        to_d = a1[n] * next_d
        to_s = b1[n] * next_d + a2[n] * next_s
        spike_grad = grad[n] + carried[n]
        s = pre_soma[n]
        if reset == DELAYED:
            if keep:
                spike_grad -= gamma * next_d + vth * next_s
        elif reset == IMMEDIATE:
            if keep:
                spike_grad -= gamma * to_d + vth * to_s
        else:
            z = one if s - vth >= zero else zero
            if keep:
                spike_grad -= s * to_s
            to_s = to_s * (one - z)
        now_s = _flush(to_s + _psi(s - vth, surrogate, k, one) * spike_grad, zero, tiny)
        now_d = _flush(to_d + b2[n] * now_s, zero, tiny)
        through[0, n] = now_d
        through[1, n] = now_s
        out[n] = now_d


@njit(fastmath={"reassoc", "contract", "nsz"})
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = a[0] * b[0]
    for i in range(1, a.shape[0]):
        total += a[i] * b[i]
    return total


@njit
def _carry(recurrent, current_grad, pre_soma, surrogate, constants, carried):  # type: ignore[no-untyped-def]
    """carried[j] = sum_i R[i, j] dE/dI_i of the next step, where the surrogate lets it through (elsewhere it is not used)."""
    vth, one, k = constants[1], constants[2], constants[3 + (surrogate == ARCTAN)]
    for j in range(carried.shape[0]):
        if _psi(pre_soma[j] - vth, surrogate, k, one) > one - one:
            carried[j] = _dot(recurrent[j], current_grad)
        else:
            carried[j] = one - one


@njit(parallel=True, cache=True, nogil=True)
def backward(  # type: ignore[no-untyped-def]
    current, a1, a2, b1, b2, recurrent, constants, reset, keep, surrogate, kept, grad, out, b_grad, a_grad
):
    """Fill `out` [T, B, N] = dE/dI from `grad` [T, B, N] = dE/dS.

    current: the total input of `forward`. b_grad [2, blocks, N] float64 receives dE/db1, dE/db2 a block of samples, unless
    its second dimension is 0; likewise a_grad [2, blocks, K, N] dE/da1, dE/da2. Other arguments as `forward`.
    """
    steps, batch, size = current.shape
    group = max(1, BLOCK // size)
    for block in prange((batch + group - 1) // group):
        zero = constants[2] - constants[2]
        one_sample = current[0, 0] * zero
        after = _scratch(one_sample, SEGMENT + 1)  # the states after each step of the segment, behind the one before it
        after_soma, pre, pre_soma = after.copy(), after.copy(), after.copy()
        spike, carried = one_sample.copy(), one_sample.copy()
        b_sum, a_sum = _scratch(one_sample, 2), _scratch(one_sample, 2)
        for b in range(block * group, min(batch, (block + 1) * group)):
            through = _scratch(one_sample, 2)
            carried[:] = zero
            for segment in range(kept.shape[0] - 1, -1, -1):
                start, stop = segment * SEGMENT, min(steps, (segment + 1) * SEGMENT)
                after[0] = kept[segment, 0, b]
                after_soma[0] = kept[segment, 1, b]
                for n in range(size):
                    fired = reset == DELAYED and after_soma[0, n] - constants[1] >= zero
                    spike[n] = constants[2] if fired else zero
                for t in range(start, stop):
                    i = t - start + 1
                    after[i] = after[i - 1]
                    after_soma[i] = after_soma[i - 1]
                    _advance(
                        reset, current[t, b], after[i], after_soma[i], spike, pre[i], pre_soma[i], _row(a1, t), _row(a2, t), b1, b2, constants
                    )
                b_sum[:] = zero
                for t in range(stop - 1, start - 1, -1):
                    i = t - start + 1
                    if recurrent.shape[0] > 0 and t + 1 < steps:
                        _carry(recurrent, out[t + 1, b], pre_soma[i], surrogate, constants, carried)
                    _retreat(
                        reset, keep, surrogate, grad[t, b], carried, through, after, after_soma, pre_soma[i],
                        _row(a1, t + 1), _row(a2, t + 1), b1, b2, constants, out[t, b],
                    )  # fmt: skip
                    if b_grad.shape[1] > 0:
                        for n in range(size):
                            b_sum[0, n] += through[0, n] * after_soma[i - 1, n]
                            b_sum[1, n] += through[1, n] * pre[i, n]
                    if a_grad.shape[1] > 0:
                        row = min(t, a_grad.shape[2] - 1)
                        for n in range(size):
                            a_grad[0, block, row, n] += through[0, n] * after[i - 1, n]
                            a_grad[1, block, row, n] += through[1, n] * after_soma[i - 1, n]
                if b_grad.shape[1] > 0:
                    for n in range(size):
                        b_grad[0, block, n] += b_sum[0, n]
                        b_grad[1, block, n] += b_sum[1, n]


