"""The compiled steps of the learner.

The equations are those of `fixed.step` and `onchip.rule`, compiled from their source for int64 scalars.

What a matrix sums up between two updates are products of two times 7 bits: exact, and faster to add up, in
float64. All layers lie side by side in arrays padded to the largest, so that one compiled kernel serves every network.
Matrix 2 l holds the input synapses of layer l, matrix 2 l + 1 its recurrent ones; a row is an input, so that a spike
reads, and a trace changes, what lies together. A silent input or trace costs nothing.
"""

# numba infers the types of what it compiles.
# mypy: disallow-untyped-defs=False

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from tclif_neuro.compiled import kernel
from tclif_neuro.network import ACT_SHIFT
from tclif_neuro.onchip.exact import scalars
from tclif_neuro.onchip.exact.scalars import neurons

Ints = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

DELAYED, IMMEDIATE, LIF = 0, 1, 2
KINDS = {"delayed": DELAYED, "immediate": IMMEDIATE, "zero": LIF}  # by their reset
TRACE, POSTED, LOST, SATURATED = range(4)  # of a matrix; what a layer posts is counted with its input synapses
HITS, OF = 0, 1


class Program(NamedTuple):
    """Constants of a run. L layers, N the largest number of neurons, M of inputs, K of steps in a schedule."""

    size: Ints  # [L], neurons
    inputs: Ints  # [2 L], of each matrix; 0: there is none
    learns: Ints  # [2 L], whether the matrix does
    exponent: Ints  # [2 L], of the weights
    kind: Ints  # [L]
    coefficients: Ints  # [L, 4, K, N]: a1, a2, b1, b2; of a LIF the two decays first
    bias: Ints  # [L, N]
    gamma: Ints  # [L]
    vth: Ints  # [L]
    eligibility: Ints  # [L, 4, K]: a1, a2, b1, b2 of the traces
    shift: Ints  # [2 L, 4]: rate, trace, signal and surrogate
    delay: Ints  # [L], D
    feedback: Ints  # [L, outputs, N], where it is fixed
    symmetric: bool
    error_shift: int
    trace_max: int
    weight_shift: int
    low: int
    high: int
    update_every: int  # 0: at the end of a sample
    stochastic: bool
    seed: int


class Memory(NamedTuple):
    """Mutable state; only the weights outlive a sample. R: how many steps posted traces are kept."""

    weight: Ints  # [2 L, M, N], mantissas
    change: Floats  # [2 L, M, N], integers below 2^53
    feedback: Ints  # [L, outputs, N]
    states: Ints  # [3, L, N]: dendrite (of a LIF the current), soma, spikes
    psi: Ints  # [L, N]
    posted: Ints  # [R, L, 2, N]
    traces: Ints  # [2 L, 2, M]: d, e
    kept: Ints  # [R, 2 L, M]
    total: Ints  # [2, N]: working space
    third_factor: Floats  # [N], y2 - y1
    error: Ints  # [outputs]
    counts: Ints  # [2 L + 1, 2, 4]: hits and of how many, of `TRACE` ... `SATURATED`; in the last row of the errors


class Record(NamedTuple):
    """The readout's potentials and errors; every step of every sample, or arrays of length 0. T steps, S samples."""

    potential: Ints  # [S, outputs], at the end of each sample
    error: Ints  # [S], the sums of the squared errors
    spikes: Ints  # [L, T, S, N] uint8
    states: Ints  # [L, 2, T, S, N] int32
    posted: Ints  # [L, 2, T, S, N] int16
    traces: Ints  # [2 L, 2, T, S, M] int32
    weight: Ints  # [2 L, S, M, N] int16


@njit
def _deliver(weight, exponent, x, total):
    """total[0, n] += what the input `x` [M] gives to neuron n through `weight` [M, N]; total[1]: working space."""
    product = total[1]
    product.fill(0)
    for m in range(len(x)):
        if x[m] != 0:
            row, value = weight[m], x[m]
            for n in range(len(row)):
                product[n] += row[n] * value
    for n in range(len(product)):
        total[0, n] += scalars.shifted(product[n], exponent)


