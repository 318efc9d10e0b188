"""The energy of a run, estimated from its counts: accumulates and multiply-accumulates, as [T] table 2 prices them.

An estimate for arithmetic in 45 nm alone, nothing that was measured: no memory, no routing, no chip. It serves to
compare neurons and networks with each other. Source: Zhang et al., TC-LIF, AAAI 2024, tables 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.run import Run
from tclif_neuro.network import DECAY_ONE, Layer, Neuron, QuantizedNetwork

ACCUMULATE = 0.9  # pJ, 32-bit floating-point addition in 45 nm
MULTIPLY = 4.6  # pJ, 32-bit floating-point multiply-accumulate in 45 nm


@dataclass(frozen=True, kw_only=True)
class LayerEnergy:
    """One layer's operations per step of a sample, and the same layer's as LIF and as LSTM of equal size.

    accumulates, multiplies: operations per step. nj, lif_nj, lstm_nj: nanojoules per step; lstm_nj is 0 for a readout.
    """

    accumulates: float
    multiplies: float
    nj: float
    lif_nj: float
    lstm_nj: float


@dataclass(frozen=True, kw_only=True)
class Energy:
    """A network's estimate. nj_per_step, uj_per_sample: of the network; lif, lstm: of the same sizes, per step."""

    layers: tuple[LayerEnergy, ...]
    steps: int
    nj_per_step: float
    uj_per_sample: float
    lif_nj_per_step: float
    lstm_nj_per_step: float


def picojoules(accumulates: float, multiplies: float) -> float:
    """`0.9 accumulates + 4.6 multiplies`, in pJ."""
    return ACCUMULATE * accumulates + MULTIPLY * multiplies


def lstm_nj(inputs: int, neurons: int) -> float:
    """An LSTM layer's nanojoules per step [T table 2]: `(4 (m n + n n) + 17 n) E_MAC`, m inputs, n cells.

    >>> round(lstm_nj(1, 64) + lstm_nj(64, 256) + lstm_nj(256, 256), 1)
    4040.6
    """
    return picojoules(0, 4 * (inputs * neurons + neurons**2) + 17 * neurons) / 1000


def lif_operations(events: float, spikes: float, neurons: int, recurrent: bool) -> tuple[float, float]:
    """A LIF layer's accumulates and multiplies per step [T table 2]: `m n Fr_in + (n n + n) Fr_out` and `n`.

    events: input spikes per step, m Fr_in. spikes: output spikes per step, n Fr_out; n Fr_out of those `n n + n` are
    the resets.
    """
    return events * neurons + (neurons * spikes if recurrent else 0) + spikes, neurons


def tclif_operations(
    events: float, spikes: float, neurons: int, recurrent: bool, decays: int = 0
) -> tuple[float, float]:
    """A TC-LIF layer's operations per step [T table 2]: `m n Fr_in + (n n + 2 n) Fr_out` and `2 n`.

    decays: how many of its two states decay (relaxed and Adaptive TC-LIF: 2), a multiplication per neuron each.
    """
    accumulates, multiplies = lif_operations(events, spikes, neurons, recurrent)
    return accumulates + spikes, 2 * multiplies + decays * neurons


def energy(net: QuantizedNetwork, run: Run) -> Energy:
    """The estimate for `run` of `net`, a mean over samples and steps.

    A spike costs an accumulate per synapse; an input of graded values a multiply-accumulate instead.

    >>> energy(net, tn.simulate(net, x)).nj_per_step
    """
    steps, batch = run.input.shape[:2]
    own = run.steps  # without padding
    events = float(np.count_nonzero(run.input)) / own
    graded = net.input.bits > 0
    layers = []
    for layer, done in zip(net.layers, run.layers, strict=True):
        spikes = float(done.counts.sum()) / own
        layers.append(_layer(layer, events, spikes, graded))
        events, graded = spikes, False
    nj = sum(layer.nj for layer in layers)
    return Energy(
        layers=tuple(layers),
        steps=steps,
        nj_per_step=nj,
        uj_per_sample=nj * own / batch / 1000,
        lif_nj_per_step=sum(layer.lif_nj for layer in layers),
        lstm_nj_per_step=sum(layer.lstm_nj for layer in layers),
    )


def _layer(layer: Layer, events: float, spikes: float, graded: bool) -> LayerEnergy:
    neurons, recurrent = layer.size, layer.recurrent is not None
    lif = lif_operations(events, spikes, neurons, recurrent)
    if layer.readout:
        own = lif = (events * neurons, float(_decaying(layer.neuron) > 0) * neurons)
    elif not layer.neuron.is_lif:
        own = tclif_operations(events, spikes, neurons, recurrent, _decaying(layer.neuron))
    else:
        own = lif
    synaptic = events * neurons if graded else 0.0  # multiplied instead of added

    def nanojoules(operations: tuple[float, float]) -> float:
        return picojoules(operations[0] - synaptic, operations[1] + synaptic) / 1000

    return LayerEnergy(
        accumulates=own[0] - synaptic,
        multiplies=own[1] + synaptic,
        nj=nanojoules(own),
        lif_nj=nanojoules(lif),
        lstm_nj=0.0 if layer.readout else lstm_nj(layer.inputs, neurons),
    )


def _decaying(neuron: Neuron) -> int:
    """Return how many of the two states are multiplied by a decay that is neither 0 nor 1."""
    return sum(_multiplies(table) for table in (neuron.a1, neuron.a2))


def _multiplies(table: npt.NDArray[Any]) -> bool:
    return bool(((table != 0) & (table != DECAY_ONE)).any())
