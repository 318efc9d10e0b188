"""The variants `native` and `prefiltered`, which a stock learning engine can run: what they are told, what they give.

One step of the network takes `PHASES` steps of the chip, which are one epoch of the engine: 1, the input is sent; 2,
the hidden neurons advance; 3, the readout does, and sends its error; 4, the learning signal is there, and at the end of
this step the engine multiplies the traces. So factors match in time without any memory of the past.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tclif_neuro.network import DECAY_ONE, FormatError, Synapses, TCLIFNeuron
from tclif_neuro.onchip.engine.arithmetic import FOREVER, LOST
from tclif_neuro.onchip.engine.fit import fit_traces
from tclif_neuro.onchip.rule.connection import Coefficients
from tclif_neuro.onchip.rule.equations import narrow
from tclif_neuro.onchip.rule.setup import LearningSetup

PHASES = 4
SEND, HIDDEN, READOUT, TEACH = range(PHASES)  # of a step, from the chip's step 1
ENGINE_SHIFT = (0, 7)  # k of 2^-k in a product of the engine
IMPULSE_MAX = 127
PAYLOAD_MAX = 254
REGULAR, OVERWRITE, ADD = 0, 1, 2  # what a payload does to x1 (lava: GradedSpikeCfg)

Array = npt.NDArray[Any]


class Term(NamedTuple):
    """Two products of the rule: `2^-shift x y2 - 2^-shift x y1`, x being trace 1 or 2; falling: y1 and y2 swapped."""

    trace: int
    shift: int
    falling: bool = False


@dataclass(frozen=True, kw_only=True)
class StockRule:
    """What stock synapses are told. terms: the rule. impulse, tau: of x1 and x2, in the chip's steps.

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


@dataclass(frozen=True, kw_only=True, eq=False)
class StockRun:
    """What a stock network has learnt. setup: the one to go on with, together with `weights`.

    weights: mantissas after the last sample, for each matrix (layer, recurrent); those of a prefiltered hidden layer
    have two columns for each input, for its trace's positive and negative part. potential: [T, S, K], the readout's.
    error: [S], the sum of the squared errors. fit_error: that of each matrix. If recorded, spikes: [T, S, N] uint8, the
    hidden neurons'; history: the weights of each matrix after each sample, [S, N, M].
    """

    setup: LearningSetup
    weights: dict[tuple[int, bool], Array]
    potential: Array
    error: Array
    fit_error: dict[tuple[int, bool], float]
    spikes: Array | None = None
    history: dict[tuple[int, bool], Array] | None = None

    @property
    def predictions(self) -> Array:
        """[S]: the class of the largest potential at the end of each sample."""
        return self.potential[-1].argmax(axis=-1)


def check_stock(setup: LearningSetup) -> None:
    """Raise `FormatError` on what the stock engine cannot do."""
    layers = setup.net.layers
    hidden = layers[0].neuron
    faults = {
        f'variant: {setup.variant!r}; "native" or "prefiltered" expected': setup.variant == "exact",
        f"net: {len(layers)} layers; one hidden layer and a readout expected": len(layers) != 2,
        "rules: every layer must learn": None in setup.rules,
        'feedback: "symmetric"; the engine cannot copy weights, choose "random"': setup.feedback != "random",
        f"epoch: {setup.epoch}; the engine's epoch is one step of the network, 1 expected": setup.epoch != 1,
        'rounding: "nearest"; the engine rounds stochastically': setup.rounding != "stochastic",
        f"weight_bits: {setup.weight_bits}; the engine's weights have 8 and a sign": setup.weight_bits != 8,
        f"trace_bits: {setup.trace_bits}; the engine's traces have 7": setup.trace_bits != 7,
        'neuron: reset "delayed" expected': isinstance(hidden, TCLIFNeuron) and hidden.reset != "delayed",
        "rules: the recurrent synapses must learn": layers[0].recurrent is not None
        and setup.rule(0, recurrent=True) is None,
        "bias: the prefiltered network has none": setup.variant == "prefiltered"
        and any(layer.bias_mant.any() for layer in layers),
        "input: signed; a payload of the native network has no sign": setup.variant == "native"
        and setup.net.input.signed,
    }
    for message, wrong in faults.items():
        if wrong:
            raise FormatError(message)


def check_idle(idle: int) -> None:
    """Raise `FormatError` unless there is a silent step, in which what the last step taught is in place."""
    if idle < 1:
        raise FormatError(f"idle: {idle}; a sample must be followed by at least 1 silent step")


