"""The passes of e-prop, compiled: a chunk of K steps each, states and traces carried from one chunk to the next.

The equations are those of `eprop.equations`: `dynamics`, as `neurons.kernels` compiles it. A gradient over a chunk is
the sum over t of factor[t] e[t], and e is linear in what entered it: the chunk's inputs x[s] and the traces before it.
So `adjoint` finds, once for all inputs of a neuron, the derivative by each of these, and only they meet the synapses:
the inputs where they spiked, the traces once a chunk.

The innermost loop is over what lies side by side in memory, which vectorises. A task's share is fixed by the shapes,
never by the number of threads, and no two tasks add to the same number.
"""
# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: PLR0913

from __future__ import annotations

import numpy as np
from numba import njit

from tclif_neuro.compiled import kernel
from tclif_neuro.neurons.kernels import Reached, States, add_recurrent, fill_psi, flush, integrate, integrate_back, step


@njit(inline="always")
def _share(task, group, total):
    return range(task * group, min(total, (task + 1) * group))


@kernel
def advance(task, group, p, current, state, spikes, psi, soma, before, dendrite):
    """K steps of `group` samples, from `state` [3, B, N] (UD, US, S), which is left as the last step leaves it.

    current: [K, B, N]. Fills `spikes` and `psi` [K, B, N]; each unless empty, `soma` [K, B, N], US before a reset of
    the same step, and `before` [2, K, B, N], the states before each step, with `dendrite`, UD before its reset.
    """
    steps, batch, size = current.shape
    wants_states, now = before.shape[1] > 0, States(state[0], state[1], state[2])
    total, events = np.zeros((1, 1, size), current.dtype), np.zeros(size, np.int64)
    reached = Reached(total[0].copy(), total[0].copy())
    for b in _share(task, group, batch):
        for t in range(steps):
            row = min(t, p.a1.shape[0] - 1)
            if p.recurrent.shape[0] > 0:
                add_recurrent(current[t, b], p.recurrent, state[2, b], events, total[0, 0])
            else:
                total[0, 0] = current[t, b]
            if wants_states:
                before[0, t, b] = state[0, b]
                before[1, t, b] = state[1, b]
            step(p, row, total, 0, 0, now, b, reached, 0)
            fill_psi(p.surrogate, p.k, p.one, p.vth, reached.soma, 0, psi[t, b])
            for n in range(size):
                spikes[t, b, n] = state[2, b, n]
            if soma.shape[0] > 0:
                soma[t, b] = reached.soma[0]
            if wants_states:
                dendrite[t, b] = reached.dendrite[0]


@njit(inline="always")
def _at(coefficient, t, b):
    """The rows of a [K, B, N] that may be kept once for all steps or all samples."""
    return min(t, coefficient.shape[0] - 1), min(b, coefficient.shape[1] - 1)


@kernel
def adjoint(task, group, p, couple, decay, factor, ends):
    """A sum over the chunk, sum_t factor[t] e[t], as a sum of what entered the traces; `group` samples.

    `factor` [K, B, N] becomes its derivative by D[t]; `ends` [2, B, N], the derivative of more terms by (d, e) after
    the chunk, becomes that of the whole by (d, e) before it. couple, decay: [K or 1, B or 1, N].
    """
    steps, batch, size = factor.shape
    for b in _share(task, group, batch):
        for t in range(steps - 1, -1, -1):
            row = min(t, p.a1.shape[0] - 1)
            (ct, cb), (et, eb) = _at(couple, t, b), _at(decay, t, b)
            for n in range(size):
                factor[t, b, n], _, ends[0, b, n], ends[1, b, n] = integrate_back(
                    ends[0, b, n], ends[1, b, n] + factor[t, b, n],
                    p.a1[row, n], decay[et, eb, n], couple[ct, cb, n], p.b2[n],
                )  # fmt: skip


@kernel
def input_traces(task, group, p, x, trace):
    """The traces of `group` samples over K steps of x [K, B, I], kept once for all neurons; trace: [2, B, I]."""
    steps, batch, inputs = x.shape
    zero, b1, b2 = p.one - p.one, p.b1[0], p.b2[0]
    for b in _share(task, group, batch):
        for t in range(steps):
            row = min(t, p.a1.shape[0] - 1)
            a1, a2 = p.a1[row, 0], p.a2[row, 0]
            for i in range(inputs):
                d, e, _, _ = integrate(trace[0, b, i], trace[1, b, i], x[t, b, i], zero, zero, a1, a2, b1, b2)
                trace[0, b, i], trace[1, b, i] = flush(d), flush(e)


