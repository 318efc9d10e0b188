"""Input and result of an executor: one type for the reference, the simulator and Lava, so that runs can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tclif_neuro.errors import TclifError
from tclif_neuro.network import InputCoding, QuantizedNetwork

NOT_COUNTED = -1  # saturations, of an executor that does not count them
SEGMENT = 2**17  # input values that are encoded at a time
ROUNDING = 0.01  # a binary input this far from 0 and 1 is neither

Array = npt.NDArray[Any]


class InputError(TclifError, ValueError):
    """An input that does not fit the network it was given to."""


class NotRecorded(TclifError, AttributeError):
    """Spikes or states of every step were asked for, of a run that did not keep them."""


class Outside(NamedTuple):
    """The shares of the input values that the network's code cannot hold, each in [0, 1].

    below, above: beyond the smallest and the largest value by more than half a step; they were clipped.
    between: neither 0 nor 1, in a code of binary spikes; they were rounded.
    """

    below: float = 0.0
    above: float = 0.0
    between: float = 0.0

    @property
    def total(self) -> float:
        """The share of all of them."""
        return self.below + self.above + self.between


class Encoded(NamedTuple):
    """An input as the network takes it: integers [T, B, M] int16, and what its code could not hold.

    lengths: [B], the steps of each sample that are its own (the values are 0 in the others); None: all.
    """

    values: npt.NDArray[np.int16]
    outside: Outside
    lengths: npt.NDArray[np.int64] | None = None

    @property
    def ends(self) -> npt.NDArray[np.int64]:
        """[B]: how many steps each sample has."""
        steps, batch, _ = self.values.shape
        return np.full(batch, steps) if self.lengths is None else self.lengths


class Sequences(NamedTuple):
    """Every step of a layer: spikes [T, B, N] uint8; states [2, T, B, N] int32, dendrite and soma."""

    spikes: npt.NDArray[np.uint8]
    states: npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerRun:
    """One layer's activity. Time is the sample's own (step t of the sample, whatever the delay on a chip).

    recorded: every step's spikes and states, or None; `spikes`, `states`, `dendrite` and `soma` are views of it and
        raise `NotRecorded` without it. A LIF's current stands in for the dendrite, its potential for the soma. After
        a sample's own steps there are no spikes, and the states stay as they are.
    final: [2, B, N] int32, the states after the sample's last own step.
    counts: [B, N], spikes per sample. saturations: how often a state left its 24 bits; -1 where the executor does not
        count.

    States are integers: the float state U is `U 2**scale_bits`, with the `scale_bits` of the network's layer.
    """

    recorded: Sequences | None
    final: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]
    saturations: int

    @property
    def spikes(self) -> npt.NDArray[np.uint8]:
        """[T, B, N], 1 where a neuron spiked."""
        return self._sequences().spikes

    @property
    def states(self) -> npt.NDArray[np.int32]:
        """[2, T, B, N], `dendrite` and `soma` after each step."""
        return self._sequences().states

    @property
    def dendrite(self) -> npt.NDArray[np.int32]:
        """[T, B, N], the dendrite (LIF: the current) after each step."""
        return self.states[0]

    @property
    def soma(self) -> npt.NDArray[np.int32]:
        """[T, B, N], the soma (LIF, readout: the potential) after each step."""
        return self.states[1]

    def _sequences(self) -> Sequences:
        if self.recorded is None:
            raise NotRecorded("the spikes and states of every step were not recorded; run with record=True")
        return self.recorded

    @staticmethod
    def join(parts: Sequence[LayerRun]) -> LayerRun:
        """A layer's runs of several batches as one run of all their samples."""
        kept = [part.recorded for part in parts if part.recorded is not None]
        counted = all(part.saturations != NOT_COUNTED for part in parts)
        return LayerRun(
            recorded=Sequences(
                np.concatenate([sequences.spikes for sequences in kept], axis=1),
                np.concatenate([sequences.states for sequences in kept], axis=2),
            )
            if len(kept) == len(parts)
            else None,
            final=np.concatenate([part.final for part in parts], axis=1),
            counts=np.concatenate([part.counts for part in parts]),
            saturations=sum(part.saturations for part in parts) if counted else NOT_COUNTED,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A network's activity on a batch.

    input: [T, B, M], the encoded input. outside: the shares of it that the network's code could not hold.
    layers: each layer's activity. readout: whether the last layer is one; scale_bits: f of the last layer.
    lengths: [B], the steps of each sample that are its own; None: all. The others are padding, and never read.
    """

    input: npt.NDArray[np.int16]
    outside: Outside
    layers: tuple[LayerRun, ...]
    readout: bool
    scale_bits: int
    lengths: npt.NDArray[np.int64] | None = None

    @classmethod
    def of(cls, net: QuantizedNetwork, encoded: Encoded, layers: Sequence[LayerRun]) -> Run:
        """The run of `net` on an encoded input that gave these layers."""
        last = net.layers[-1]
        return cls(
            input=encoded.values,
            outside=encoded.outside,
            layers=tuple(layers),
            readout=last.readout,
            scale_bits=last.scale_bits,
            lengths=encoded.lengths,
        )

    @property
    def steps(self) -> int:
        """The steps of all samples together, without padding."""
        return self.input.shape[0] * self.input.shape[1] if self.lengths is None else int(self.lengths.sum())

    @property
    def ends(self) -> npt.NDArray[np.int64]:
        """[B]: how many steps each sample has."""
        return Encoded(self.input, self.outside, self.lengths).ends

    @property
    def step_range(self) -> tuple[int, int]:
        """The steps of the shortest and of the longest sample, without padding."""
        return int(self.ends.min()), int(self.ends.max())

    @property
    def input_clipped(self) -> float:
        """The share of the input values that the network's code could not hold; see `Outside`."""
        return self.outside.total

    @property
    def spikes(self) -> tuple[npt.NDArray[np.uint8], ...]:
        """Each layer's spikes, [T, B, N]; raises `NotRecorded` without record=True."""
        return tuple(layer.spikes for layer in self.layers)

    @property
    def states(self) -> tuple[npt.NDArray[np.int32], ...]:
        """Each layer's states, [2, T, B, N]: dendrite and soma, or current and potential; `NotRecorded` likewise."""
        return tuple(layer.states for layer in self.layers)

    @property
    def logits(self) -> npt.NDArray[np.int64]:
        """[B, outputs]: the readout's potential at the end of the sample; without a readout, the spike counts.

        The integers of the executor: a readout's float potential is `logits * 2.0**-scale_bits`, see `float_logits`.
        """
        last = self.layers[-1]
        return last.final[1].astype(np.int64) if self.readout else last.counts

    @property
    def float_logits(self) -> npt.NDArray[np.float64]:
        """[B, outputs]: `logits` in the units of the float model, `V / 2**scale_bits`; spike counts as they are."""
        return np.ldexp(self.logits.astype(np.float64), -self.scale_bits if self.readout else 0)

    @property
    def outputs(self) -> npt.NDArray[np.int64]:
        """[T, B, outputs]: `logits` as they are after each step. Raises `NotRecorded` without record=True."""
        last = self.layers[-1]
        return last.soma.astype(np.int64) if self.readout else last.spikes.cumsum(axis=0, dtype=np.int64)

    @property
    def float_outputs(self) -> npt.NDArray[np.float64]:
        """[T, B, outputs]: `outputs` in the units of the float model, as `float_logits`."""
        return np.ldexp(self.outputs.astype(np.float64), -self.scale_bits if self.readout else 0)

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """[B]: the class of the largest logit."""
        return self.logits.argmax(axis=-1)

    @classmethod
    def join(cls, runs: Sequence[Run]) -> Run:
        """The runs of several batches, of samples of the same length, as one run of all their samples."""
        if len(runs) == 1:
            return runs[0]
        steps, lengths = [run.steps for run in runs], [run.lengths for run in runs if run.lengths is not None]
        if len(lengths) not in (0, len(runs)):
            raise InputError("runs with lengths and runs without cannot be joined")
        return cls(
            input=np.concatenate([run.input for run in runs], axis=1),
            outside=Outside(*np.average([run.outside for run in runs], axis=0, weights=steps).tolist()),
            layers=tuple(map(LayerRun.join, zip(*(run.layers for run in runs), strict=True))),
            readout=runs[0].readout,
            scale_bits=runs[0].scale_bits,
            lengths=np.concatenate(lengths) if lengths else None,
        )


def numbers(x: npt.ArrayLike, what: str = "input") -> npt.NDArray[Any]:
    """`x` as an array of numbers, also a torch tensor of any device; raises `InputError` for anything else."""
    try:
        array = np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{what}: a {type(x).__name__} that is no array of numbers: {error}") from None
    if array.dtype.kind not in "biuf":
        raise InputError(f"{what}: numbers expected, got {array.dtype}")
    if np.ma.is_masked(x):
        raise InputError(f"{what}: a masked array, whose masked numbers would be taken for others; fill them first")
    return array


def check_input(net: QuantizedNetwork, x: npt.ArrayLike, *, stream: bool = False) -> Array:
    """`x`, an array, a torch tensor or nested lists, as an array [T, B, M] that fits `net`.

    stream: it is part of a sample, of any length.

    Raises `InputError` where the shape, or the number of steps that the network was made for, does not fit.
    """
    array = numbers(x)
    if array.ndim != 3:
        raise InputError(f"input: [steps, batch, {net.inputs}] expected, got shape {list(array.shape)}")
    if 0 in array.shape:
        raise InputError(f"input: is empty, shape {list(array.shape)}")
    if array.shape[2] != net.inputs:
        raise InputError(f"input: has {array.shape[2]} channels, the network has {net.inputs}")
    if net.steps and len(array) != net.steps and not stream:
        raise InputError(
            f"input: {len(array)} steps, the network was made for {net.steps}; [steps, batch, inputs] is expected, and "
            f"the shape is {list(array.shape)} (steps=0 makes a network for samples of any length)"
        )
    return array


def check_lengths(net: QuantizedNetwork, lengths: npt.ArrayLike, x: Array) -> npt.NDArray[np.int64]:
    """`lengths` [B] as int64: of each sample of `x` [T, B, M], the steps that are its own, in [1, T].

    Raises `InputError` for others, and for more steps than the network was made for.
    """
    found = numbers(lengths, "lengths")
    steps, batch = x.shape[:2]
    if found.dtype.kind not in "iu" or found.shape != (batch,):
        raise InputError(f"lengths: integers [{batch}] expected, got {found.dtype} {list(found.shape)}")
    most = min(steps, net.steps or steps)
    outside = np.flatnonzero((found < 1) | (found > most))
    if outside.size:
        at = int(outside[0])
        whose = "the steps of the input" if most == steps else "the steps that the network was made for"
        raise InputError(f"lengths: {found[at]} of sample {at} is outside [1, {most}], {whose}")
    return found.astype(np.int64)


def encode(net: QuantizedNetwork, x: npt.ArrayLike, lengths: npt.ArrayLike | None = None) -> Encoded:
    """The float input `x` [T, B, M] as the integers that `net` takes, and what its code could not hold.

    lengths: see `check_lengths`; with them T may be any. What stands in the padding is not read.
    Raises `InputError` where `x` does not fit the network, `FormatError` on a NaN or infinity.
    """
    array = check_input(net, x, stream=lengths is not None)
    return encode_steps(net.input, array, None if lengths is None else check_lengths(net, lengths, array))


def encode_steps(coding: InputCoding, x: Array, lengths: npt.NDArray[np.int64] | None = None) -> Encoded:
    """`x` [T, B, M] encoded, a part of its steps at a time: the floats in between are eight times as large."""
    if x.size <= SEGMENT and lengths is None:
        return Encoded(np.ascontiguousarray(coding.encode(x)), _shares(_count_outside(coding, x), x.size))
    values, outside = np.empty(x.shape, np.int16), [0, 0, 0]
    length = max(1, SEGMENT // x[0].size)
    for t in range(0, len(x), length):
        now = slice(t, t + length)
        part = x[now]
        if lengths is not None:
            own = np.arange(t, t + len(part))[:, None] < lengths
            part = np.where(own[..., None], part, part.dtype.type(0))
        values[now] = coding.encode(part)
        outside = [a + b for a, b in zip(outside, _count_outside(coding, part), strict=True)]
    own_values = x.size if lengths is None else int(lengths.sum()) * x.shape[2]
    return Encoded(values, _shares(outside, own_values), lengths)


def _shares(counts: Sequence[int], values: int) -> Outside:
    return Outside(*(count / values for count in counts)) if any(counts) else Outside()


def hold(states: npt.NDArray[Any], lengths: npt.NDArray[np.int64] | None) -> None:
    """After a sample's own steps, its `states` [2, T, B, N] stay as they are after the last of them (in place)."""
    for b, end in enumerate(() if lengths is None else lengths):
        states[:, end:, b] = states[:, end - 1 : end, b]


def _count_outside(coding: InputCoding, x: Array) -> tuple[int, int, int]:
    """Count the values of `x` that the coding cannot hold: below, above and between its values (see `Outside`)."""
    if x.dtype.kind == "b" and coding.scale == 1:
        return 0, 0, 0
    (low, high), edge = coding.range, 0.5 if coding.bits else ROUNDING
    whole = x.dtype.kind in "biu" and coding.scale == 1
    least, most = (float(f(x, axis=None)) * coding.scale for f in (np.minimum.reduce, np.maximum.reduce))
    inside = low - edge <= least and most <= high + edge
    if inside and (coding.bits or whole):
        return 0, 0, 0
    scaled = x.astype(np.float64) * coding.scale
    between = 0 if coding.bits else np.count_nonzero((scaled > low + edge) & (scaled < high - edge))
    if inside:
        return 0, 0, between
    return np.count_nonzero(scaled < low - edge), np.count_nonzero(scaled > high + edge), between
