"""Learning compiled, the variants `native` and `prefiltered`: to the bit what Lava's stock learning engine gives.

run = learn_stock(setup, x, labels)                            # x [T, S, M], labels [S]
more = learn_stock(run.setup, x, labels, weights=run.weights)  # goes on, with the next random numbers
potential = run_stock(setup, x, run.weights)                   # learns nothing
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.run import InputError, check_input
from tclif_neuro.network import Synapses, TCLIFNeuron
from tclif_neuro.onchip.engine.arithmetic import Y_TAU, draws, keeps, parts
from tclif_neuro.onchip.engine.kernel import Memory, Program, Record, run_samples
from tclif_neuro.onchip.engine.program import (
    ENGINE_SHIFT,
    HIDDEN,
    PHASES,
    SEND,
    StockRule,
    StockRun,
    Term,
    check_idle,
    check_stock,
    first_weights,
    halves,
    matrices,
    number,
    stock_rule,
    synapses_of,
)
from tclif_neuro.onchip.exact.reference import check_labels
from tclif_neuro.onchip.rule.connection import Coefficients
from tclif_neuro.onchip.rule.setup import LearningSetup

Ints = npt.NDArray[Any]
Weights = Mapping[tuple[int, bool], Ints]


def learn_stock(
    setup: LearningSetup,
    x: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    weights: Weights | None = None,
    idle: int = 1,
    record: bool = False,
) -> StockRun:
    """Learn the samples of the float input `x` [T, S, M], of classes `labels` [S], one after the other.

    weights: of an earlier run, to go on with; None: those of the network. idle: silent steps of the network after each
    sample, in which a `native` network's traces decay; those of a run that goes on begin at 0. record: keep the spikes,
    and the weights after every sample.

    Raises `FormatError` for a setup that the engine cannot run; `InputError` for what does not fit.
    """
    check_stock(setup)
    check_idle(idle)
    encoded = setup.net.input.encode(check_input(setup.net, x))
    steps, samples, _ = encoded.shape
    classes = check_labels(setup, labels, samples)
    rules, memory = _rules(setup, steps), _memory(setup, weights)
    result = _record(setup, memory, steps, samples, record)
    epochs = steps + idle
    drawn = [draws(setup.seed, matrix, setup.samples * epochs, samples * epochs, PHASES) for matrix in range(3)]
    run_samples(_program(setup, rules, True), memory, _padded_rows(encoded, idle), classes, np.stack(drawn), result)
    potential = result.potential.transpose(1, 0, 2)
    targets = np.stack([setup.targets(int(label), steps) for label in classes], axis=1)
    return StockRun(
        setup=replace(setup, samples=setup.samples + samples),
        weights={which: _own(setup, memory.weight, *which) for which in matrices(setup)},
        potential=potential,
        error=(setup.error(potential, targets) ** 2).sum(axis=(0, 2)),
        fit_error={which: rule.fit_error for which, rule in rules.items()},
        spikes=result.spikes.transpose(1, 0, 2) if record else None,
        history={which: _own(setup, result.weight, *which) for which in matrices(setup)} if record else None,
    )


def run_stock(setup: LearningSetup, x: npt.ArrayLike, weights: Weights | None = None) -> Ints:
    """The potentials [T, S, K] of the readout for the float input `x` [T, S, M]; nothing is learnt."""
    check_stock(setup)
    encoded = setup.net.input.encode(check_input(setup.net, x))
    steps, samples, _ = encoded.shape
    memory = _memory(setup, weights)
    result = _record(setup, memory, steps, samples, False)
    program = _program(setup, _rules(setup, steps), False)
    run_samples(program, memory, _padded_rows(encoded, 0), np.zeros(samples, np.int64), np.zeros((3, 0, 4)), result)
    return result.potential.transpose(1, 0, 2)


def _padded_rows(encoded: Ints, idle: int) -> Ints:
    """[T, S, M] -> [S, T + idle, M]."""
    return np.ascontiguousarray(np.pad(encoded.transpose(1, 0, 2), ((0, 0), (0, idle), (0, 0))), np.int64)


def _own(setup: LearningSetup, weight: Ints, layer: int, recurrent: bool) -> Ints:
    """[..., N, M]: what belongs to a matrix of the padded `weight` [..., 3, M, N]."""
    size, inputs = synapses_of(setup, layer, recurrent).weight.shape
    own = weight[..., number(layer, recurrent), : inputs * halves(setup, layer), :size]
    return own.swapaxes(-1, -2).astype(np.int64)


def _rules(setup: LearningSetup, steps: int) -> dict[tuple[int, bool], StockRule]:
    """What the synapses of each matrix are told. steps: of a sample."""
    return {which: stock_rule(setup, *which, steps) for which in matrices(setup)}


def _program(setup: LearningSetup, rules: Mapping[tuple[int, bool], StockRule], learns: bool) -> Program:
    """The constants of `setup`."""
    hidden, readout = setup.net.layers
    neuron, found = hidden.neuron, setup.rules[0]
    assert isinstance(neuron, TCLIFNeuron) and found is not None
    schedules = np.array([_schedule(Coefficients.of(layer), len(neuron.a1)) for layer in (hidden, hidden, readout)])
    width = max(hidden.size, readout.size)
    gated = rules[0, False].gated
    arrival = np.array([SEND, SEND, HIDDEN]) + 1

    def each(value: Callable[[StockRule, Synapses, int], Any]) -> Ints:
        rows = [np.array(value(rule, synapses_of(setup, *which), which[0])) for which, rule in rules.items()]
        out = np.zeros((3, *rows[0].shape), rows[0].dtype)
        out[[number(*which) for which in rules]] = rows
        return out

    return Program(
        filtered=setup.variant == "prefiltered",
        learns=learns,
        inputs=each(lambda rule, synapses, layer: synapses.weight.shape[1]),
        halves=each(lambda rule, synapses, layer: halves(setup, layer)),
        size=each(lambda rule, synapses, layer: setup.net.layers[layer].size),
        exponent=each(lambda rule, synapses, layer: synapses.exponent + rule.payload_shift),
        coefficients=schedules[0],
        readout_keep=int(schedules[2, 1, 0]),
        bias=np.array([np.resize(layer.bias, width) for layer in (hidden, readout)], np.int64),
        gamma=neuron.gamma,
        vth=neuron.vth,
        eligibility=schedules,
        payload_shift=each(lambda rule, synapses, layer: rule.payload_shift),
        gated=gated,
        payload_to_x1=each(lambda rule, synapses, layer: rule.graded_cfg),
        arrival=arrival,
        use=arrival if gated else np.full(3, PHASES),
        keep=each(lambda rule, synapses, layer: _pair(keeps(rule.tau).tolist())),
        keep_y=float(keeps((Y_TAU,))[0]),
        impulse=each(lambda rule, synapses, layer: [parts(impulse) for impulse in _pair(rule.impulse)]),
        terms=each(lambda rule, synapses, layer: _terms(rule.terms)),
        feedback=np.ascontiguousarray(setup.feedback_weights(0).T),
        signal_shift=found.signal_shift,
        surrogate_shift=found.surrogate_shift,
        target=np.array(setup.target),
        other=setup.other,
        error_shift=setup.error_shift,
        trace_max=setup.trace_max,
    )


def _schedule(coefficients: Coefficients, rows: int) -> Ints:
    """[4, rows]: a1, a2, b1, b2."""
    return np.ascontiguousarray(np.array([coefficients.at(row) for row in range(rows)], np.int64).T)


def _pair(values: Sequence[float]) -> list[float]:
    """Those of x1 and x2; 0 for a trace that is not used."""
    return [*values, 0.0, 0.0][:2]


def _terms(terms: Sequence[Term]) -> list[tuple[int, int, int]]:
    """Trace, from 0, k of 2^k and whether it falls; -1 for a term that there is not."""
    found = [(term.trace - 1, ENGINE_SHIFT[1] - term.shift, int(term.falling)) for term in terms]
    return [*found, (-1, 0, 0), (-1, 0, 0)][:2]


def _memory(setup: LearningSetup, weights: Weights | None) -> Memory:
    """At rest, with `weights` or those of `setup`."""
    first = {which: first_weights(setup, *which) for which in matrices(setup)}
    given = first if weights is None else {which: np.asarray(weights.get(which, ())) for which in first}
    for which, weight in given.items():
        if weight.shape != first[which].shape:
            shapes = f"{list(first[which].shape)} expected, got {list(weight.shape)}"
            raise InputError(f"weights: of matrix {which}, {shapes}")
    rows, width = (max(weight.shape[axis] for weight in first.values()) for axis in (1, 0))
    weight = np.zeros((3, rows, width), np.int32)
    for which, mantissas in given.items():
        weight[number(*which), : mantissas.shape[1], : mantissas.shape[0]] = mantissas.T
    hidden, outputs = setup.net.layers[0].size, setup.net.outputs
    return Memory(
        weight=weight,
        trace=np.zeros((3, 2, rows), np.int64),
        sent=np.zeros((3, rows), np.int64),
        filters=np.zeros((3, 2, rows), np.int64),
        states=np.zeros((2, hidden), np.int64),
        fired=np.zeros(hidden, np.int64),
        psi=np.zeros(hidden, np.int64),
        potential=np.zeros(outputs, np.int64),
        error=np.zeros(outputs, np.int64),
        posted=np.zeros((2, 2, width), np.int64),
        total=np.zeros((3, width), np.int64),
        work=np.zeros((2, width), np.int64),
    )


def _record(setup: LearningSetup, memory: Memory, steps: int, samples: int, record: bool) -> Record:
    """Room for the results of `samples` samples."""
    kept = samples if record else 0
    return Record(
        potential=np.zeros((samples, steps, setup.net.outputs), np.int64),
        spikes=np.zeros((kept, steps, setup.net.layers[0].size), np.uint8),
        weight=np.zeros((kept, *memory.weight.shape), np.int16),
    )
