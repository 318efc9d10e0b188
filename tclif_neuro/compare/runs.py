"""Do two executors agree, and where do they first part? Pure functions from runs to numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.compare.activity import Activity, Trace, kind, logits, of_run, of_trace, outputs
from tclif_neuro.errors import TclifError
from tclif_neuro.fixed.run import LayerRun, Run, numbers
from tclif_neuro.network import Layer, QuantizedNetwork
from tclif_neuro.score import Score, per_step, score

Array = npt.NDArray[Any]
Pair = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The one number in which two runs first differ.

    step: of the sample; None for a total over it (its spike count, its final state). layer: from 0; -1 is the encoded
    input. quantity: "spike", a state's name, ... left, right: the two values, integers as the executors hold them.
    around: the states of that neuron at that step, in float units (name, left, right), where values are not integers.
    """

    step: int | None
    layer: int
    sample: int
    neuron: int
    quantity: str
    left: int
    right: int
    around: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class LayerComparison:
    """Two runs of one layer.

    rates: spikes per neuron and step. agreement: the share of (step, sample, neuron) at which both spike or both do
    not; state_rms: the root mean square difference of the states, in float units; None where a run kept no sequences.
    saturations: how often a state left its 24 bits; None where it was not counted.
    """

    kind: str
    neurons: int
    rates: Pair
    agreement: float | None
    state_rms: float | None
    saturations: tuple[int | None, int | None]
    first: Difference | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs of one network on one batch.

    exact: whether every integer had to be equal (two executors), or only spikes are compared (float with integers).
    first: in order of step, layer, state before spike, sample and neuron: the cause, of which the rest follows.
    predictions: the share of samples (per step: of own steps) to which both give the same class. accuracy, error: see
    `Score`; None without classes, or values. Of samples with lengths nothing is counted after their own steps; lengths:
    of the shortest and the longest without its padding.
    """

    left: str
    right: str
    exact: bool
    samples: int
    steps: int
    lengths: tuple[int, int]
    layers: tuple[LayerComparison, ...]
    first: Difference | None
    predictions: float
    accuracy: Pair | None
    error: Pair | None = None
    per_step: bool = False

    @property
    def identical(self) -> bool:
        """True if no difference was found."""
        return self.first is None


def compare_runs(
    net: QuantizedNetwork, left: Run, right: Run, *, names: tuple[str, str], labels: npt.ArrayLike | None = None
) -> Comparison:
    """Compare two executors of integers: every spike and every state, bit for bit.

    Sequences are compared where both runs kept them, counts and final states always.
    Raises `TclifError` if the runs are not of this network or not of the same batch.
    """
    _check_layers(net, left, names[0])
    _check_layers(net, right, names[1])
    inputs = _first_difference(-1, "input", left.input, right.input)
    layers = tuple(
        _compare_layer(i, layer, (left.layers[i], right.layers[i]), left.steps, _own(left))
        for i, layer in enumerate(net.layers)
    )
    targets = None if labels is None else numbers(labels, "labels")
    return _comparison(names, True, left, layers, inputs, (answers(left, targets), answers(right, targets)), targets)


def compare_float(
    net: QuantizedNetwork,
    traces: Sequence[Trace],
    run: Run,
    *,
    names: tuple[str, str] = ("float", "integer"),
    labels: npt.ArrayLike | None = None,
) -> Comparison:
    """Compare the float model `net` was made from (`neurons.trace.trace`) with a recorded run of integers.

    States never agree to the bit and are given as a root mean square; the first difference is that of a spike.
    """
    floats, integers = of_trace(net, traces), of_run(net, run)
    saturations = [done.saturations for done in run.layers]
    layers = tuple(
        _compare_float_layer(i, a, b, saturated, _own(run))
        for i, (a, b, saturated) in enumerate(zip(floats, integers, saturations, strict=True))
    )
    targets = None if labels is None else numbers(labels, "labels")
    ours = outputs(net, floats) if targets is not None and per_step(targets) else logits(net, floats)
    return _comparison(names, False, run, layers, None, (ours, answers(run, targets)), targets)


def answers(run: Run, targets: Array | None) -> Array:
    """Return the outputs to compare with targets: at the end [B, K], or after each step [T, B, K] if they are per step.

    The integers themselves for classes; real targets are compared with the units of the float model.
    """
    steps = targets is not None and per_step(targets)
    if targets is not None and targets.dtype.kind == "f":
        return run.float_outputs if steps else run.float_logits
    return run.outputs if steps else run.logits


def score_of(run: Run, targets: npt.ArrayLike | None) -> Score:
    """Return the score of a run; an empty `Score` without targets."""
    if targets is None:
        return Score()
    wanted = np.asarray(targets)
    return score(answers(run, wanted), wanted)


def _own(run: Run) -> Array:
    """[T, B]: whether a step is the sample's own."""
    return np.arange(len(run.input))[:, None] < run.ends


