"""The hub: a trained network turned into integers, and nothing else.

`QuantizedNetwork` is what `quantize` makes, what a .net file holds and what every executor runs. It is frozen, knows no
back end and depends on NumPy alone. Every number is checked against its format when the object is made, so an executor
never meets a value that a chip could not hold.

Conventions (those of Lava's bit-accurate LIF, so that stock and two-compartment layers mix in one network):

* a state `U` of the float model is the integer `U 2^scale_bits`, held in signed 24 bits;
* `act = (a_in << 6) + bias`, where `a_in` is the shifted, weighted sum of the incoming spikes;
* decays and couplings have 12 fractional bits; thresholds are 17-bit mantissas, shifted left by 6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from tclif_neuro.errors import TclifError

STATE_MAX = 2**23 - 1  # states are signed 24 bit
DECAY_ONE = 2**12  # a decay or coupling of 1.0: 12 fractional bits
ACT_SHIFT = 6  # synaptic input and thresholds are aligned to the state by 6 bits
MANT_MAX = 2**17 - 1  # threshold mantissas are 17 bit, unsigned
BIAS_MANT = (-(2**12), 2**12 - 1)  # 13 bit, signed
BIAS_EXP = (0, 7)  # 3 bit, unsigned
WEIGHT_EXP = (-8, 7)  # 4 bit, signed
MIXED_WEIGHT = (-256, 254)  # even, when a matrix has both signs
ACT_SUM_MAX = 2**25  # |a_in| below this keeps `a_in << 6` inside the 32 bits that Lava computes in

Array = npt.NDArray[Any]
Reset = Literal["delayed", "immediate"]


class FormatError(TclifError, ValueError):
    """A number lies outside its fixed-point format. The message names the field, the value and the range."""


def check_range(field: str, value: Array | int, low: int, high: int) -> None:
    """Raise `FormatError` naming `field` unless every element of `value` is an integer in [low, high]."""
    array = np.asarray(value)
    if not np.issubdtype(array.dtype, np.integer):
        raise FormatError(f"{field}: integers expected, got {array.dtype}")
    outside = (array < low) | (array > high)
    if outside.any():
        where = tuple(int(i) for i in np.argwhere(outside)[0])
        at = f" at {list(where)}" if where else ""
        raise FormatError(f"{field}: {int(array[where])}{at} is outside [{low}, {high}]")


def _freeze(array: Array, dtype: type) -> Array:
    """A read-only C-ordered copy."""
    frozen: Array = np.array(array, dtype=dtype, order="C")
    frozen.flags.writeable = False
    return frozen


class _Content:
    """Equality by content for frozen dataclasses that hold arrays."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(
            np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
            for a, b in zip(_values(self), _values(other), strict=True)
        )

    __hash__ = None  # type: ignore[assignment]


def _values(obj: object) -> Iterator[Any]:
    assert is_dataclass(obj)
    return (getattr(obj, f.name) for f in fields(obj))


@dataclass(frozen=True, kw_only=True, eq=False)
class Synapses(_Content):
    """All-to-all integer synapses, as a Lava `Dense` computes them.

        a_in = shift(weight @ s, exponent),   shift(x, e) = x << e  or  x >> -e (arithmetic) for a negative e

    weight: [N, M] mantissas. With both signs present: even, in [-256, 254]. Otherwise in [0, 255] or [-255, 0].
    exponent: in [-8, 7].
    """

    weight: Array
    exponent: int = 0

    def __post_init__(self) -> None:
        weight = np.asarray(self.weight)
        if weight.ndim != 2 or 0 in weight.shape:
            raise FormatError(f"weight: a matrix [neurons, inputs] expected, got shape {list(weight.shape)}")
        if (weight > 0).any() and (weight < 0).any():
            check_range("weight", weight, *MIXED_WEIGHT)
            if (weight & 1).any():
                at = [int(i) for i in np.argwhere(weight & 1)[0]]
                raise FormatError(f"weight: {int(weight[tuple(at)])} at {at} is odd; a matrix of mixed sign is even")
        else:
            check_range("weight", weight, -255, 255)
        check_range("weight exponent", self.exponent, *WEIGHT_EXP)
        object.__setattr__(self, "weight", _freeze(weight, np.int16))

    def largest_sum(self, input_max: int) -> int:
        """The largest |a_in| that inputs of magnitude up to `input_max` can cause."""
        total = int(np.abs(self.weight.astype(np.int64)).sum(axis=1).max()) * input_max
        return total << self.exponent if self.exponent > 0 else total


