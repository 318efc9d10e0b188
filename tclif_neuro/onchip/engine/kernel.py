"""The compiled steps of the networks on a learning engine.

The equations are those of `fixed.step`, `onchip.rule.equations`, `program` and `arithmetic`, compiled from their source
for int64 scalars. Matrix 0 holds the hidden layer's input synapses, 1 its recurrent ones, 2 the readout's, padded to
the largest; a row is what one payload reaches, so that what lies together is read and changed together.
"""

# numba infers the types of what it compiles.
# mypy: disallow-untyped-defs=False

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from tclif_neuro import dynamics
from tclif_neuro.compiled import inlined, kernel
from tclif_neuro.onchip.engine import arithmetic as engine
from tclif_neuro.onchip.engine import program
from tclif_neuro.onchip.exact import scalars
from tclif_neuro.onchip.exact.scalars import neurons
from tclif_neuro.onchip.rule.matrices import Matrix

Ints = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

INPUT, RECURRENT, OUTPUT = Matrix(0).number, Matrix(0, True).number, Matrix(1).number
MATRICES = 3
SOURCE, SHIFT, FALLING = range(3)  # of a term of the rule: x1 or x2 (0 or 1), k of 2^k, whether y1 and y2 are swapped
NO_TERM = -1  # as a source
PHASES = program.PHASES
ADD, OVERWRITE = program.ADD, program.OVERWRITE


class Program(NamedTuple):
    """Constants of a run. N hidden neurons, O outputs, M rows of the largest matrix, K steps of a schedule."""

    filtered: bool  # whether the inputs send their eligibility
    learns: bool
    inputs: Ints  # [3], what a matrix has for inputs; 0: there is none
    halves: Ints  # [3]: the rows of each input
    size: Ints  # [3]: the neurons that it reaches
    exponent: Ints  # [3], of the weights
    coefficients: Ints  # [4, K]: a1, a2, b1, b2 of the hidden neurons
    readout_decay: int
    bias: Ints  # [2, max(N, O)]
    gamma: int
    vth: int
    eligibility: Ints  # [3, 4, K]: a1, a2, b1, b2 of the filters
    payload_shift: Ints  # [3]
    gated: bool
    payload_to_x1: Ints  # [3], lava: GradedSpikeCfg
    arrival: Ints  # [3]: the step of the epoch, from 1, in which inputs arrive
    use: Ints  # [3]: the step of the epoch of which y1 and y2 are used
    decay: Floats  # [3, 2], of x1 and x2 in a step of the chip
    decay_y: float
    impulse: Ints  # [3, 2, 2]: whole and fraction
    terms: Ints  # [3, 2, 3]: of two terms `SOURCE`, `SHIFT`, `FALLING`
    feedback: Ints  # [O, N]
    signal_shift: int
    surrogate_shift: int
    error_shift: int
    trace_max: int


class Memory(NamedTuple):
    """Mutable state; only the weights and the engine's x1, x2 outlive a sample."""

    weight: Ints  # [3, M, max(N, O)] int32, mantissas
    trace: Ints  # [3, 2, M]: x1, x2
    sent: Ints  # [3, M]: payloads or spikes of this step
    filters: Ints  # [3, 2, M]: d, e
    states: Ints  # [2, N]: dendrite, soma; of a prefiltered neuron its response to its resets
    soma: Ints  # [N], what is compared with the threshold
    spike: Ints  # [N]
    psi: Ints  # [N]
    potential: Ints  # [O]
    error: Ints  # [O]
    posted: Ints  # [2, 2, max(N, O)]: hidden neurons, readout; y1, y2
    total: Ints  # [3, max(N, O)]: what each matrix delivers
    work: Ints  # [2, max(N, O)]: working space


class Record(NamedTuple):
    """Of each of S samples: the readout's potentials; the rest is of every step of every sample, or of length 0."""

    potential: Ints  # [S, T, O]
    spikes: Ints  # [S, T, N] uint8
    hidden: Ints  # [2, S, T, N] int32, dendrite and soma
    posted: Ints  # [S, 2, 2, T, max(N, O)] int16: hidden neurons, readout; y1, y2
    weight: Ints  # [S, 3, M, max(N, O)] int16