@kernel
def scatter(task, width, index, start, grad, out):
    """out [M, N] += x^T grad for `width` neurons; grad: [rows, N]; x: 1 at index[start[r] : start[r + 1]] of row r."""
    first, last = task * width, min(grad.shape[1], (task + 1) * width)
    for r in range(grad.shape[0]):
        row = grad[r, first:last]
        for i in range(start[r], start[r + 1]):
            to = out[index[i], first:last]
            for n in range(row.shape[0]):
                to[n] += row[n]


@njit
def _carry(dendrite, soma, row, ends, ahead_d, ahead_s, b, j):
    """row += what (d, e) before the chunk add to the gradient; (d, e) move to its end, but for what enters in it."""
    for i in range(row.shape[0]):
        d, e = dendrite[i], soma[i]
        row[i] += ends[0, b, j] * d + ends[1, b, j] * e
        dendrite[i] = flush(ahead_d[0, b, j] * d + ahead_d[1, b, j] * e)
        soma[i] = flush(ahead_s[0, b, j] * d + ahead_s[1, b, j] * e)


@kernel
def synapses(task, group, x, index, start, sums, ends, trace, grad):
    """The traces of all synapses of `group` neurons over a chunk, and their gradient.

    x: [K, B, I]; index, start: its events, or empty if it is not sparse. sums [3, K, B, N] and ends [3, 2, B, N]: by
    `adjoint`, of the gradient and of d and e after the chunk. trace: [2, B, N, I]; grad: [N, I], added to.
    """
    steps, batch, inputs = x.shape
    dense = start.shape[0] == 0
    for b in range(batch):
        for j in _share(task, group, grad.shape[0]):
            dendrite, soma, row = trace[0, b, j], trace[1, b, j], grad[j]
            _carry(dendrite, soma, row, ends[0], ends[1], ends[2], b, j)
            for t in range(steps):
                to_grad, to_d, to_e = sums[0, t, b, j], sums[1, t, b, j], sums[2, t, b, j]
                if dense:
                    for i in range(inputs):
                        row[i] += to_grad * x[t, b, i]
                        dendrite[i] += to_d * x[t, b, i]
                        soma[i] += to_e * x[t, b, i]
                else:
                    for k in range(start[t * batch + b], start[t * batch + b + 1]):
                        row[index[k]] += to_grad
                        dendrite[index[k]] += to_d
                        soma[index[k]] += to_e


@kernel
def coefficient_gradient(task, group, p, slopes, couple, decay, factor, before, dendrite, trace, grad):
    """The traces of the neurons of `group` samples for one parameter of the layer, and its gradient.

    slopes: da1, da2 [K, N] and db1, db2 [N]. couple, decay: [K or 1, B or 1, N]; factor, dendrite (UD[t]): [K, B, N];
    before: UD and US of the step before, [2, K, B, N]; trace: [2, B, N]; grad: [tasks, N] float64, added to.
    """
    by_a1, by_a2, by_b1, by_b2 = slopes
    steps, batch, size = factor.shape
    zero, total = p.one - p.one, np.zeros(size, factor.dtype)
    for b in _share(task, group, batch):
        for t in range(steps):
            row, slope = min(t, p.a1.shape[0] - 1), min(t, by_a1.shape[0] - 1)
            (ct, cb), (et, eb) = _at(couple, t, b), _at(decay, t, b)
            for n in range(size):
                to_d = by_a1[slope, n] * before[0, t, b, n] + by_b1[n] * before[1, t, b, n]
                to_s = by_a2[slope, n] * before[1, t, b, n] + by_b2[n] * dendrite[t, b, n]
                d, e, _, _ = integrate(
                    trace[0, b, n], trace[1, b, n], to_d, zero, -to_s,
                    p.a1[row, n], decay[et, eb, n], couple[ct, cb, n], p.b2[n],
                )  # fmt: skip
                trace[0, b, n], trace[1, b, n] = flush(d), flush(e)
                total[n] += factor[t, b, n] * e
    grad[task] += total
