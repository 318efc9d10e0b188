"""A setup for learning in a network of integers: frozen, and checked against the chip's limits when it is made.

Lava checks none of these limits: it takes an epoch (`update_every`) of 100 steps or a trace of 2^17 without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tclif_neuro.network import (
    COEFFICIENTS,
    DECAY_ONE,
    STATE_MAX,
    FormatError,
    Layer,
    QuantizedNetwork,
    Synapses,
    check_range,
)
from tclif_neuro.onchip.rule import equations
from tclif_neuro.onchip.rule.matrices import Matrix
from tclif_neuro.onchip.rule.random_bits import bits, key

TRACE_BITS = (1, 7)  # of a trace, without its sign (lava: W_TRACE)
UPDATE_EVERY = (1, 63)  # steps; a spike's time within the epoch has 6 bits (lava: W_EPOCH_TIME)
RATE_SHIFT = (0, 24)
SHIFT = (0, 23)
IDLE = (1, 2**16)  # silent steps: in the first of them what the last step taught is in place
WEIGHT_BITS = (2, 8)  # with the sign
SEED = (0, 2**31 - 1)
FEEDBACK = 2**16 - 1  # what mixes the seed of the random feedback: the number of no matrix

Ints = npt.NDArray[Any]
Variant = Literal["exact", "native", "prefiltered"]
Feedback = Literal["symmetric", "random"]


@dataclass(frozen=True, kw_only=True)
class Plasticity:
    """The powers of two in the learning rule of one layer.

    rate_shift: k, `dw = 2^-k sum of trace (y2 - y1)`, in steps of the weight. trace_shift: a trace in state units is
    divided by 2^trace_shift before it is clipped to its bits. signal_shift: the same for psi L (hidden layers).
    surrogate_shift: the surrogate falls by one when the soma is 2^surrogate_shift further from the threshold (hidden
    layers; the triangle's half width is (2^trace_bits - 1) 2^surrogate_shift). recurrent: whether the recurrent
    synapses, if the layer has any, learn too. recurrent_rate_shift, recurrent_trace_shift: their own shifts, None: the
    same. Spikes leave smaller traces than graded input does.
    """

    rate_shift: int
    trace_shift: int
    signal_shift: int = 0
    surrogate_shift: int = 0
    recurrent: bool = True
    recurrent_rate_shift: int | None = None
    recurrent_trace_shift: int | None = None

    def __post_init__(self) -> None:
        check_range("rate_shift", self.rate_shift, *RATE_SHIFT)
        check_range("trace_shift", self.trace_shift, *SHIFT)
        check_range("signal_shift", self.signal_shift, *SHIFT)
        check_range("surrogate_shift", self.surrogate_shift, *SHIFT)
        if self.recurrent_rate_shift is not None:
            check_range("recurrent_rate_shift", self.recurrent_rate_shift, *RATE_SHIFT)
        if self.recurrent_trace_shift is not None:
            check_range("recurrent_trace_shift", self.recurrent_trace_shift, *SHIFT)

    @property
    def of_recurrent(self) -> Plasticity | None:
        """The rule of the recurrent synapses, None if they do not learn."""
        rate = self.rate_shift if self.recurrent_rate_shift is None else self.recurrent_rate_shift
        trace = self.trace_shift if self.recurrent_trace_shift is None else self.recurrent_trace_shift
        return replace(self, rate_shift=rate, trace_shift=trace) if self.recurrent else None


@dataclass(frozen=True, kw_only=True, eq=False)
class EngineState:
    """The state in which a learning engine stopped.

    weights: mantissas of each matrix, [N, M], odd ones too; of a prefiltered hidden layer [N, 2 M], for the positive
    and the negative part of each input's trace. traces: x1, x2 of each, [2, M] or [2, 2 M]. epochs: the engine's epochs
    so far; they choose the random numbers.
    """

    weights: Mapping[Matrix, Ints]
    traces: Mapping[Matrix, Ints]
    epochs: int


@dataclass(frozen=True, kw_only=True, eq=False)
class LearningSetup:
    """A network of integers and the three-factor rule by which it learns.

    net: the network at the start; a readout (LIF integrator) is its last layer. A layer that learns has synapses of
        `weight_bits` bits: mantissas `w 2^(9 - weight_bits)`, |w| <= 2^(weight_bits-1) - 1.
    plasticity: one per layer, from the input on; None where a layer does not learn.
    target: [K], the potential that the right class should have at step t of the sample, in state units; past the end of
        the table the last entry holds. The other classes should be at `target_others`.
    error_shift: an error neuron sends (potential - target) / 2^error_shift, clipped to `trace_bits` bits and a sign.
    variant: which learning connection (docs/onchip.md).
    update_every: steps between two updates, at most 63, or None: at the end of the sample. In any case a sample's last
        update is at its end, so that samples are independent but for the weights.
    rounding: of an update, "stochastic" (from `seed`) or "nearest".
    feedback: "symmetric", the readout's weights as they are at the start of each sample (last hidden layer only), or
        "random", fixed from `seed`.
    learnt: how many samples were learnt already; it chooses the random bits.
    idle: silent steps of the network after each sample. None: as few as the variant needs, which is all that `exact`
        may have (one more than there are layers); in a `native` network the traces decay in them.
    engine: the state in which a learning engine stopped (`native` and `prefiltered`); None: its initial state.

    Raises `FormatError` naming what does not fit.
    """

    net: QuantizedNetwork
    plasticity: tuple[Plasticity | None, ...]
    target: Ints
    error_shift: int
    target_others: int = 0
    variant: Variant = "exact"
    update_every: int | None = None
    rounding: Literal["stochastic", "nearest"] = "stochastic"
    feedback: Feedback = "symmetric"
    seed: int = 0
    learnt: int = 0
    weight_bits: int = 8
    trace_bits: int = 7
    idle: int | None = None
    engine: EngineState | None = None

    def __post_init__(self) -> None:
        target = np.atleast_1d(np.asarray(self.target))
        if target.ndim != 1 or not len(target):
            raise FormatError(f"target: one value per step expected, got shape {list(target.shape)}")
        check_range("target", target, -STATE_MAX, STATE_MAX)
        target = target.astype(np.int64)
        target.flags.writeable = False
        object.__setattr__(self, "target", target)
        check_range("target_others", self.target_others, -STATE_MAX, STATE_MAX)
        check_range("error_shift", self.error_shift, *SHIFT)
        check_range("seed", self.seed, *SEED)
        check_range("learnt", self.learnt, *SEED)
        check_range("weight_bits", self.weight_bits, *WEIGHT_BITS)
        check_range("trace_bits", self.trace_bits, *TRACE_BITS)
        if self.update_every is not None:
            check_range("update_every", self.update_every, *UPDATE_EVERY)
        for name, allowed in (
            ("variant", ("exact", "native", "prefiltered")),
            ("rounding", ("stochastic", "nearest")),
            ("feedback", ("symmetric", "random")),
        ):
            if getattr(self, name) not in allowed:
                raise FormatError(f"{name}: {getattr(self, name)!r} is none of {', '.join(allowed)}")
        self._check_engine()
        self._check_layers()

    def _check_engine(self) -> None:
        exact = self.variant == "exact"
        if self.idle is not None:
            check_range("idle", self.idle, *IDLE)
        if exact and self.idle not in (None, len(self.net.layers) + 1):
            raise FormatError(f"idle: {self.idle}; the exact variant takes {len(self.net.layers) + 1}; leave it out")
        if exact and self.engine is not None:
            raise FormatError('engine: given for the variant "exact", which has no engine')

    def _check_layers(self) -> None:
        layers = self.net.layers
        if len(self.plasticity) != len(layers):
            raise FormatError(
                f"plasticity: {len(self.plasticity)} for {len(layers)} layers; give one each, None: does not learn"
            )
        if not layers[-1].readout:
            raise FormatError("net: its last layer is no readout; the error neurons compare potentials")
        if not any(self.plasticity):
            raise FormatError("plasticity: no layer learns")
        for i, (layer, rule) in enumerate(zip(layers, self.plasticity, strict=True)):
            if rule is None:
                continue
            _check_neuron(i, layer)
            if not layer.readout and self.feedback == "symmetric" and i != len(layers) - 2:
                raise FormatError(
                    f'layer {i}: symmetric feedback reaches the last hidden layer alone; choose "random", or no rule'
                )
            for name, synapses in self._plastic(layer, rule):
                self._check_weights(f"layer {i}: {name}", synapses)

    @staticmethod
    def _plastic(layer: Layer, rule: Plasticity) -> Iterator[tuple[str, Synapses]]:
        yield "weight", layer.synapses
        if layer.recurrent is not None and rule.recurrent:
            yield "recurrent weight", layer.recurrent

    def _check_weights(self, name: str, synapses: Synapses) -> None:
        low, high = self.weight_range
        wide = synapses.weight.astype(np.int64)
        if (wide & ((1 << self.weight_shift) - 1)).any():
            raise FormatError(
                f"{name}: not all are multiples of {1 << self.weight_shift}, a step of {self.weight_bits} bits"
            )
        check_range(f"{name} / {1 << self.weight_shift}", wide >> self.weight_shift, low, high)

    @property
    def weight_shift(self) -> int:
        """A weight w of the rule is the network's mantissa `w << weight_shift`; those have 9 bits, the last 0."""
        return 9 - self.weight_bits

    @property
    def weight_range(self) -> tuple[int, int]:
        """The smallest and the largest weight; symmetric: a mantissa of -256 needs a positive one in its matrix."""
        largest = 2 ** (self.weight_bits - 1) - 1
        return -largest, largest

    @property
    def trace_max(self) -> int:
        """The largest trace: of the surrogate, of y1 and y2, of an error, of an eligibility."""
        return 2**self.trace_bits - 1

    def rule(self, matrix: Matrix) -> Plasticity | None:
        """Return the rule by which the synapses of a matrix learn, None if they do not."""
        found = self.plasticity[matrix.layer]
        return found.of_recurrent if found is not None and matrix.recurrent else found

    def delay(self, layer: int) -> int:
        """D: how many steps after step t the learning signal about step t reaches layer `layer` (from 0).

        Each layer between here and the readout costs a step, the feedback one more, and one is lost because the layers
        above run a step behind. A readout knows its error at once.
        """
        above = len(self.net.layers) - 1 - layer
        return above + 1 if above else 0

    def feedback_weights(self, layer: int) -> Ints:
        """[N, outputs], the mantissas by which the error neurons reach layer `layer` at the start.

        Symmetric: the readout's, in the other direction. Random: uniform, even, in +-254.
        """
        if self.feedback == "symmetric":
            return self.net.layers[-1].synapses.weight.T.astype(np.int64)
        shape = self.net.layers[layer].size, self.net.outputs
        synapse = np.arange(shape[0] * shape[1]).reshape(shape)
        return 2 * (bits(key(self.seed, FEEDBACK, layer, 0), synapse) % 255 - 127)

    def targets(self, label: int, steps: int) -> Ints:
        """[steps, outputs], the potentials that the readout should have in a sample of class `label`."""
        target = np.full((steps, self.net.outputs), self.target_others, np.int64)
        target[:, label] = self.target[np.minimum(np.arange(steps), len(self.target) - 1)]
        return target

    def error(self, potential: Ints, target: Ints) -> Ints:
        """Return what the error neurons send: `potential - target`, narrowed."""
        return equations.error(potential, target, self.error_shift, self.trace_max)

    @property
    def idle_steps(self) -> int:
        """The silent steps after each sample; with `exact` those in which the last learning signals come home."""
        least = len(self.net.layers) + 1 if self.variant == "exact" else 1
        return least if self.idle is None else self.idle


def _check_neuron(index: int, layer: Layer) -> None:
    """Raise unless the eligibility is one of the input: coefficients are shared by the layer."""
    neuron = layer.neuron
    for name in COEFFICIENTS:
        if (width := getattr(neuron, name).shape[-1]) != 1:
            raise FormatError(
                f"layer {index}: {width} values of {name}; the neurons of a layer that learns share one, "
                "so that its traces belong to its inputs"
            )
    if not (neuron.two_compartment or layer.readout):
        raise FormatError(f"layer {index}: LIF neurons; TC-LIF layers and the readout can learn")
    if layer.readout and neuron.a1.any():
        i_decay = DECAY_ONE - int(neuron.a1[0, 0])
        raise FormatError(f"layer {index}: i_decay {i_decay}; a readout that learns has {DECAY_ONE}, no current")