@dataclass(frozen=True, kw_only=True, eq=False)
class TCLIFNeuron(_Content):
    """Integer TC-LIF: the coefficients of `fixed.step`, each 12 fractional bits.

    a1, a2: [K, n] in [0, 4096], the decays at step t of the sample; past the table's end the last row holds
        (K = 1: constant; K > 1: the schedule of an Adaptive TC-LIF).
    b1, b2: [n] in [-4096, 4096], the couplings. n is 1 (shared by the layer) or the layer's size.
    vth_mant, gamma_mant: 17-bit mantissas; the threshold and the dendrite's reset are `mant << 6`.
    reset: "delayed" (subtracted in the next step) or "immediate" (at the end of the same step).
    """

    a1: Array
    a2: Array
    b1: Array
    b2: Array
    vth_mant: int
    gamma_mant: int
    reset: Reset = "delayed"

    two_compartment: ClassVar[bool] = True
    state_names: ClassVar[tuple[str, str]] = ("dendrite", "soma")

    def __post_init__(self) -> None:
        if self.reset not in ("delayed", "immediate"):
            raise FormatError(f'reset: {self.reset!r} is neither "delayed" nor "immediate"')
        for name, low, high, ndim in (
            ("a1", 0, DECAY_ONE, 2),
            ("a2", 0, DECAY_ONE, 2),
            ("b1", -DECAY_ONE, DECAY_ONE, 1),
            ("b2", -DECAY_ONE, DECAY_ONE, 1),
        ):
            array = np.asarray(getattr(self, name))
            if array.ndim != ndim or 0 in array.shape:
                raise FormatError(f"{name}: {ndim} dimension(s) expected, got shape {list(array.shape)}")
            check_range(name, array, low, high)
            object.__setattr__(self, name, _freeze(array, np.int32))
        if len(self.a1) != len(self.a2):
            raise FormatError(f"a1 and a2: schedules of {len(self.a1)} and {len(self.a2)} steps; give both the same")
        check_range("vth_mant", self.vth_mant, 1, MANT_MAX)
        check_range("gamma_mant", self.gamma_mant, 0, MANT_MAX)

    @property
    def vth(self) -> int:
        """The threshold, in state units."""
        return self.vth_mant << ACT_SHIFT

    @property
    def gamma(self) -> int:
        """The amount that a spike takes from the dendrite, in state units."""
        return self.gamma_mant << ACT_SHIFT

    @property
    def adaptive(self) -> bool:
        """True if the decays follow a schedule."""
        return len(self.a1) > 1

    @property
    def name(self) -> str:
        """The neuron's name for people."""
        return "LIF" if self.is_lif else "adaptive TC-LIF" if self.adaptive else "TC-LIF"

    @property
    def is_lif(self) -> bool:
        """True if the dendrite only passes its input on: a LIF, written as two compartments."""
        return not (np.any(self.a1) or np.any(self.b1) or self.gamma)


