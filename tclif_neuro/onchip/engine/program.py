"""The variants `native` and `prefiltered`, which Loihi's learning engine can run: what its synapses are told.

One step of the network takes `PHASES` steps of the chip, which are one epoch of the engine: 1, the input is sent; 2,
the hidden neurons advance; 3, the readout does, and sends its error; 4, the learning signal is there, and at the end of
this step the engine multiplies the traces. So factors match in time without any memory of the past.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.step import fire, mul, sat, tclif_delayed
from tclif_neuro.network import ACT_SHIFT, DECAY_ONE, FormatError, TCLIFNeuron, check_range
from tclif_neuro.onchip.engine.arithmetic import FOREVER, LOST, TRACE_MAX, WEIGHT_MAX, WEIGHT_MIN
from tclif_neuro.onchip.engine.fit import fit_traces
from tclif_neuro.onchip.rule.connection import Coefficients
from tclif_neuro.onchip.rule.equations import narrow
from tclif_neuro.onchip.rule.matrices import Matrix, matrices, weights_of
from tclif_neuro.onchip.rule.setup import EngineState, LearningSetup, Plasticity

PHASES = 4
SEND, HIDDEN, READOUT, TEACH = range(PHASES)  # of a step, from the chip's step 1
ENGINE_SHIFT = (0, 7)  # k of 2^-k in a product of the engine
IMPULSE_MAX = 127
PAYLOAD_MAX = 254
REGULAR, OVERWRITE, ADD = 0, 1, 2  # what a payload does to x1 (lava: GradedSpikeCfg)

Array = npt.NDArray[Any]
Weights = Mapping[Matrix, Array]


class Term(NamedTuple):
    """Two products of the rule: `2^-shift x y2 - 2^-shift x y1`, x being trace 1 or 2; falling: y1 and y2 swapped."""

    trace: int
    shift: int
    falling: bool = False


@dataclass(frozen=True, kw_only=True)
class EngineRule:
    """Configuration of the synapses of a learning engine.

    terms: the rule. impulse, tau: of x1 and x2, in the chip's steps.
    gated: whether only inputs that came in this epoch take part. graded, graded_cfg: whether payloads come, and what
    they do to x1. payload_shift: they are `e / 2^payload_shift`. fit_error: the distance of the engine's traces from
    the eligibility, relative; 0 where they are the same.
    """

    terms: tuple[Term, ...]
    impulse: tuple[float, ...]
    tau: tuple[float, ...]
    gated: bool
    graded: bool
    graded_cfg: int
    payload_shift: int = 0
    fit_error: float = 0.0

    @property
    def products(self) -> str:
        """The rule in Lava's words."""
        gate = "x0" if self.gated else "u0"
        parts = []
        for trace, shift, falling in self.terms:
            plus, minus = ("y1", "y2") if falling else ("y2", "y1")
            parts.append(f"2^-{shift}*{gate}*x{trace}*{plus} - 2^-{shift}*{gate}*x{trace}*{minus}")
        return " + ".join(parts)


def check_engine(setup: LearningSetup) -> None:
    """Raise `FormatError` on what the engine cannot do, or where it did not stop in such a network."""
    layers = setup.net.layers
    hidden, recurrent = layers[0].neuron, Matrix(0, True)
    faults = {
        f'variant: {setup.variant!r}; "native" or "prefiltered" expected': setup.variant == "exact",
        f"net: {len(layers)} layers; one hidden layer and a readout expected": len(layers) != 2,
        "plasticity: every layer must learn": None in setup.plasticity,
        'feedback: "symmetric"; the engine cannot copy weights, choose "random"': setup.feedback != "random",
        f"update_every: {setup.update_every}; the engine's epoch is one step of the network, 1 expected": (
            setup.update_every != 1
        ),
        'rounding: "nearest"; the engine rounds stochastically': setup.rounding != "stochastic",
        f"weight_bits: {setup.weight_bits}; the engine's weights have 8 and a sign": setup.weight_bits != 8,
        f"trace_bits: {setup.trace_bits}; the engine's traces have 7": setup.trace_bits != 7,
        'neuron: reset "delayed" expected': isinstance(hidden, TCLIFNeuron) and hidden.reset != "delayed",
        "plasticity: the recurrent synapses must learn": layers[0].recurrent is not None
        and setup.rule(recurrent) is None,
        "bias: the prefiltered network has none": setup.variant == "prefiltered"
        and any(layer.bias_mant.any() for layer in layers),
        "input: signed; a payload of the native network has no sign": setup.variant == "native"
        and setup.net.input.signed,
    }
    for message, wrong in faults.items():
        if wrong:
            raise FormatError(message)
    if setup.engine is not None:
        _check_state(setup, setup.engine)


