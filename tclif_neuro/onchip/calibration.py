"""From a network and samples to a learning setup: the shifts, the target and the step size that fit them.

`quantize` finds scales by a pass over data, and so does this: nothing is learnt, all is recorded, and each power of two
is the one by which typical values fill their bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.run import numbers
from tclif_neuro.network import COEFFICIENTS, STATE_MAX, FormatError, QuantizedNetwork
from tclif_neuro.onchip.backends import learn
from tclif_neuro.onchip.rule import equations
from tclif_neuro.onchip.rule.matrices import Matrix, matrices, weights_of, with_weights
from tclif_neuro.onchip.rule.setup import RATE_SHIFT, SHIFT, LearningSetup, Plasticity
from tclif_neuro.onchip.run import LearningRun

Ints = npt.NDArray[Any]

SAMPLES = 128  # at most, that are looked at
TYPICAL = 99.0  # percentile of the values that fill their bits; those above it are clipped
TARGET = 4.0  # of an untrained network, in root mean squares of its potentials
WIDTH = 2.0  # half the width of the surrogate's triangle, in thresholds
STEP, RECURRENT_STEP = 0.5, 4.0  # root mean square of what the first samples change, in steps of an 8-bit weight
TRAINED_STEP = 2.0**-12  # of a network that knows the samples already: the same, in root mean squares of its weights
KNOWS = 2.0  # times chance: a network that is right so often is trained

_STILL = Plasticity(rate_shift=RATE_SHIFT[1], trace_shift=0)


def calibrate(
    net: QuantizedNetwork,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    feedback: Literal["symmetric", "random"] = "symmetric",
    asked: int = 0,
    **options: Any,
) -> LearningSetup:
    """The setup by which `net` can learn samples like `x` [T, S, M] of classes `y` [S], from one pass over them.

    The layers that can learn do: the readout and, by symmetric feedback, the last hidden layer, by random feedback all
    TC-LIF layers whose neurons share their coefficients. A network that knows the samples already keeps its potentials:
    what it gives the right class on average is the target, and it changes slowly. A new network gets a target that
    grows over the sample, or from step `asked` on. options: other fields of `LearningSetup`, such as seed or
    update_every; weights that are not on the grid of `weight_bits` are rounded towards 0.

    Raises `FormatError` or `InputError` for a network or samples that cannot be learnt.

    Example:

        setup = onchip.calibrate(tn.load("digits.net"), x, y)
        run = onchip.learn(setup, x, y)
    """
    samples, labels = numbers(x), numbers(y, "labels")
    if samples.ndim != 3 or not samples.shape[1] or labels.shape[:1] != samples.shape[1:2]:
        raise FormatError(
            f"x, y: samples [T, S, M] and [S] expected, got {list(samples.shape)} and {list(labels.shape)}"
        )
    chosen = np.linspace(0, len(labels) - 1, min(SAMPLES, len(labels))).astype(int)
    net = on_grid(net, options.get("weight_bits", 8))
    still = tuple(_STILL if _learns(net, i, feedback) else None for i in range(len(net.layers)))
    setup = LearningSetup(
        net=net, plasticity=still, target=np.zeros(1, int), error_shift=0, feedback=feedback, **options
    )
    frozen = replace(setup, rounding="nearest", variant="exact", idle=None, update_every=None)
    samples, labels = samples[:, chosen], labels[chosen]
    return _fitted(setup, learn(frozen, samples, labels, record=True), labels, asked)


def on_grid(net: QuantizedNetwork, weight_bits: int) -> QuantizedNetwork:
    """`net` with mantissas that learning reaches: rounded towards 0 to those of `weight_bits` bits, and clipped."""
    step = 1 << (9 - weight_bits)
    clipped = {matrix: np.clip(weight, step - 256, 256 - step) for matrix, weight in weights_of(net).items()}
    return with_weights(net, {matrix: weight - np.fmod(weight, step) for matrix, weight in clipped.items()})


def _learns(net: QuantizedNetwork, index: int, feedback: str) -> bool:
    layer = net.layers[index]
    if layer.readout:
        return True
    reached = feedback == "random" or index == len(net.layers) - 2
    shares = all(getattr(layer.neuron, name).shape[-1] == 1 for name in COEFFICIENTS)
    return reached and layer.neuron.two_compartment and shares


@dataclass(frozen=True, kw_only=True)
class _Goal:
    """The goal of the readout: [T] for the right class, one value for the others; whether it is met already."""

    target: Ints
    others: int
    trained: bool


def _fitted(setup: LearningSetup, run: LearningRun, y: Ints, asked: int) -> LearningSetup:
    """`setup` with everything that `run`, in which it learnt nothing, says of it."""
    potential = run.layers[-1].soma.astype(np.int64)
    goal = _goal(potential, y, asked)
    setup = replace(setup, target=goal.target, target_others=goal.others)
    targets = np.stack([setup.targets(int(label), len(potential)) for label in y], axis=1)
    setup = replace(setup, error_shift=_fitting(potential - targets, setup.trace_max))
    error = setup.error(potential, targets)
    rules = [rule and _rule(setup, run, error, i, goal.trained) for i, rule in enumerate(setup.plasticity)]
    return replace(setup, plasticity=tuple(rules))


def _goal(potential: Ints, y: Ints, asked: int) -> _Goal:
    """Return where the readout, whose potentials [T, S, K] these are, should go."""
    steps, samples, outputs = potential.shape
    right = potential[:, np.arange(samples), y]
    if (potential[-1].argmax(axis=1) == y).mean() >= KNOWS / outputs and outputs > KNOWS:
        wrong = (potential.sum(axis=2) - right) / (outputs - 1)
        return _Goal(target=np.rint(right.mean(axis=1)).astype(int), others=int(wrong.mean()), trained=True)
    size = TARGET * max(1.0, float(np.sqrt((potential[-1].astype(float) ** 2).mean())))
    top = int(min(STATE_MAX / 2, size))
    ramp = np.clip(np.arange(1, steps + 1) - asked, 0, None)
    return _Goal(target=top * ramp // max(1, steps - asked), others=0, trained=False)


def _rule(setup: LearningSetup, run: LearningRun, error: Ints, index: int, trained: bool) -> Plasticity:
    """The shifts of layer `index`. error: [T, S, K]."""
    layer, limit = setup.net.layers[index], setup.trace_max
    shifts: dict[str, Any] = {}
    factor = -error
    if not layer.readout:
        factor, shifts = _factor(setup, run, error, index)
    traces = _split(setup, run.layers[index].eligibility[1], index)
    for matrix, eligibility in traces.items():
        prefix = "recurrent_" if matrix.recurrent else ""
        shift = _fitting(eligibility, limit)
        change = _change(equations.narrow(eligibility.astype(np.int64), shift, limit), factor)
        rate = round(np.log2(max(1.0, change / _step(setup, matrix, trained))))
        shifts |= {f"{prefix}trace_shift": shift, f"{prefix}rate_shift": int(min(RATE_SHIFT[1], rate))}
    return Plasticity(**shifts)


def _step(setup: LearningSetup, matrix: Matrix, trained: bool) -> float:
    """The root mean square that a sample's change should have, in steps of the weight."""
    if trained:
        weight = weights_of(setup.net)[matrix] / 2.0**setup.weight_shift
        return TRAINED_STEP * max(1.0, float(np.sqrt((weight**2).mean())))
    return (RECURRENT_STEP if matrix.recurrent else STEP) / 2.0 ** (setup.weight_shift - 1)