@dataclass(frozen=True, kw_only=True, eq=False)
class LIFNeuron(_Content):
    """Stock CUBA LIF, to the bit that of Lava (`lava.proc.lif`, the bit-accurate model).

    u = wrap(mul(u, 4096 - i_decay) + act);  v = sat(mul(v, 4096 - v_decay) + u + bias);  s = v > vth;  v = 0 where s

    i_decay: in [1, 4096], 4096 for no memory of the current. v_decay: in [0, 4096].
    vth_mant: 17-bit mantissa; the threshold is `mant << 6`. At its largest value the layer is a plain integrator.

    In the names of `TCLIFNeuron`, u is the dendrite and v the soma, with a1 and a2 for their decays, b1 = gamma = 0 and
    b2 = 1: whoever asks for coefficients need not ask for the kind.
    """

    i_decay: int
    v_decay: int
    vth_mant: int

    name: ClassVar[str] = "LIF"
    two_compartment: ClassVar[bool] = False
    is_lif: ClassVar[bool] = True
    state_names: ClassVar[tuple[str, str]] = ("current", "potential")
    reset: ClassVar[Literal["zero"]] = "zero"
    adaptive: ClassVar[bool] = False
    gamma: ClassVar[int] = 0

    def __post_init__(self) -> None:
        check_range("i_decay", self.i_decay, 1, DECAY_ONE)
        check_range("v_decay", self.v_decay, 0, DECAY_ONE)
        check_range("vth_mant", self.vth_mant, 1, MANT_MAX)

    @property
    def a1(self) -> Array:
        """The decay of the current, [1, 1]."""
        return np.array([[DECAY_ONE - self.i_decay]], np.int32)

    @property
    def a2(self) -> Array:
        """The decay of the potential, [1, 1]."""
        return np.array([[DECAY_ONE - self.v_decay]], np.int32)

    @property
    def b1(self) -> Array:
        """No way back, [1]."""
        return np.zeros(1, np.int32)

    @property
    def b2(self) -> Array:
        """The current enters whole, [1]."""
        return np.full(1, DECAY_ONE, np.int32)

    @property
    def vth(self) -> int:
        """The threshold, in state units."""
        return self.vth_mant << ACT_SHIFT


Neuron = TCLIFNeuron | LIFNeuron
COEFFICIENTS = ("a1", "a2", "b1", "b2")


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer(_Content):
    """Synapses, optional recurrent synapses, a bias `bias_mant << bias_exp` ([N] mantissas) and neurons.

    scale_bits: f, the layer's scale; a float state U is the integer U 2^f.
    readout: the layer's potential at the end of the sample is the network's output; it must be a LIF that cannot spike
        in range (an integrator).
    """

    synapses: Synapses
    neuron: Neuron
    bias_mant: Array
    bias_exp: int = 0
    recurrent: Synapses | None = None
    scale_bits: int = 0
    readout: bool = False

    def __post_init__(self) -> None:
        n = len(self.synapses.weight)
        if self.recurrent is not None and self.recurrent.weight.shape != (n, n):
            raise FormatError(f"recurrent weight: shape [{n}, {n}] expected, got {list(self.recurrent.weight.shape)}")
        bias = np.asarray(self.bias_mant)
        if bias.shape != (n,):
            raise FormatError(f"bias_mant: shape [{n}] expected, got {list(bias.shape)}")
        check_range("bias_mant", bias, *BIAS_MANT)
        check_range("bias_exp", self.bias_exp, *BIAS_EXP)
        object.__setattr__(self, "bias_mant", _freeze(bias, np.int16))
        for name in COEFFICIENTS:
            width = getattr(self.neuron, name).shape[-1]
            if width not in (1, n):
                raise FormatError(f"{name}: {width} coefficients for {n} neurons; give 1 or {n}")
        if self.readout and (self.neuron.two_compartment or self.neuron.vth_mant != MANT_MAX):
            raise FormatError(f"readout: must be a LIF integrator with vth_mant {MANT_MAX}")

    @property
    def size(self) -> int:
        """N, the number of neurons."""
        return int(self.synapses.weight.shape[0])

    @property
    def inputs(self) -> int:
        """M, the number of inputs."""
        return int(self.synapses.weight.shape[1])

    @property
    def bias(self) -> Array:
        """The bias in state units, int32 [N]."""
        return self.bias_mant.astype(np.int32) << self.bias_exp