def _check_state(setup: LearningSetup, state: EngineState) -> None:
    check_range("engine: epochs", state.epochs, 0, 2**60)
    for matrix, weight in first_weights(setup).items():
        name, n, m = f"engine: matrix {matrix.name}", *weight.shape
        for what, shape, found in (("weight", (n, m), state.weights), ("trace", (2, m), state.traces)):
            array = np.asarray(found.get(matrix, ()))
            if array.shape != shape:
                raise FormatError(f"{name}: {what} of shape {list(shape)} expected, got {list(array.shape)}")
        check_range(f"{name}: weight", state.weights[matrix], WEIGHT_MIN, WEIGHT_MAX)
        check_range(f"{name}: trace", state.traces[matrix], 0, TRACE_MAX)


def halves(setup: LearningSetup, layer: int) -> int:
    """Return the number of weights per input.

    A prefiltered trace has a positive and a negative part, but for the readout's.
    """
    return 2 if setup.variant == "prefiltered" and not setup.net.layers[layer].readout else 1


def first_weights(setup: LearningSetup) -> dict[Matrix, Array]:
    """[N, M] or [N, 2 M]: the network's mantissas, negated for the negative parts of the inputs."""
    return {
        matrix: weight if halves(setup, matrix.layer) == 1 else np.concatenate([weight, -weight], axis=1)
        for matrix, weight in weights_of(setup.net).items()
    }


def state_of(setup: LearningSetup) -> EngineState:
    """Return the state of the engine: the one in which it stopped, or its first."""
    if setup.engine is not None:
        return setup.engine
    weights = first_weights(setup)
    traces = {matrix: np.zeros((2, weight.shape[1]), np.int64) for matrix, weight in weights.items()}
    return EngineState(weights=weights, traces=traces, epochs=0)


def after(setup: LearningSetup, weights: Weights, traces: Weights, *, steps: int, samples: int) -> LearningSetup:
    """`setup` after `samples` more samples of `steps` steps."""
    epochs = state_of(setup).epochs + samples * (steps + setup.idle_steps)
    state = EngineState(weights=weights, traces=traces, epochs=epochs)
    return replace(setup, engine=state, learnt=setup.learnt + samples)


def payload(e: Any, shift: int) -> Any:
    """Return what a filter sends of its eligibility: `e / 2^shift`, rounded, clipped to +-254."""
    return narrow(e if shift >= 0 else e << -shift, max(0, shift), PAYLOAD_MAX)


def hidden_step(
    states: tuple[Any, Any, Any], came: Any, bias: Any, coefficients: tuple[Any, ...], filtered: bool
) -> tuple[Any, Any, Any, Any]:
    """One step of the hidden neurons on what their synapses deliver: UD, US, what is compared with vth, and S.

    native: the integer neuron. prefiltered: `came` is its response to spikes already; the two compartments hold the
    response to its resets alone, and the sum of both is compared. states: UD, US and S of the step before.
    coefficients: a1, a2, b1, b2, gamma, vth.
    """
    dendrite, soma, fired = states
    a1, a2, b1, b2, gamma, vth = coefficients
    act = 0 if filtered else (came << ACT_SHIFT) + bias
    dendrite, soma, _, _, _ = tclif_delayed(dendrite, soma, fired, act, a1, a2, b1, b2, gamma, vth)
    compared = sat(soma + came) if filtered else soma
    return dendrite, soma, compared, fire(compared, vth)


