"""Learning compiled, the variant `exact`: one sample after the other, to the bit what `learn_reference` gives.

run = learn(setup, x, labels)       # x [T, S, M], labels [S]
more = learn(run.setup, x, labels)  # goes on where it stopped, with the next random bits
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.run import check_input
from tclif_neuro.network import DECAY_ONE, Layer, LIFNeuron, Synapses
from tclif_neuro.onchip.exact.kernel import DELAYED, IMMEDIATE, STOCK, Memory, Program, Record, learn_samples
from tclif_neuro.onchip.exact.reference import check_labels
from tclif_neuro.onchip.rule.connection import Coefficients
from tclif_neuro.onchip.rule.setup import LearningSetup, Plasticity
from tclif_neuro.onchip.run import LayerTrace, LearningRun, learned

Ints = npt.NDArray[Any]


def learn(setup: LearningSetup, x: npt.ArrayLike, labels: npt.ArrayLike, *, record: bool = False) -> LearningRun:
    """Learn the samples of the float input `x` [T, S, M], of classes `labels` [S], one after the other.

    record: keep every step's spikes, states and traces, and the weights after every sample.

    Raises `InputError` if an input does not fit, `FormatError` for a variant other than "exact".
    """
    setup.check_exact()
    encoded = setup.net.input.encode(check_input(setup.net, x))
    steps, samples = encoded.shape[:2]
    classes = check_labels(setup, labels, samples)
    program = _program(setup)
    memory = _memory(setup, program)
    kept = _record(memory, steps, samples if record else 0)
    potential, error = np.zeros((samples, setup.net.outputs), np.int64), np.zeros(samples, np.int64)
    by_sample = np.array(encoded.transpose(1, 0, 2), np.int64, order="C")
    learn_samples(program, memory, by_sample, classes, setup.samples, potential, error, kept)
    weights = [_own(setup, memory.weight.swapaxes(1, 2), i) for i in range(len(setup.net.layers))]
    layers = tuple(_layer_trace(setup, kept, i) for i in range(len(setup.net.layers))) if record else ()
    return LearningRun(setup=learned(setup, weights, samples), potential=potential, error=error, layers=layers)


def _rules(setup: LearningSetup) -> list[Plasticity | None]:
    """The rule of each matrix, those of a layer's input and recurrent synapses in turns."""
    return [
        setup.rule(i, recurrent=recurrent) if layer.recurrent or not recurrent else None
        for i, layer in enumerate(setup.net.layers)
        for recurrent in (False, True)
    ]


def _synapses(setup: LearningSetup) -> list[Synapses | None]:
    """The synapses of each matrix, in the same order."""
    return [synapses for layer in setup.net.layers for synapses in (layer.synapses, layer.recurrent)]


def _program(setup: LearningSetup) -> Program:
    """The constants of `setup`."""
    layers, synapses = setup.net.layers, _synapses(setup)
    rules = [rule or Plasticity(rate_shift=0, trace_shift=0) for rule in _rules(setup)]
    rows = max(1 if isinstance(layer.neuron, LIFNeuron) else len(layer.neuron.a1) for layer in layers)
    return Program(
        size=np.array([layer.size for layer in layers]),
        inputs=np.array([0 if s is None else s.weight.shape[1] for s in synapses]),
        learns=np.array([rule is not None for rule in _rules(setup)]),
        exponent=np.array([0 if s is None else s.exponent for s in synapses]),
        kind=np.array([_kind(layer) for layer in layers]),
        coefficients=_padded([_coefficients(layer, rows) for layer in layers]),
        bias=_padded([layer.bias for layer in layers]),
        gamma=np.array([0 if isinstance(layer.neuron, LIFNeuron) else layer.neuron.gamma for layer in layers]),
        vth=np.array([layer.neuron.vth for layer in layers]),
        eligibility=_padded([_eligibility(setup, i, rows) for i in range(len(layers))]),
        shift=np.array([[r.rate_shift, r.trace_shift, r.signal_shift, r.surrogate_shift] for r in rules]),
        delay=np.array([setup.delay(i) for i in range(len(layers))]),
        feedback=_padded([_fixed_feedback(setup, i) for i in range(len(layers))]),
        symmetric=setup.feedback == "symmetric",
        target=np.array(setup.target),
        other=setup.other,
        error_shift=setup.error_shift,
        trace_max=setup.trace_max,
        weight_shift=setup.weight_shift,
        low=setup.weight_range[0],
        high=setup.weight_range[1],
        epoch=setup.epoch or 0,
        stochastic=setup.rounding == "stochastic",
        seed=setup.seed,
    )


def _kind(layer: Layer) -> int:
    if isinstance(layer.neuron, LIFNeuron):
        return STOCK
    return DELAYED if layer.neuron.reset == "delayed" else IMMEDIATE