_payload = inlined(program.payload, narrow=scalars.narrow)
_hidden_step = inlined(
    program.hidden_step, tclif_delayed=neurons.tclif_delayed, sat=neurons.sat, fire=inlined(dynamics.fire)
)
_readout_step = inlined(program.readout_step, mul=neurons.mul, sat=neurons.sat)
_halved = inlined(engine.halved)
_decayed = inlined(engine.decayed)
_increased = inlined(engine.increased)
_accumulated = inlined(engine.accumulated)
_rounded = inlined(engine.rounded)


@njit
def _send(p, m, matrix, x, t):
    """Send inputs `x` [inputs] of a matrix in step `t`: themselves, or their eligibility in parts."""
    inputs, sent = p.inputs[matrix], m.sent[matrix]
    if not p.filtered:
        for i in range(inputs):
            sent[i] = x[i]
        return
    d, e = m.filters[matrix, 0], m.filters[matrix, 1]
    row = min(t, p.eligibility.shape[2] - 1)
    a1, a2 = p.eligibility[matrix, 0, row], p.eligibility[matrix, 1, row]
    b1, b2 = p.eligibility[matrix, 2, row], p.eligibility[matrix, 3, row]
    for i in range(inputs):
        d[i], e[i] = scalars.eligibility(d[i], e[i], x[i], a1, a2, b1, b2)
        value = _payload(e[i], p.payload_shift[matrix])
        sent[i] = max(0, value)
        if p.halves[matrix] == 2:
            sent[inputs + i] = max(0, -value)


@njit
def _deliver(p, m, matrix):
    """Deliver what was sent to the neurons of the matrix, as a `Dense` does."""
    size, total, shift = p.size[matrix], m.total[matrix], p.exponent[matrix]
    total.fill(0)
    for i in range(p.inputs[matrix] * p.halves[matrix]):
        if m.sent[matrix, i] != 0:
            row, value = m.weight[matrix, i], m.sent[matrix, i]
            for n in range(size):
                total[n] += row[n] * value
    for n in range(size):
        total[n] = neurons.int32(scalars.shifted(total[n], shift))


@njit
def _advance(p, m, t):
    """One step of the hidden neurons."""
    row = min(t, p.coefficients.shape[1] - 1)
    a1, a2, b1, b2 = p.coefficients[0, row], p.coefficients[1, row], p.coefficients[2, row], p.coefficients[3, row]
    coefficients = a1, a2, b1, b2, p.gamma, p.vth
    for n in range(len(m.spike)):
        states, came = (m.states[0, n], m.states[1, n], m.spike[n]), m.total[INPUT, n] + m.total[RECURRENT, n]
        dendrite, soma, compared, spike = _hidden_step(states, came, p.bias[0, n], coefficients, p.filtered)
        m.states[0, n], m.states[1, n], m.soma[n], m.spike[n] = dendrite, soma, compared, spike
        m.psi[n] = scalars.surrogate(m.soma[n], p.vth, p.surrogate_shift, p.trace_max)


@njit
def _compare(p, m, targets, t):
    """One step of the readout, and its error against `targets` [T, O], 0 in a silent step."""
    for o in range(len(m.error)):
        m.potential[o] = _readout_step(m.potential[o], m.total[OUTPUT, o], p.bias[1, o], p.readout_decay, p.filtered)
        m.error[o] = scalars.error(m.potential[o], targets[t, o], p.error_shift, p.trace_max) if t < len(targets) else 0


@njit
def _post(p, m):
    """y1, y2 of the errors."""
    signal = m.work[0]
    signal.fill(0)
    for o in range(len(m.error)):
        if m.error[o] != 0:
            for n in range(len(m.spike)):
                signal[n] += p.feedback[o, n] * m.error[o]
        m.posted[1, 0, o], m.posted[1, 1, o] = scalars.both_signs(m.error[o])
    for n in range(len(m.spike)):
        m.posted[0, 0, n], m.posted[0, 1, n] = scalars.posted(m.psi[n], signal[n], p.signal_shift, p.trace_max)


