"""The passes of e-prop, compiled: a chunk of K steps each, states and traces carried from one chunk to the next.

The equations are those of `eprop_equations`, the neuron's step is that of `neurons.kernels`. The innermost loop is over
what lies side by side in memory (neurons, or the inputs of one neuron), which vectorises. A task's share is fixed by
the shapes, never by the number of threads, and no two tasks add to the same number.
"""
# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: PLR0913

from __future__ import annotations

import numpy as np
from numba import njit

from tclif_neuro.neurons.kernels import _add_recurrent, _advance, _block, _fill_psi, _flush


@njit(cache=True, nogil=True)
def advance(task, p, current, state, spikes, psi, soma, before, dendrite):
    """K steps of one block of samples, from `state` [3, B, N] (UD, US, S), which is left as the last step leaves it.

    current: [K, B, N]. Fills `spikes`, `psi` and `soma` (US before a reset of the same step), each [K, B, N]; and, if
    `before` [2, K, B, N] is not empty, the states before each step and `dendrite` [K, B, N], UD before its reset.
    """
    steps, batch, size = current.shape
    scalars, recurrent, wants_states = (p.gamma, p.vth, p.one, p.tiny), p.recurrent, before.shape[1] > 0
    total, events = np.zeros((1, 1, size), current.dtype), np.zeros(size, np.int64)
    pre_dendrite, pre_soma = total[0].copy(), total[0].copy()
    first, last = _block(task, batch, size)
    for t in range(steps):
        row = min(t, p.a1.shape[0] - 1)
        for b in range(first, last):
            if recurrent.shape[0] > 0:
                _add_recurrent(current[t, b], recurrent, state[2, b], events, total[0, 0])
            else:
                total[0, 0] = current[t, b]
            if wants_states:
                before[0, t, b] = state[0, b]
                before[1, t, b] = state[1, b]
            _advance(
                p.reset, p.a1, p.a2, row, p.b1, p.b2, scalars, total, 0, 0,
                state[0], state[1], state[2], b, pre_dendrite, pre_soma, 0,
            )  # fmt: skip
            _fill_psi(p.surrogate, p.k, p.one, p.vth, pre_soma, 0, psi[t, b])
            for n in range(size):
                spikes[t, b, n] = state[2, b, n]
                soma[t, b, n] = pre_soma[0, n]
            if wants_states:
                dendrite[t, b] = pre_dendrite[0]


@njit(cache=True, nogil=True)
def input_traces(task, group, p, direct, trace):
    """The traces of `group` samples, one pair an input: `direct` [K, B, I] becomes e [K, B, I]; trace: [2, B, I]."""
    steps, batch, inputs = direct.shape
    zero, b1, b2 = p.one - p.one, p.b1[0], p.b2[0]
    for b in range(task * group, min(batch, (task + 1) * group)):
        dendrite, soma = trace[0, b], trace[1, b]
        for t in range(steps):
            row, e = min(t, p.a1.shape[0] - 1), direct[t, b]
            a1, a2 = p.a1[row, 0], p.a2[row, 0]
            for i in range(inputs):
                d = _flush(a1 * dendrite[i] + b1 * soma[i] + e[i], zero, p.tiny)
                e[i] = _flush(a2 * soma[i] + b2 * d, zero, p.tiny)
                dendrite[i] = d
                soma[i] = e[i]


@njit
def _advance_row(a1, b2, couple, decay, factor, direct, dendrite, soma, grad, zero, tiny):
    """The traces of all inputs of one neuron, one step; grad += factor e. A silent factor has a loop of its own."""
    if factor == zero:
        for i in range(direct.shape[0]):
            d = _flush(a1 * dendrite[i] + couple * soma[i] + direct[i], zero, tiny)
            soma[i] = _flush(decay * soma[i] + b2 * d, zero, tiny)
            dendrite[i] = d
        return
    for i in range(direct.shape[0]):
        d = _flush(a1 * dendrite[i] + couple * soma[i] + direct[i], zero, tiny)
        e = _flush(decay * soma[i] + b2 * d, zero, tiny)
        dendrite[i] = d
        soma[i] = e
        grad[i] += factor * e


@njit(cache=True, nogil=True)
def synapse_gradient(task, group, p, couple, decay, direct, factor, trace, grad):
    """The traces of all synapses of `group` neurons, and their gradient.

    couple, decay, factor (L psi): [K, B, N]; direct: [K, B, I]; trace: [2, B, N, I]; grad: [N, I], added to. A synapse
    row stays in the first-level cache for all K steps.
    """
    steps, batch, _ = direct.shape
    zero = p.one - p.one
    for b in range(batch):
        for j in range(task * group, min(grad.shape[0], (task + 1) * group)):
            dendrite, soma, row = trace[0, b, j], trace[1, b, j], grad[j]
            for t in range(steps):
                a1 = p.a1[min(t, p.a1.shape[0] - 1), j]
                _advance_row(
                    a1, p.b2[j], couple[t, b, j], decay[t, b, j], factor[t, b, j], direct[t, b],
                    dendrite, soma, row, zero, p.tiny,
                )  # fmt: skip


@njit(cache=True, nogil=True)
def coefficient_gradient(task, p, slopes, couple, decay, factor, before, dendrite, trace, grad):
    """The traces of one block of samples' neurons for one parameter of the layer, and its gradient.

    slopes: da1, da2 [K, N] and db1, db2 [N]. couple, decay, factor, dendrite (UD[t]): [K, B, N]; before: UD and US of
    the step before, [2, K, B, N]; trace: [2, B, N]; grad: [tasks, N] float64, added to.
    """
    by_a1, by_a2, by_b1, by_b2 = slopes
    steps, batch, size = factor.shape
    zero, total = p.one - p.one, np.zeros(size, factor.dtype)
    first, last = _block(task, batch, size)
    for t in range(steps):
        row, slope = min(t, p.a1.shape[0] - 1), min(t, by_a1.shape[0] - 1)
        for b in range(first, last):
            for n in range(size):
                to_d = by_a1[slope, n] * before[0, t, b, n] + by_b1[n] * before[1, t, b, n]
                to_s = by_a2[slope, n] * before[1, t, b, n] + by_b2[n] * dendrite[t, b, n]
                d = p.a1[row, n] * trace[0, b, n] + couple[t, b, n] * trace[1, b, n] + to_d
                e = decay[t, b, n] * trace[1, b, n] + p.b2[n] * d + to_s
                trace[0, b, n] = _flush(d, zero, p.tiny)
                trace[1, b, n] = _flush(e, zero, p.tiny)
                total[n] += factor[t, b, n] * e
    grad[task] += total