@njit
def _advance_neurons(p, m, layer, t):
    """One step of a layer's neurons on the delivered input in `m.total`, and their surrogates."""
    size, kind, gamma, vth = p.size[layer], p.kind[layer], p.gamma[layer], p.vth[layer]
    dendrite, soma, spike = m.states[0, layer], m.states[1, layer], m.states[2, layer]
    row = min(t, p.coefficients.shape[2] - 1)
    a1, a2, b1, b2 = (
        p.coefficients[layer, 0, row],
        p.coefficients[layer, 1, row],
        p.coefficients[layer, 2, row],
        p.coefficients[layer, 3, row],
    )
    psi, shift, bias = m.psi[layer], p.shift[2 * layer, 3], p.bias[layer]
    for n in range(size):
        act = m.total[0, n] << ACT_SHIFT
        if kind == LIF:
            u, v, fired, _ = neurons.lif(dendrite[n], soma[n], act, bias[n], a1[n], a2[n], vth)
            before = v
        elif kind == DELAYED:
            u, v, fired, _, before = neurons.tclif_delayed(
                dendrite[n], soma[n], spike[n], act + bias[n], a1[n], a2[n], b1[n], b2[n], gamma, vth
            )
        else:
            u, v, fired, _, before = neurons.tclif_immediate(
                dendrite[n], soma[n], spike[n], act + bias[n], a1[n], a2[n], b1[n], b2[n], gamma, vth
            )
        dendrite[n], soma[n], spike[n] = u, v, fired
        psi[n] = scalars.surrogate(before, vth, shift, p.trace_max)


@njit
def _count(counts, value, limit):
    """Note a value that is not 0, and whether it is at its limit."""
    if value != 0:
        counts[OF] += 1
        if abs(value) == limit:
            counts[HITS] += 1


@njit
def _remember(p, m, matrix, x, t):
    """Advance the eligibility of a matrix that learns by its input `x` [M] at step `t`."""
    layer = matrix // 2
    row = min(t, p.eligibility.shape[2] - 1)
    a1, a2, b1, b2 = (
        p.eligibility[layer, 0, row],
        p.eligibility[layer, 1, row],
        p.eligibility[layer, 2, row],
        p.eligibility[layer, 3, row],
    )
    d, e, kept = m.traces[matrix, 0], m.traces[matrix, 1], m.kept[t % len(m.kept), matrix]
    for i in range(len(x)):
        d[i], e[i] = scalars.eligibility(d[i], e[i], x[i], a1, a2, b1, b2)
        kept[i] = scalars.narrow(e[i], p.shift[matrix, 1], p.trace_max)
        _count(m.counts[matrix, :, TRACE], kept[i], p.trace_max)


@njit
def _step(p, m, x, target, t):
    """All layers at step `t` on the input `x` [M], and what they post. target: [outputs]. Returns the squared error."""
    signal = x
    for layer in range(len(p.size)):
        size = p.size[layer]
        total, own = m.total[:, :size], m.states[2, layer, :size]
        total[0].fill(0)
        for matrix, source in ((2 * layer, signal), (2 * layer + 1, own)):
            if p.inputs[matrix] > 0:
                _deliver(m.weight[matrix, : p.inputs[matrix], :size], p.exponent[matrix], source, total)
                if p.learns[matrix]:
                    _remember(p, m, matrix, source, t)
        _advance_neurons(p, m, layer, t)
        signal = own
    squares = _compare(p, m, target)
    for layer in range(len(p.size)):
        if p.learns[2 * layer]:
            _post(p, m, layer, t)
    return squares


@njit
def _compare(p, m, target):
    """The readout's errors against `target` [outputs]. Returns the sum of their squares."""
    squares = 0
    potential = m.states[1, len(p.size) - 1]
    for o in range(len(m.error)):
        m.error[o] = scalars.error(potential[o], target[o], p.error_shift, p.trace_max)
        _count(m.counts[-1, :, 0], m.error[o], p.trace_max)
        squares += m.error[o] ** 2
    return squares


@njit
def _post(p, m, layer, t):
    """Make y1, y2 of step `t` from the errors."""
    posted, signal, counts = m.posted[t % len(m.posted), layer], m.total[0], m.counts[2 * layer, :, POSTED]
    if layer == len(p.size) - 1:
        for o in range(len(m.error)):
            posted[0, o], posted[1, o] = scalars.both_signs(m.error[o])
            _count(counts, m.error[o], p.trace_max)
        return
    signal.fill(0)
    for o in range(len(m.error)):
        if m.error[o] != 0:
            row = m.feedback[layer, o]
            for n in range(p.size[layer]):
                signal[n] += row[n] * m.error[o]
    for n in range(p.size[layer]):
        posted[0, n], posted[1, n] = scalars.posted(m.psi[layer, n], signal[n], p.shift[2 * layer, 2], p.trace_max)
        _count(counts, posted[1, n] - posted[0, n], p.trace_max)


