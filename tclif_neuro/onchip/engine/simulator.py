"""Learning compiled, the variants `native` and `prefiltered`: to the bit what Lava's learning engine gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.network import TCLIFNeuron
from tclif_neuro.onchip.engine.arithmetic import Y_TAU, decay_factors, draws, impulse_parts
from tclif_neuro.onchip.engine.kernel import MATRICES, NO_TERM, Memory, Program, Record, run_samples
from tclif_neuro.onchip.engine.program import (
    ENGINE_SHIFT,
    HIDDEN,
    PHASES,
    SEND,
    EngineRule,
    Term,
    after,
    check_engine,
    engine_rules,
    halves,
    state_of,
)
from tclif_neuro.onchip.rule.connection import Coefficients
from tclif_neuro.onchip.rule.matrices import Matrix, matrices, synapses_of
from tclif_neuro.onchip.rule.setup import LearningSetup
from tclif_neuro.onchip.run import LayerTrace, LearningRun

Ints = npt.NDArray[Any]


def learn_engine(setup: LearningSetup, encoded: Ints, labels: Ints, *, record: bool = False) -> LearningRun:
    """`onchip.learn` for the encoded input [T, S, M] and the checked labels [S].

    Raises `FormatError` for a setup that the engine cannot run.
    """
    check_engine(setup)
    (steps, samples, _), idle = encoded.shape, setup.idle_steps
    rules, memory = engine_rules(setup, steps), _memory(setup)
    result = _record(memory, steps, samples, record)
    before, epochs = state_of(setup).epochs, samples * (steps + idle)
    drawn = [draws(setup.seed, number, before, epochs, PHASES) for number in range(MATRICES)]
    targets = np.stack([setup.targets(label, steps) for label in range(setup.net.outputs)])
    program = _program(setup, rules, learns=True)
    run_samples(program, memory, _by_sample(encoded, idle), labels, targets, np.stack(drawn), result)
    found = matrices(setup.net)
    weights = {matrix: _own(setup, memory.weight, matrix) for matrix in found}
    traces = {matrix: memory.trace[matrix.number, :, : weights[matrix].shape[1]].copy() for matrix in found}
    wanted = targets[labels].transpose(1, 0, 2)
    return LearningRun(
        setup=after(setup, weights, traces, steps=steps, samples=samples),
        potential=result.potential[:, -1],
        error=(setup.error(result.potential.transpose(1, 0, 2), wanted) ** 2).sum(axis=(0, 2)),
        layers=_layers(setup, result) if record else (),
        fit_error={matrix: rule.fit_error for matrix, rule in rules.items()},
    )


def run_engine(setup: LearningSetup, encoded: Ints) -> npt.NDArray[np.int64]:
    """The readout's potentials [S, K] for the encoded input [T, S, M]; nothing is learnt."""
    check_engine(setup)
    steps, samples, _ = encoded.shape
    memory = _memory(setup)
    result = _record(memory, steps, samples, False)
    program = _program(setup, engine_rules(setup, steps), learns=False)
    nothing = np.zeros(samples, np.int64), np.zeros((1, steps, setup.net.outputs), np.int64)
    run_samples(program, memory, _by_sample(encoded, 0), *nothing, np.zeros((MATRICES, 0, 4)), result)
    return result.potential[:, -1]


def _by_sample(encoded: Ints, idle: int) -> Ints:
    """[T, S, M] -> [S, T + idle, M]."""
    return np.ascontiguousarray(np.pad(encoded.transpose(1, 0, 2), ((0, 0), (0, idle), (0, 0))), np.int64)


def _own(setup: LearningSetup, weight: Ints, matrix: Matrix) -> Ints:
    """[..., N, M]: what belongs to a matrix of the padded `weight` [..., MATRICES, M, N]."""
    size, inputs = synapses_of(setup.net, matrix).weight.shape
    own = weight[..., matrix.number, : inputs * halves(setup, matrix.layer), :size]
    return own.swapaxes(-1, -2).astype(np.int64)


def _layers(setup: LearningSetup, result: Record) -> tuple[LayerTrace, ...]:
    """Return the record of the hidden layer and of the readout, without its padding."""
    states = [result.hidden, np.stack([np.zeros_like(result.potential), result.potential])]
    layers = []
    for index, (layer, state) in enumerate(zip(setup.net.layers, states, strict=True)):
        state = state.transpose(0, 2, 1, 3).astype(np.int32)
        spikes = result.spikes.transpose(1, 0, 2) if index == 0 else np.zeros(state.shape[1:], np.uint8)
        weight = [_own(setup, result.weight, matrix) for matrix in matrices(setup.net) if matrix.layer == index]
        layers.append(
            LayerTrace(
                spikes=spikes,
                states=state,
                posted=result.posted[:, index, :, :, : layer.size].transpose(1, 2, 0, 3),
                eligibility=np.zeros((*state.shape[:3], 0), np.int32),
                weight=np.concatenate(weight, axis=-1).astype(np.int16),
            )
        )
    return tuple(layers)