def _factor(setup: LearningSetup, run: LearningRun, error: Ints, index: int) -> tuple[Ints, dict[str, Any]]:
    """y2 - y1 [T, S, N] of a hidden layer, and the shifts by which it fills its bits."""
    layer, trace, limit = setup.net.layers[index], run.layers[index], setup.trace_max
    surrogate = round(np.log2(max(1.0, WIDTH * layer.neuron.vth / limit)))
    before = trace.soma.astype(np.int64)
    if layer.neuron.reset == "immediate":
        before = before + layer.neuron.vth * trace.spikes
    psi = equations.surrogate(before, layer.neuron.vth, surrogate, limit)
    product = psi * (error @ setup.feedback_weights(index).T)
    shift = _fitting(product, limit)
    return -equations.narrow(product, shift, limit), {"surrogate_shift": surrogate, "signal_shift": shift}


def _split(setup: LearningSetup, eligibility: Ints, index: int) -> dict[Matrix, Ints]:
    """The eligibilities [T, S, M] of each matrix of a layer."""
    own = [matrix for matrix in matrices(setup.net) if matrix.layer == index]
    return dict(zip(own, np.split(eligibility, [setup.net.layers[index].inputs], axis=-1), strict=False))


def _fitting(values: Ints, limit: int) -> int:
    """The shift by which a typical value that is not 0 fills `limit`."""
    found = np.abs(values[values != 0])
    typical = float(np.percentile(found, TYPICAL)) if found.size else 1.0
    return int(min(SHIFT[1], max(0, round(np.log2(max(1.0, typical / limit))))))


def _change(trace: Ints, factor: Ints) -> float:
    """The root mean square of what a sample adds to a synapse. trace: [T, S, M], factor: [T, S, N]."""
    squares = [
        float(((factor[:, i].T.astype(float) @ trace[:, i].astype(float)) ** 2).mean()) for i in range(trace.shape[1])
    ]
    return float(np.sqrt(np.mean(squares)))