@njit
def _learn(p, m, matrix, t, sample, last):
    """A matrix uses what its neurons posted about step `t`; last: whether it is the sample's last step."""
    layer = matrix // 2
    size, posted, kept = p.size[layer], m.posted[t % len(m.posted), layer], m.kept[t % len(m.kept), matrix]
    y = m.third_factor
    for n in range(size):
        y[n] = posted[1, n] - posted[0, n]
    for i in range(p.inputs[matrix]):
        if kept[i] != 0:
            row, trace = m.change[matrix, i], float(kept[i])
            for n in range(size):
                row[n] += trace * y[n]
    if last or (p.update_every > 0 and (t + 1) % p.update_every == 0):
        _update(p, m, matrix, scalars.key(p.seed, matrix, sample, t))


@njit
def _update(p, m, matrix, key):
    """Move the weights by what was summed. Where that is 0, so is what any dither makes of it."""
    layer, inputs = matrix // 2, p.inputs[matrix]
    shift, counts = p.shift[matrix, 0], m.counts[matrix]
    for i in range(inputs):
        change, weight = m.change[matrix, i], m.weight[matrix, i]
        for n in range(p.size[layer]):
            if change[n] != 0:
                dither = (1 << shift) >> 1
                if p.stochastic:
                    dither = scalars.bits(key, n * inputs + i) & ((1 << shift) - 1)
                old, by = weight[n] >> p.weight_shift, np.int64(change[n])
                new = scalars.update(old, by, shift, dither, p.low, p.high)
                counts[OF, LOST] += 1
                counts[HITS, LOST] += new == old
                counts[HITS, SATURATED] += scalars.moved(old, by, shift, dither) != new
                weight[n] = new << p.weight_shift
                change[n] = 0


@njit
def _start(p, m):
    """The first step of a sample."""
    m.states.fill(0)
    m.posted.fill(0)
    m.traces.fill(0)
    m.kept.fill(0)
    if p.symmetric and len(p.size) > 1:
        readout = m.weight[2 * len(p.size) - 2]
        for o in range(len(m.error)):
            for n in range(p.size[-2]):
                m.feedback[len(p.size) - 2, o, n] = readout[n, o]


@njit
def _keep(p, m, record, t, i):
    """Record step `t` of sample `i`."""
    for layer in range(len(p.size)):
        for n in range(p.size[layer]):
            record.spikes[layer, t, i, n] = m.states[2, layer, n]
            for row in range(2):
                record.states[layer, row, t, i, n] = m.states[row, layer, n]
                record.posted[layer, row, t, i, n] = m.posted[t % len(m.posted), layer, row, n]
    for matrix in range(len(p.inputs)):
        for j in range(p.inputs[matrix]):
            for row in range(2):
                record.traces[matrix, row, t, i, j] = m.traces[matrix, row, j]


@njit
def _keep_weights(p, m, record, i):
    """Record the weights after sample `i`."""
    for matrix in range(len(p.inputs)):
        for j in range(p.inputs[matrix]):
            for n in range(p.size[matrix // 2]):
                record.weight[matrix, i, j, n] = m.weight[matrix, j, n]


@njit
def _learn_what_came(p, m, t, steps, number):
    """Learn, in every matrix, about the step whose signals have come by step `t`, if it is one of the sample's."""
    for matrix in range(len(p.inputs)):
        about = t - 1 - p.delay[matrix // 2]
        if p.learns[matrix] and 0 <= about < steps:
            _learn(p, m, matrix, about, number, about == steps - 1)


@kernel
def learn_samples(p, m, x, labels, targets, number, record):
    """Learn the samples `x` [S, T, M] of classes `labels` [S], the first of which has the number `number`.

    targets: [outputs, T, outputs], the potentials that a sample of each class should have. record: the results.
    """
    steps, readout = x.shape[1], len(p.size) - 1
    longest = p.delay.max()
    for i in range(len(x)):
        _start(p, m)
        for t in range(steps + longest + 1):
            if t < steps:
                record.error[i] += _step(p, m, x[i, t], targets[labels[i], t], t)
                if record.spikes.shape[2] > 0:
                    _keep(p, m, record, t, i)
            if t == steps - 1:
                for o in range(len(m.error)):
                    record.potential[i, o] = m.states[1, readout, o]
            _learn_what_came(p, m, t, steps, number + i)
        if record.spikes.shape[2] > 0:
            _keep_weights(p, m, record, i)