def _program(setup: LearningSetup, rules: dict[Matrix, EngineRule], *, learns: bool) -> Program:
    """The constants of `setup`."""
    hidden, readout = setup.net.layers
    neuron, found = hidden.neuron, setup.plasticity[0]
    assert isinstance(neuron, TCLIFNeuron) and found is not None
    schedules = np.array([_schedule(Coefficients.of(layer), len(neuron.a1)) for layer in (hidden, hidden, readout)])
    width = max(hidden.size, readout.size)
    gated = rules[Matrix(0)].gated
    arrival = np.array([SEND, SEND, HIDDEN]) + 1
    return Program(
        filtered=setup.variant == "prefiltered",
        learns=learns,
        **_of_each_matrix(setup, rules),
        coefficients=schedules[0],
        readout_decay=int(schedules[2, 1, 0]),
        bias=np.array([np.resize(layer.bias, width) for layer in (hidden, readout)], np.int64),
        gamma=neuron.gamma,
        vth=neuron.vth,
        eligibility=schedules,
        gated=gated,
        arrival=arrival,
        use=arrival if gated else np.full(MATRICES, PHASES),
        decay_y=float(decay_factors((Y_TAU,))[0]),
        feedback=np.ascontiguousarray(setup.feedback_weights(0).T),
        signal_shift=found.signal_shift,
        surrogate_shift=found.surrogate_shift,
        error_shift=setup.error_shift,
        trace_max=setup.trace_max,
    )


def _of_each_matrix(setup: LearningSetup, rules: dict[Matrix, EngineRule]) -> dict[str, Ints]:
    """The program's rows of each matrix by their names, 0 for a matrix that there is not."""
    rows = {matrix.number: _row(setup, matrix, rule) for matrix, rule in rules.items()}
    table = {}
    for name, first in rows[Matrix(0).number].items():
        table[name] = np.zeros((MATRICES, *np.shape(first)), np.asarray(first).dtype)
        for number, row in rows.items():
            table[name][number] = row[name]
    return table


def _row(setup: LearningSetup, matrix: Matrix, rule: EngineRule) -> dict[str, Any]:
    """Return the program's entries for one matrix."""
    synapses = synapses_of(setup.net, matrix)
    size, inputs = synapses.weight.shape
    return {
        "inputs": inputs,
        "halves": halves(setup, matrix.layer),
        "size": size,
        "exponent": synapses.exponent + rule.payload_shift,
        "payload_shift": rule.payload_shift,
        "payload_to_x1": rule.graded_cfg,
        "decay": _pair(decay_factors(rule.tau).tolist()),
        "impulse": [impulse_parts(impulse) for impulse in _pair(rule.impulse)],
        "terms": _terms(rule.terms),
    }


def _schedule(coefficients: Coefficients, rows: int) -> Ints:
    """[4, rows]: a1, a2, b1, b2."""
    return np.ascontiguousarray(np.array([coefficients.at(row) for row in range(rows)], np.int64).T)


def _pair(values: Sequence[float]) -> list[float]:
    """Those of x1 and x2; 0 for a trace that is not used."""
    return [*values, 0.0, 0.0][:2]


def _terms(terms: Sequence[Term]) -> list[tuple[int, int, int]]:
    """The columns `SOURCE`, `SHIFT` and `FALLING` of two terms; `NO_TERM` for one that there is not."""
    found = [(term.trace - 1, ENGINE_SHIFT[1] - term.shift, int(term.falling)) for term in terms]
    return [*found, (NO_TERM, 0, 0), (NO_TERM, 0, 0)][:2]


def _memory(setup: LearningSetup) -> Memory:
    """Return the memory with the engine in the state of `setup`, and all else at rest."""
    state = state_of(setup)
    rows, width = (max(weight.shape[axis] for weight in state.weights.values()) for axis in (1, 0))
    weight, trace = np.zeros((MATRICES, rows, width), np.int32), np.zeros((MATRICES, 2, rows), np.int64)
    for matrix, mantissas in state.weights.items():
        weight[matrix.number, : mantissas.shape[1], : mantissas.shape[0]] = mantissas.T
        trace[matrix.number, :, : mantissas.shape[1]] = state.traces[matrix]
    hidden, outputs = setup.net.layers[0].size, setup.net.outputs
    return Memory(
        weight=weight,
        trace=trace,
        sent=np.zeros((MATRICES, rows), np.int64),
        filters=np.zeros((MATRICES, 2, rows), np.int64),
        states=np.zeros((2, hidden), np.int64),
        soma=np.zeros(hidden, np.int64),
        spike=np.zeros(hidden, np.int64),
        psi=np.zeros(hidden, np.int64),
        potential=np.zeros(outputs, np.int64),
        error=np.zeros(outputs, np.int64),
        posted=np.zeros((2, 2, width), np.int64),
        total=np.zeros((MATRICES, width), np.int64),
        work=np.zeros((2, width), np.int64),
    )


def _record(memory: Memory, steps: int, samples: int, every_step: bool) -> Record:
    """Room for the results of `samples` samples."""
    kept, width = samples if every_step else 0, memory.posted.shape[2]
    return Record(
        potential=np.zeros((samples, steps, len(memory.error)), np.int64),
        spikes=np.zeros((kept, steps, len(memory.spike)), np.uint8),
        hidden=np.zeros((2, kept, steps, len(memory.spike)), np.int32),
        posted=np.zeros((kept, 2, 2, steps, width), np.int16),
        weight=np.zeros((kept, *memory.weight.shape), np.int16),
    )