def matrices(setup: LearningSetup) -> list[tuple[int, bool]]:
    """(layer, recurrent) of each matrix."""
    recurrent = [(0, True)] if setup.net.layers[0].recurrent is not None else []
    return [(0, False), *recurrent, (1, False)]


def number(layer: int, recurrent: bool) -> int:
    """A matrix's number among all, for its random numbers."""
    return 2 * layer + recurrent


def synapses_of(setup: LearningSetup, layer: int, recurrent: bool) -> Synapses:
    """The synapses of one matrix."""
    described = setup.net.layers[layer]
    found = described.recurrent if recurrent else described.synapses
    assert found is not None
    return found


def halves(setup: LearningSetup, layer: int) -> int:
    """How many weights an input has: a prefiltered trace has a positive and a negative part, but for the readout's."""
    return 2 if setup.variant == "prefiltered" and not setup.net.layers[layer].readout else 1


def first_weights(setup: LearningSetup, layer: int, recurrent: bool) -> Array:
    """[N, M] or [N, 2 M]: the mantissas before the first sample, negated for the negative parts of the inputs."""
    weight = synapses_of(setup, layer, recurrent).weight.astype(np.int64)
    return weight if halves(setup, layer) == 1 else np.concatenate([weight, -weight], axis=1)


def payload(e: Any, shift: int) -> Any:
    """What a filter sends of its eligibility: `e / 2^shift`, rounded, clipped to +-254."""
    return narrow(e if shift >= 0 else e << -shift, max(0, shift), PAYLOAD_MAX)


def stock_rule(setup: LearningSetup, layer: int, recurrent: bool, steps: int) -> StockRule:
    """The engine's version of `Plasticity` for one matrix; raises `FormatError` where the engine has no such rate.

    steps: of a sample, over which a native network's traces are fitted.
    """
    found = setup.rule(layer, recurrent=recurrent)
    assert found is not None
    shift = found.rate_shift - 1 - LOST  # a step of the weight is two mantissas
    if not ENGINE_SHIFT[0] <= shift <= ENGINE_SHIFT[1]:
        low, high = (bound + 1 + LOST for bound in ENGINE_SHIFT)
        raise FormatError(f"layer {layer}: rate_shift {found.rate_shift} is outside the engine's [{low}, {high}]")
    if setup.variant == "prefiltered":
        return StockRule(
            terms=(Term(1, shift),),
            impulse=(0,),
            tau=(FOREVER,),
            gated=True,
            graded=True,
            graded_cfg=OVERWRITE,
            payload_shift=found.trace_shift - 1,
        )
    return _native(setup, layer, recurrent, shift, steps)


def _native(setup: LearningSetup, layer: int, recurrent: bool, shift: int, steps: int) -> StockRule:
    """Exponentials for the eligibility. Payloads reach x1 alone, so graded input has one."""
    found = setup.rule(layer, recurrent=recurrent)
    assert found is not None
    graded = layer == 0 and not recurrent and setup.net.input.bits > 0
    c = Coefficients.of(setup.net.layers[layer])
    a1, a2, b1, b2 = (np.asarray(values).mean() / DECAY_ONE for values in (c.a1, c.a2, c.b1, c.b2))
    single = graded or setup.net.layers[layer].readout
    fit = fit_traces(a1, a2, b1, b2, steps=steps, traces=1 if single else 2)
    unit = 64 / 2**found.trace_shift
    impulse, tau, terms = [], [], []
    for i, (decay, amplitude) in enumerate(zip(fit.decay, fit.amplitude, strict=True), start=1):
        size = min(IMPULSE_MAX, abs(amplitude) * unit * decay ** (1 / PHASES - 1))
        k = shift
        if graded:  # x1 grows by half the payload; what that is too much, the rate is less
            k, size = shift - round(math.log2(abs(amplitude) * unit * 2)), 0
        terms.append(Term(i, min(ENGINE_SHIFT[1], max(ENGINE_SHIFT[0], k)), amplitude <= 0))
        impulse.append(size)
        tau.append(-PHASES / math.log(decay))
    return StockRule(
        terms=tuple(terms),
        impulse=tuple(impulse),
        tau=tuple(tau),
        gated=False,
        graded=graded,
        graded_cfg=ADD if graded else REGULAR,
        fit_error=fit.error,
    )