@dataclass(frozen=True, kw_only=True)
class InputCoding:
    """The conversion of a float input to the network's input: `round(x scale)`, clipped to [low, high].

    bits: 0 for binary spikes {0, 1}, 8 for graded spikes of 8 bits (in [0, 255], or in [-128, 127] if signed).
    """

    bits: Literal[0, 8] = 0
    scale: float = 1.0
    signed: bool = False

    def __post_init__(self) -> None:
        if self.bits not in (0, 8):
            raise FormatError(f"input bits: {self.bits} is neither 0 (binary) nor 8 (graded)")
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise FormatError(f"input scale: {self.scale} is not a positive number")
        if self.signed and not self.bits:
            raise FormatError("input: binary spikes have no sign")

    @property
    def range(self) -> tuple[int, int]:
        """The smallest and the largest input value."""
        return (0, 1) if not self.bits else (-128, 127) if self.signed else (0, 255)

    def encode(self, x: npt.ArrayLike) -> npt.NDArray[np.int16]:
        """`round(x scale)` to the nearest (ties to even), clipped to the range; [..., M] int16.

        Raises `FormatError` on a NaN or infinity.
        """
        x, (low, high) = np.asarray(x), self.range
        if x.dtype.kind == "b" and self.scale == 1:
            return x.astype(np.int16)
        if x.dtype.kind in "iu" and self.scale == 1:
            limits = np.iinfo(x.dtype)
            return np.clip(x, max(low, limits.min), min(high, limits.max)).astype(np.int16)
        x = np.asarray(x, dtype=np.float64)
        if np.count_nonzero(np.isfinite(x)) < x.size:
            raise FormatError("input: contains NaN or infinity")
        scaled = np.asarray(x * self.scale)
        np.rint(scaled, out=scaled)
        np.minimum(np.maximum(scaled, low, out=scaled), high, out=scaled)  # np.clip: four times as long
        return scaled.astype(np.int16)


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantizedNetwork(_Content):
    """A network of integers: layers in order, the coding of its input, and what is needed to use it.

    steps: the length of the samples that the network was made for (0: any).
    classes: a name for each output, or ().
    recipe: the TOML text that trained it, or "".
    """

    layers: tuple[Layer, ...]
    input: InputCoding = InputCoding()
    steps: int = 0
    classes: tuple[str, ...] = ()
    recipe: str = ""

    def __post_init__(self) -> None:
        if not self.layers:
            raise FormatError("network: has no layer")
        check_range("steps", self.steps, 0, 2**31 - 1)
        input_max = max(abs(v) for v in self.input.range)
        for i, layer in enumerate(self.layers):
            if i and layer.inputs != self.layers[i - 1].size:
                raise FormatError(
                    f"layer {i}: has {layer.inputs} inputs, layer {i - 1} has {self.layers[i - 1].size} neurons"
                )
            if layer.readout and i + 1 < len(self.layers):
                raise FormatError(f"layer {i}: a readout must be the last layer")
            total = layer.synapses.largest_sum(1 if i else input_max)
            total += layer.recurrent.largest_sum(1) if layer.recurrent else 0
            if total >= ACT_SUM_MAX:
                raise FormatError(
                    f"layer {i}: its summed input can reach {total}, the limit is {ACT_SUM_MAX - 1}; "
                    "lower the weight exponent, the weights or the number of inputs"
                )
        if self.classes and len(self.classes) != self.layers[-1].size:
            raise FormatError(f"classes: {len(self.classes)} names for {self.layers[-1].size} outputs")

    @property
    def inputs(self) -> int:
        """The number of input channels."""
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        """The number of outputs."""
        return self.layers[-1].size
