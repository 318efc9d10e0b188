"""What an executor returns: the same type from the reference, the simulator and Lava, so that they can be compared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.errors import TclifError
from tclif_neuro.network import QuantizedNetwork


class InputError(TclifError, ValueError):
    """An input that does not fit the network it was given to."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerRun:
    """One layer's activity. Time is the sample's own (step t of the sample, whatever the delay on a chip).

    spikes: [T, B, N] uint8, or None if not recorded.
    states: [2, T, B, N] int32, dendrite and soma (LIF: current and potential) after each step, or None.
    final: [2, B, N] int32, the states after the last step.
    counts: [B, N], spikes a sample. saturations: how often a state left its 24 bits; -1 where the executor does not
    count.
    """

    spikes: npt.NDArray[np.uint8] | None
    states: npt.NDArray[np.int32] | None
    final: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]
    saturations: int

    def without_sequences(self) -> LayerRun:
        """The same without `spikes` and `states`."""
        return replace(self, spikes=None, states=None)


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A network's activity on a batch: the encoded input [T, B, M], and each layer's."""

    input: npt.NDArray[np.int16]
    layers: tuple[LayerRun, ...]
    readout: bool

    @property
    def spikes(self) -> tuple[npt.NDArray[np.uint8] | None, ...]:
        """Each layer's spikes, [T, B, N]."""
        return tuple(layer.spikes for layer in self.layers)

    @property
    def states(self) -> tuple[npt.NDArray[np.int32] | None, ...]:
        """Each layer's states, [2, T, B, N]: dendrite and soma, or current and potential."""
        return tuple(layer.states for layer in self.layers)

    @property
    def logits(self) -> npt.NDArray[np.int64]:
        """[B, outputs]: the readout's potential at the end of the sample; without a readout, the spike counts."""
        last = self.layers[-1]
        return last.final[1].astype(np.int64) if self.readout else last.counts

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """[B]: the class of the largest logit."""
        return self.logits.argmax(axis=-1)


def check_input(net: QuantizedNetwork, x: npt.ArrayLike) -> npt.NDArray[Any]:
    """`x` as an array [T, B, M] that fits `net`; raises `InputError` otherwise."""
    array = np.asarray(x)
    if array.ndim != 3:
        raise InputError(f"input: [steps, batch, {net.inputs}] expected, got shape {list(array.shape)}")
    if 0 in array.shape:
        raise InputError(f"input: is empty, shape {list(array.shape)}")
    if array.shape[2] != net.inputs:
        raise InputError(f"input: has {array.shape[2]} channels, the network has {net.inputs}")
    return array