def _comparison(
    names: tuple[str, str],
    exact: bool,
    run: Run,
    layers: tuple[LayerComparison, ...],
    inputs: Difference | None,
    said: tuple[Array, Array],
    targets: Array | None,
) -> Comparison:
    left, right = (values.argmax(axis=-1) for values in said)
    same = left == right
    scores = [score(values, targets) if targets is not None else Score() for values in said]
    found = [d for d in (inputs, *(layer.first for layer in layers)) if d is not None]
    return Comparison(
        left=names[0],
        right=names[1],
        exact=exact,
        steps=run.input.shape[0],
        samples=run.input.shape[1],
        lengths=run.step_range,
        layers=layers,
        first=min(found, key=lambda d: (_when(d), d.layer), default=None),
        predictions=float(same[_own(run)].mean() if same.ndim == 2 else same.mean()),
        accuracy=_pair(*(found.accuracy for found in scores)),
        error=_pair(*(found.error for found in scores)),
        per_step=scores[0].per_step,
    )


def _pair(left: float | None, right: float | None) -> Pair | None:
    return None if left is None or right is None else (left, right)


def _check_layers(net: QuantizedNetwork, run: Run, name: str) -> None:
    sizes = [layer.size for layer in net.layers]
    got = [layer.counts.shape[-1] for layer in run.layers]
    if got != sizes:
        raise TclifError(f"{name}: a run of layers {got}; the network's are {sizes}")


def _compare_layer(i: int, layer: Layer, runs: tuple[LayerRun, LayerRun], steps: int, own: Array) -> LayerComparison:
    left, right = runs
    found = [d for name, a, b in _quantities(layer, left, right) if (d := _first_difference(i, name, a, b))]
    states = agreement = None
    if left.recorded and right.recorded:
        agreement = _agreement(left.spikes, right.spikes, own)
        difference = left.states.astype(np.float64) - right.states
        states = _rms(np.ldexp(difference, -layer.scale_bits)[:, own])
    return LayerComparison(
        kind=kind(layer),
        neurons=layer.size,
        rates=(_rate(left.counts.sum(), steps, layer), _rate(right.counts.sum(), steps, layer)),
        agreement=agreement,
        state_rms=states,
        saturations=(_counted(left.saturations), _counted(right.saturations)),
        first=min(found, key=_when, default=None),
    )


def _quantities(layer: Layer, left: LayerRun, right: LayerRun) -> Iterator[tuple[str, Array, Array]]:
    """Every pair of arrays that must be equal, causes before what follows of them."""
    names = layer.neuron.state_names
    if left.recorded and right.recorded:
        yield from zip(names, left.states, right.states, strict=True)
        yield "spike", left.spikes, right.spikes
    yield from zip([f"final {name}" for name in names], left.final, right.final, strict=True)
    yield "spike count", left.counts, right.counts


def _rate(spikes: int, steps: int, layer: Layer) -> float:
    return float(spikes / (steps * layer.size))


def _compare_float_layer(i: int, left: Activity, right: Activity, saturations: int, own: Array) -> LayerComparison:
    shared = [name for name in left.states if name in right.states]
    first = _first_difference(i, "spike", left.spikes, right.spikes)
    if first is not None:
        at = first.step, first.sample, first.neuron
        around = tuple((name, float(left.states[name][at]), float(right.states[name][at])) for name in shared)
        first = replace(first, around=around)
    return LayerComparison(
        kind=right.kind,
        neurons=right.spikes.shape[-1],
        rates=(float(left.spikes[own].mean()), float(right.spikes[own].mean())),
        agreement=_agreement(left.spikes, right.spikes, own),
        state_rms=_rms(np.stack([(left.states[name] - right.states[name])[own] for name in shared])),
        saturations=(None, _counted(saturations)),
        first=first,
    )


def _first_difference(layer: int, quantity: str, left: Array, right: Array) -> Difference | None:
    """The first difference of two arrays [T, B, N], or of two totals [B, N]."""
    if left.shape != right.shape:
        raise TclifError(
            f"layer {layer}, {quantity}: shapes {list(left.shape)} and {list(right.shape)}; compare runs of one batch"
        )
    differs = left != right
    if not differs.any():
        return None
    at = tuple(int(i) for i in np.unravel_index(int(differs.argmax()), differs.shape))
    return Difference(
        step=at[0] if len(at) == 3 else None,
        layer=layer,
        sample=at[-2],
        neuron=at[-1],
        quantity=quantity,
        left=int(left[at]),
        right=int(right[at]),
    )


def _when(difference: Difference) -> float:
    """The step, totals after every step: the key by which the first of several differences is found."""
    return float("inf") if difference.step is None else difference.step


def _agreement(left: Array, right: Array, own: Array) -> float:
    return float(np.mean((left == right)[own]))


def _rms(difference: Array) -> float:
    return float(np.sqrt(np.mean(np.square(difference))))


def _counted(saturations: int) -> int | None:
    return None if saturations < 0 else saturations
