"""Learning compiled, the variant `exact`: one sample after the other, to the bit what the reference gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.network import Layer, Synapses
from tclif_neuro.onchip.exact.kernel import (
    HITS,
    KINDS,
    LOST,
    OF,
    POSTED,
    SATURATED,
    TRACE,
    Memory,
    Program,
    Record,
    learn_samples,
)
from tclif_neuro.onchip.rule.connection import Coefficients
from tclif_neuro.onchip.rule.losses import Losses
from tclif_neuro.onchip.rule.matrices import Matrix, matrices, synapses_of
from tclif_neuro.onchip.rule.setup import LearningSetup, Plasticity
from tclif_neuro.onchip.run import LayerTrace, LearningRun, after

Ints = npt.NDArray[Any]


def learn_exact(setup: LearningSetup, encoded: Ints, labels: Ints, *, record: bool = False) -> LearningRun:
    """`onchip.learn` for the encoded input [T, S, M] and the checked labels [S]."""
    steps, samples = encoded.shape[:2]
    program = _program(setup)
    memory = _memory(setup, program)
    recorded = _record(memory, steps, samples, record)
    by_sample = np.array(encoded.transpose(1, 0, 2), np.int64, order="C")
    targets = np.stack([setup.targets(label, steps) for label in range(setup.net.outputs)])
    learn_samples(program, memory, by_sample, labels, targets, setup.learnt, recorded)
    weight = memory.weight.swapaxes(1, 2)
    return LearningRun(
        setup=after(setup, {matrix: _own(setup, weight, matrix) for matrix in matrices(setup.net)}, samples),
        potential=recorded.potential,
        error=recorded.error,
        layers=tuple(_layer_trace(setup, recorded, i) for i in range(len(setup.net.layers))) if record else (),
        losses=_losses(setup, memory.counts),
    )


def _rules(setup: LearningSetup) -> list[Plasticity | None]:
    """The rule of each matrix number, None too where there is no such matrix."""
    found = {matrix.number: setup.rule(matrix) for matrix in matrices(setup.net)}
    return [found.get(number) for number in range(2 * len(setup.net.layers))]


def _synapses(setup: LearningSetup) -> list[Synapses | None]:
    """The synapses of each matrix number."""
    return [synapses for layer in setup.net.layers for synapses in (layer.synapses, layer.recurrent)]


def _program(setup: LearningSetup) -> Program:
    """The constants of `setup`."""
    layers, synapses = setup.net.layers, _synapses(setup)
    rules = [rule or Plasticity(rate_shift=0, trace_shift=0) for rule in _rules(setup)]
    rows = max(len(layer.neuron.a1) for layer in layers)
    return Program(
        size=np.array([layer.size for layer in layers]),
        inputs=np.array([0 if s is None else s.weight.shape[1] for s in synapses]),
        learns=np.array([rule is not None for rule in _rules(setup)]),
        exponent=np.array([0 if s is None else s.exponent for s in synapses]),
        kind=np.array([KINDS[layer.neuron.reset] for layer in layers]),
        coefficients=_padded([_coefficients(layer, rows) for layer in layers]),
        bias=_padded([layer.bias for layer in layers]),
        gamma=np.array([layer.neuron.gamma for layer in layers]),
        vth=np.array([layer.neuron.vth for layer in layers]),
        eligibility=_padded([_eligibility(setup, i, rows) for i in range(len(layers))]),
        shift=np.array([[r.rate_shift, r.trace_shift, r.signal_shift, r.surrogate_shift] for r in rules]),
        delay=np.array([setup.delay(i) for i in range(len(layers))]),
        feedback=_padded([_fixed_feedback(setup, i) for i in range(len(layers))]),
        symmetric=setup.feedback == "symmetric",
        error_shift=setup.error_shift,
        trace_max=setup.trace_max,
        weight_shift=setup.weight_shift,
        low=setup.weight_range[0],
        high=setup.weight_range[1],
        update_every=setup.update_every or 0,
        stochastic=setup.rounding == "stochastic",
        seed=setup.seed,
    )


def _coefficients(layer: Layer, rows: int) -> Ints:
    """[4, rows, N]: a1, a2, b1, b2 by the step of the sample."""
    neuron = layer.neuron
    held = np.minimum(np.arange(rows), len(neuron.a1) - 1)
    values = neuron.a1[held], neuron.a2[held], neuron.b1, neuron.b2
    return np.array([np.broadcast_to(value, (rows, layer.size)) for value in values])


def _eligibility(setup: LearningSetup, index: int, rows: int) -> Ints:
    """[4, rows]: a1, a2, b1, b2 of a layer's traces; 0 where it does not learn."""
    if setup.plasticity[index] is None:
        return np.zeros((4, rows), np.int64)
    found = Coefficients.of(setup.net.layers[index])
    values = zip(*(found.at(step) for step in range(rows)), strict=True)
    return np.array([list(value) for value in values])