def _coefficients(layer: Layer, rows: int) -> Ints:
    """[4, rows, N]: a1, a2, b1, b2 by the step of the sample; of a stock LIF the two decays first."""
    neuron = layer.neuron
    if isinstance(neuron, LIFNeuron):
        values: list[Any] = [DECAY_ONE - neuron.i_decay, DECAY_ONE - neuron.v_decay, 0, 0]
    else:
        held = np.minimum(np.arange(rows), len(neuron.a1) - 1)
        values = [neuron.a1[held], neuron.a2[held], neuron.b1, neuron.b2]
    return np.array([np.broadcast_to(value, (rows, layer.size)) for value in values])


def _eligibility(setup: LearningSetup, index: int, rows: int) -> Ints:
    """[4, rows]: a1, a2, b1, b2 of a layer's traces; 0 where it does not learn."""
    if setup.rules[index] is None:
        return np.zeros((4, rows), np.int64)
    found = Coefficients.of(setup.net.layers[index])
    values = zip(*(found.at(step) for step in range(rows)), strict=True)
    return np.array([list(value) for value in values])


def _fixed_feedback(setup: LearningSetup, index: int) -> Ints:
    """[outputs, N], 0 where there is none, or where it follows the readout's weights."""
    layer = setup.net.layers[index]
    if layer.readout or setup.rules[index] is None or setup.feedback == "symmetric":
        return np.zeros((setup.net.outputs, layer.size), np.int64)
    return setup.feedback_weights(index).T


def _padded(arrays: Sequence[Ints]) -> Ints:
    """The arrays as one of int64, each filled up with 0."""
    out = np.zeros((len(arrays), *np.max([array.shape for array in arrays], axis=0)), np.int64)
    for row, array in zip(out, arrays, strict=True):
        row[tuple(slice(n) for n in array.shape)] = array
    return out


def _memory(setup: LearningSetup, program: Program) -> Memory:
    """At rest, with the weights of `setup`."""
    weights = [np.zeros((0, 0)) if s is None else s.weight.T for s in _synapses(setup)]
    weight = _padded(weights)
    (matrices, inputs, width), layers = weight.shape, len(program.size)
    rows = int(program.delay.max()) + 2
    return Memory(
        weight=weight,
        change=np.zeros(weight.shape),
        feedback=program.feedback.copy(),
        states=np.zeros((3, layers, width), np.int64),
        psi=np.zeros((layers, width), np.int64),
        posted=np.zeros((rows, layers, 2, width), np.int64),
        traces=np.zeros((matrices, 2, inputs), np.int64),
        kept=np.zeros((rows, matrices, inputs), np.int64),
        total=np.zeros((2, width), np.int64),
        third_factor=np.zeros(width),
        error=np.zeros(setup.net.outputs, np.int64),
    )


def _record(memory: Memory, steps: int, samples: int) -> Record:
    """Room for the records of `samples` samples."""
    _, layers, width = memory.states.shape
    matrices, inputs, _ = memory.weight.shape
    steps = steps if samples else 0
    return Record(
        spikes=np.zeros((layers, steps, samples, width), np.uint8),
        states=np.zeros((layers, 2, steps, samples, width), np.int32),
        posted=np.zeros((layers, 2, steps, samples, width), np.int16),
        traces=np.zeros((matrices, 2, steps, samples, inputs), np.int32),
        weight=np.zeros((matrices, samples, inputs, width), np.int16),
    )


def _own(setup: LearningSetup, weight: Ints, layer: int) -> list[Ints]:
    """What belongs to a layer of the padded `weight` [2 L, ..., N, M]: that of its inputs, and its recurrent one."""
    matrices = _synapses(setup)[2 * layer : 2 * layer + 2]
    shapes = [synapses.weight.shape for synapses in matrices if synapses is not None]
    return [weight[2 * layer + i, ..., :n, :m] for i, (n, m) in enumerate(shapes)]


def _layer_trace(setup: LearningSetup, record: Record, index: int) -> LayerTrace:
    """The record of one layer without its padding."""
    size, rules = setup.net.layers[index].size, _rules(setup)
    sizes = [s.weight.shape[1] if s and rule else 0 for s, rule in zip(_synapses(setup), rules, strict=True)]
    traces = [record.traces[matrix, ..., : sizes[matrix]] for matrix in (2 * index, 2 * index + 1)]
    return LayerTrace(
        spikes=record.spikes[index, ..., :size],
        states=record.states[index, ..., :size],
        posted=record.posted[index, ..., :size],
        eligibility=np.concatenate(traces, axis=-1),
        weight=np.concatenate(_own(setup, record.weight.swapaxes(-1, -2), index), axis=-1),
    )
