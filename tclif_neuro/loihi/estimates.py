"""Time and energy as estimates: operations counted by the simulator, times figures of other silicon.

Nothing here was measured on Loihi 2. The energies are of its predecessor; a chip adds what it takes to be on, and to
move spikes. Of bare arithmetic in 45 nm: `compare.energy`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tclif_neuro.fixed.run import Run
from tclif_neuro.loihi import limits
from tclif_neuro.loihi.limits import Limit
from tclif_neuro.network import QuantizedNetwork


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure of `value` `unit` per sample, made with `limits`. An order of magnitude, not a measurement."""

    name: str
    value: float
    unit: str
    limits: tuple[Limit, ...]


@dataclass(frozen=True, kw_only=True)
class Operations:
    """Per sample: synaptic operations (a spike that meets a synapse), neuron updates, and its own steps."""

    synaptic: float
    updates: float
    steps: float


def count_operations(net: QuantizedNetwork, run: Run) -> Operations:
    """The operations of a recorded `run` of `net`, of the network as it is (not of its stock form).

    A synapse with a weight of zero counts as none; graded inputs count once per event.
    """
    batch = run.input.shape[1]
    synaptic = sum(_events(net, run, i) for i in range(len(net.layers)))
    steps = run.steps / batch
    return Operations(synaptic=synaptic / batch, updates=steps * sum(layer.size for layer in net.layers), steps=steps)


def _events(net: QuantizedNetwork, run: Run, i: int) -> float:
    layer = net.layers[i]
    incoming = run.input if i == 0 else run.layers[i - 1].spikes
    own = run.layers[i].spikes
    assert incoming is not None and own is not None
    events = float(np.count_nonzero(incoming, axis=(0, 1)) @ np.count_nonzero(layer.synapses.weight, axis=0))
    if layer.recurrent is not None:  # what is sent in a sample's last step arrives nowhere
        last = own[run.ends - 1, np.arange(own.shape[1])]
        arrives = np.count_nonzero(own, axis=(0, 1)) - last.sum(0, dtype=np.int64)
        events += float(arrives @ np.count_nonzero(layer.recurrent.weight, axis=0))
    return events


def estimates(operations: Operations, cores: int) -> tuple[Estimate, ...]:
    """Time per sample on `cores` cores, and energies. Each names the figures it was made with."""
    syn, upd, bar = limits.SYNAPSE_TIME, limits.NEURON_TIME, limits.BARRIER_TIME
    work = (operations.synaptic * syn.value + operations.updates * upd.value) / max(cores, 1)
    time = (work + operations.steps * bar.value) / 1e6
    loihi1 = operations.synaptic * limits.LOIHI1_SYNAPSE.value + operations.updates * limits.LOIHI1_UPDATE.value
    return (
        Estimate(name="time, if like public scripts on N3B3", value=time, unit="ms", limits=(syn, upd, bar)),
        Estimate(
            name="energy, if at Loihi 1's figures",
            value=loihi1 / 1e6,
            unit="uJ",
            limits=(limits.LOIHI1_SYNAPSE, limits.LOIHI1_UPDATE),
        ),
    )