def _fixed_feedback(setup: LearningSetup, index: int) -> Ints:
    """[outputs, N], 0 where there is none, or where it follows the readout's weights."""
    layer = setup.net.layers[index]
    if layer.readout or setup.plasticity[index] is None or setup.feedback == "symmetric":
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
    (numbers, inputs, width), layers = weight.shape, len(program.size)
    rows = int(program.delay.max()) + 2
    return Memory(
        weight=weight,
        change=np.zeros(weight.shape),
        feedback=program.feedback.copy(),
        states=np.zeros((3, layers, width), np.int64),
        psi=np.zeros((layers, width), np.int64),
        posted=np.zeros((rows, layers, 2, width), np.int64),
        traces=np.zeros((numbers, 2, inputs), np.int64),
        kept=np.zeros((rows, numbers, inputs), np.int64),
        total=np.zeros((2, width), np.int64),
        third_factor=np.zeros(width),
        error=np.zeros(setup.net.outputs, np.int64),
        counts=np.zeros((numbers + 1, 2, 4), np.int64),
    )


def _record(memory: Memory, steps: int, samples: int, every_step: bool) -> Record:
    """Room for the results of `samples` samples."""
    _, layers, width = memory.states.shape
    numbers, inputs, _ = memory.weight.shape
    potential, error = np.zeros((samples, len(memory.error)), np.int64), np.zeros(samples, np.int64)
    steps, samples = (steps, samples) if every_step else (0, 0)
    return Record(
        potential=potential,
        error=error,
        spikes=np.zeros((layers, steps, samples, width), np.uint8),
        states=np.zeros((layers, 2, steps, samples, width), np.int32),
        posted=np.zeros((layers, 2, steps, samples, width), np.int16),
        traces=np.zeros((numbers, 2, steps, samples, inputs), np.int32),
        weight=np.zeros((numbers, samples, inputs, width), np.int16),
    )


def _own(setup: LearningSetup, weight: Ints, matrix: Matrix) -> Ints:
    """[..., N, M]: what belongs to a matrix of the padded `weight` [2 L, ..., N, M]."""
    size, inputs = synapses_of(setup.net, matrix).weight.shape
    own: Ints = weight[matrix.number, ..., :size, :inputs]
    return own


def _losses(setup: LearningSetup, counts: Ints) -> Losses:
    """The kernel's `counts` by name."""
    found: dict[str, Ints] = {"clipped_error": counts[-1, :, 0]}
    for matrix in matrices(setup.net):
        if setup.rule(matrix) is None:
            continue
        own = counts[matrix.number]
        found[f"clipped_trace_{matrix.name}"] = own[:, TRACE]
        found[f"lost_{matrix.name}"] = own[:, LOST]
        found[f"saturated_{matrix.name}"] = np.array([own[HITS, SATURATED], own[OF, LOST]])
        if not matrix.recurrent:
            found[f"clipped_posted_{matrix.layer}"] = own[:, POSTED]
    return {name: (int(hits), int(of)) for name, (hits, of) in found.items()}


def _layer_trace(setup: LearningSetup, record: Record, index: int) -> LayerTrace:
    """The record of one layer without its padding."""
    size, rules = setup.net.layers[index].size, _rules(setup)
    sizes = [s.weight.shape[1] if s and rule else 0 for s, rule in zip(_synapses(setup), rules, strict=True)]
    traces = [record.traces[number, ..., : sizes[number]] for number in (2 * index, 2 * index + 1)]
    own = [matrix for matrix in matrices(setup.net) if matrix.layer == index]
    weight = record.weight.swapaxes(-1, -2)
    return LayerTrace(
        spikes=record.spikes[index, ..., :size],
        states=record.states[index, ..., :size],
        posted=record.posted[index, ..., :size],
        eligibility=np.concatenate(traces, axis=-1),
        weight=np.concatenate([_own(setup, weight, matrix) for matrix in own], axis=-1),
    )