def readout_step(potential: Any, came: Any, bias: Any, decay: Any, filtered: bool) -> Any:
    """One step of the readout: an integrator; of filtered inputs the sum is its potential."""
    return came if filtered else sat(mul(potential, decay) + (came << ACT_SHIFT) + bias)


def engine_rules(setup: LearningSetup, steps: int) -> dict[Matrix, EngineRule]:
    """The engine's version of `Plasticity` for each matrix; raises `FormatError` where the engine has no such rate.

    steps: of a sample, over which a native network's traces are fitted.
    """
    make = _prefiltered if setup.variant == "prefiltered" else _native
    return {matrix: make(setup, matrix, steps) for matrix in matrices(setup.net)}


def _plasticity(setup: LearningSetup, matrix: Matrix) -> tuple[Plasticity, int]:
    """The rule of a matrix, and k of 2^-k in its products: a step of the weight is two mantissas."""
    found = setup.rule(matrix)
    assert found is not None
    shift = found.rate_shift - 1 - LOST
    if not ENGINE_SHIFT[0] <= shift <= ENGINE_SHIFT[1]:
        low, high = (bound + 1 + LOST for bound in ENGINE_SHIFT)
        raise FormatError(
            f"layer {matrix.layer}: rate_shift {found.rate_shift} is outside the engine's [{low}, {high}]"
        )
    return found, shift


def _prefiltered(setup: LearningSetup, matrix: Matrix, steps: int) -> EngineRule:
    """The payload, twice the trace, overwrites x1, which halves it and then keeps it."""
    found, shift = _plasticity(setup, matrix)
    return EngineRule(
        terms=(Term(1, shift),),
        impulse=(0,),
        tau=(FOREVER,),
        gated=True,
        graded=True,
        graded_cfg=OVERWRITE,
        payload_shift=found.trace_shift - 1,
    )


def _native(setup: LearningSetup, matrix: Matrix, steps: int) -> EngineRule:
    """Exponentials for the eligibility. Payloads reach x1 alone, so graded input has one."""
    found, shift = _plasticity(setup, matrix)
    layer = setup.net.layers[matrix.layer]
    graded = matrix == Matrix(0) and setup.net.input.bits > 0
    c = Coefficients.of(layer)
    a1, a2, b1, b2 = (np.asarray(values).mean() / DECAY_ONE for values in (c.a1, c.a2, c.b1, c.b2))
    fit = fit_traces(a1, a2, b1, b2, steps=steps, traces=1 if graded or layer.readout else 2)
    unit = 2.0 ** (ACT_SHIFT - found.trace_shift)  # of the trace in the product, per unit of the input
    wanted = [abs(amplitude) * unit for amplitude in fit.amplitude]
    if graded:
        ks, impulses = [shift - _steps_up(size) for size in wanted], [0.0 for _ in wanted]
    else:
        ks = [shift for _ in wanted]
        impulses = [_impulse(size, decay) for size, decay in zip(wanted, fit.decay, strict=True)]
    low, high = ENGINE_SHIFT
    return EngineRule(
        terms=tuple(
            Term(trace, min(high, max(low, k)), amplitude <= 0)
            for trace, (k, amplitude) in enumerate(zip(ks, fit.amplitude, strict=True), start=1)
        ),
        impulse=tuple(impulses),
        tau=tuple(-PHASES / math.log(decay) for decay in fit.decay),  # in the chip's steps: exp(-PHASES / tau) = decay
        gated=False,
        graded=graded,
        graded_cfg=ADD if graded else REGULAR,
        fit_error=fit.error,
    )


def _steps_up(wanted: float) -> int:
    """By how many powers of two a payload's product is too small: x1 grows by 1/2 per unit, not by `wanted`."""
    return round(math.log2(wanted / 0.5))


def _impulse(wanted: float, decay: float) -> float:
    """The impulse of which `wanted` is left when the traces are multiplied, at the end of the step.

    It comes in the first of the step's phases and decays in the others, by `decay` in as many phases as a step has:
    `wanted = impulse decay^((PHASES - 1) / PHASES)`. What comes a phase later, the readout's input, is taken for that.
    """
    return min(IMPULSE_MAX, wanted * decay ** (1 / PHASES - 1))