@njit
def _remember(p, m, matrix, draw):
    """The engine's x1, x2 of a matrix after this epoch."""
    for i in range(p.inputs[matrix] * p.halves[matrix]):
        sent = m.sent[matrix, i]
        if p.payload_to_x1[matrix] == OVERWRITE and sent != 0:
            m.trace[matrix, 0, i] = _halved(sent)
        elif p.payload_to_x1[matrix] == ADD:
            m.trace[matrix, 0, i] = min(engine.TRACE_MAX, m.trace[matrix, 0, i] + _halved(sent))
        for k in range(2):
            trace = m.trace[matrix, k, i]
            for tick in range(1, PHASES + 1):
                trace = _decayed(trace, p.decay[matrix, k], draw[engine.DECAY_X])
                if tick == p.arrival[matrix] and sent != 0:
                    trace = _increased(trace, p.impulse[matrix, k, 0], p.impulse[matrix, k, 1], draw[engine.IMPULSE])
            m.trace[matrix, k, i] = trace


@njit
def _learn(p, m, matrix, draw):
    """The end of an epoch: the traces meet what was posted, and move the weights. Without a product they stay."""
    _remember(p, m, matrix, draw)
    size, posted = p.size[matrix], m.posted[matrix // OUTPUT]
    y = m.work[:, :size]
    for n in range(size):
        for k in range(2):
            y[k, n] = posted[k, n]
            for _ in range(p.use[matrix]):
                y[k, n] = _decayed(y[k, n], p.decay_y, draw[engine.DECAY_Y])
    for i in range(p.inputs[matrix] * p.halves[matrix]):
        x1, x2 = m.trace[matrix, 0, i], m.trace[matrix, 1, i]
        if (m.sent[matrix, i] != 0 or not p.gated) and (x1 != 0 or x2 != 0):
            _move(p.terms[matrix], m.weight[matrix, i, :size], x1, x2, y, int(draw[engine.DITHER]))


@njit
def _move(terms, weight, x1, x2, y, dither):
    """The rule's products with traces x1, x2 for a row of weights."""
    for n in range(len(weight)):
        total = np.int64(weight[n]) << engine.ACCUMULATOR
        for k in range(2):
            source, shift, falling = terms[k, SOURCE], terms[k, SHIFT], terms[k, FALLING]
            if source != NO_TERM:
                x = x2 if source else x1
                total = _accumulated(total, x, y[1 - falling, n], shift)
                total = _accumulated(total, -x, y[falling, n], shift)
        weight[n] = _rounded(total, dither)


@njit
def _start(m):
    """The first step of a sample. The engine's traces stay."""
    m.filters.fill(0)
    m.states.fill(0)
    m.spike.fill(0)
    m.potential.fill(0)


@njit
def _keep(m, record, t, i):
    """Record step `t` of sample `i`."""
    for o in range(len(m.potential)):
        record.potential[i, t, o] = m.potential[o]
    if len(record.spikes) > 0:
        for n in range(len(m.spike)):
            record.spikes[i, t, n] = m.spike[n]
            record.hidden[0, i, t, n], record.hidden[1, i, t, n] = m.states[0, n], m.soma[n]
        for layer in range(2):
            for sign in range(2):
                for n in range(m.posted.shape[2]):
                    record.posted[i, layer, sign, t, n] = m.posted[layer, sign, n]


@njit
def _keep_weights(m, record, i):
    """Record the weights after sample `i`."""
    for matrix in range(MATRICES):
        for j in range(m.weight.shape[1]):
            for n in range(m.weight.shape[2]):
                record.weight[i, matrix, j, n] = m.weight[matrix, j, n]


@kernel
def run_samples(p, m, x, labels, targets, draws, record):
    """Run, and if the program says so learn, samples `x` [S, T + idle, M] of classes `labels` [S].

    targets: [classes, T, O], the potentials that a sample of each class should have. draws: [3, S (T + idle), 4],
    see `engine.draws`. record: the results.
    """
    steps, idle = record.potential.shape[1], x.shape[1] - record.potential.shape[1]
    for i in range(len(x)):
        _start(m)
        for t in range(steps + idle):
            _send(p, m, RECURRENT, m.spike[: p.inputs[RECURRENT]], t)
            _send(p, m, INPUT, x[i, t], t)
            _deliver(p, m, INPUT)
            _deliver(p, m, RECURRENT)
            _advance(p, m, t)
            _send(p, m, OUTPUT, m.spike, t)
            _deliver(p, m, OUTPUT)
            _compare(p, m, targets[labels[i]], t)
            if p.learns:
                _post(p, m)
                for matrix in range(MATRICES):
                    _learn(p, m, matrix, draws[matrix, i * (steps + idle) + t])
            if t < steps:
                _keep(m, record, t, i)
        if len(record.weight) > 0:
            _keep_weights(m, record, i)
