"""One view of a layer's activity, in float units, whoever computed it: what tables compare and plots draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tclif_neuro.errors import TclifError
from tclif_neuro.fixed.run import Run, numbers
from tclif_neuro.network import Layer, QuantizedNetwork

Array = npt.NDArray[Any]


class Trace(Protocol):
    """The part of a float layer's trace that is read: `neurons.trace.LayerTrace`, without needing torch here."""

    @property
    def spikes(self) -> Any:
        """[T, B, N]."""

    @property
    def states(self) -> Any:
        """[2, T, B, N]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Activity:
    """One layer's spikes and states on a batch, in float units.

    spikes: [T, B, N] in {0, 1}. states: [T, B, N] each, by name: dendrite and soma, or current and potential.
    threshold: of the last state; None for a readout, which has none.
    """

    kind: str
    spikes: Array
    states: Mapping[str, Array]
    threshold: float | None


def kind(layer: Layer) -> str:
    """A word for the layer: its neuron, and whether it is recurrent or the readout."""
    if layer.readout:
        return "readout"
    return f"recurrent {layer.neuron.name}" if layer.recurrent is not None else layer.neuron.name


def of_run(net: QuantizedNetwork, run: Run) -> tuple[Activity, ...]:
    """The layers of a recorded integer run; a state U 2^f becomes U. Raises `NotRecorded` if it was not recorded."""
    views = []
    for layer, done in zip(net.layers, run.layers, strict=True):
        states = np.ldexp(done.states.astype(np.float64), -layer.scale_bits)
        views.append(
            Activity(
                kind=kind(layer),
                spikes=done.spikes,
                states=dict(zip(layer.neuron.state_names, states, strict=True)),
                threshold=threshold(layer),
            )
        )
    return tuple(views)


def of_trace(net: QuantizedNetwork, traces: Sequence[Trace]) -> tuple[Activity, ...]:
    """The layers of the float model that `net` was made from. Raises `TclifError` if they are not those of `net`."""
    if len(traces) != len(net.layers):
        raise TclifError(f"the float model has {len(traces)} layers, the network has {len(net.layers)}")
    views = []
    for i, (layer, traced) in enumerate(zip(net.layers, traces, strict=True)):
        spikes, states = numbers(traced.spikes, "spikes"), numbers(traced.states, "states")
        if spikes.shape[-1] != layer.size:
            raise TclifError(f"layer {i}: {spikes.shape[-1]} neurons in the float model, {layer.size} in the network")
        named = dict(zip(layer.neuron.state_names, states, strict=True))
        if layer.neuron.is_lif:  # its float model has the potential alone
            named = {layer.neuron.state_names[1]: states[1]}
        views.append(
            Activity(kind=kind(layer), spikes=spikes.astype(np.uint8), states=named, threshold=threshold(layer))
        )
    return tuple(views)


def threshold(layer: Layer) -> float | None:
    """The layer's threshold in float units, None for a readout."""
    return None if layer.readout else float(np.ldexp(layer.neuron.vth, -layer.scale_bits))


def logits(net: QuantizedNetwork, layers: Sequence[Activity]) -> Array:
    """[B, outputs]: the readout's potential at the end of the sample; without a readout, the spike counts."""
    return outputs(net, layers)[-1]


def outputs(net: QuantizedNetwork, layers: Sequence[Activity]) -> Array:
    """[T, B, outputs]: the readout's potential after each step; without a readout, the spike counts so far."""
    last = layers[-1]
    return last.states["potential"] if net.layers[-1].readout else last.spikes.cumsum(axis=0, dtype=np.int64)
