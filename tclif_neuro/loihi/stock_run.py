"""A network's graph in NumPy: the reference of what Lava's processes give on every path, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.run import Encoded, LayerRun, Run, Sequences, encode
from tclif_neuro.loihi.graph import GraphRun, run_graph
from tclif_neuro.loihi.stock import ChipNetwork, output_name


def run_stock(network: ChipNetwork, x: npt.ArrayLike, *, record: bool = False) -> Run:
    """Run `network` on the float input `x` [T, B, M]; time is the sample's own, as if nothing were late.

    Of a two-compartment layer on stock neurons, states are its two sigma nodes after each of its steps (`final`: after
    the last), in the stock units. Other layers keep no sequences (`sent_spikes` has their spikes), and their `final` is
    of the run's end, which is the sample's in the last layer alone. `saturations` counts how often 24 bits were left:
    what a chip then does is not public.
    """
    encoded = encode(network.net, x)
    return as_run(network, encoded, run_network(network, encoded.values), record)


def run_network(network: ChipNetwork, values: npt.NDArray[Any]) -> GraphRun:
    """The graph of `network` on the encoded input [T, B, M], which an adapter delays."""
    wait = np.zeros((network.adapter_steps, *values.shape[1:]), values.dtype)
    late = np.concatenate([wait, values])
    return run_graph(network.graph, late, total_steps(network, len(values)), observed(network))


def total_steps(network: ChipNetwork, steps: int) -> int:
    """The steps of a run, until the last layer has sent its spikes for all `steps` of the sample."""
    return network.first_steps[-1] + steps - (not network.is_expanded(len(network.net.layers) - 1))


def observed(network: ChipNetwork) -> tuple[str, ...]:
    """The nodes whose activity a run is made of."""
    names: list[str] = []
    for i in range(len(network.net.layers)):
        names += [f"{i}.D", f"{i}.Z", output_name(i)] if network.is_expanded(i) else [output_name(i)]
    return tuple(names)


def as_run(network: ChipNetwork, encoded: Encoded, got: GraphRun, record: bool) -> Run:
    """Return what the nodes sent, as the activity of layers."""
    steps = len(encoded.values)
    layers = [_layer_run(network, i, got, steps, record) for i in range(len(network.net.layers))]
    return Run.of(network.net, encoded, layers)


def sent_spikes(network: ChipNetwork, got: GraphRun, steps: int) -> tuple[npt.NDArray[np.uint8], ...]:
    """Every layer's spikes in each of the sample's own steps, [T, B, N]."""
    return tuple(_spikes(network, i, got, steps) for i in range(len(network.net.layers)))


def same_run(network: ChipNetwork, one: GraphRun, other: GraphRun) -> bool:
    """Return whether everything observed and every last state is equal."""
    sent = all(np.array_equal(one.sent[name], other.sent[name]) for name in observed(network))
    return sent and all(np.array_equal(one.final[name], other.final[name]) for name in one.final)


def _spikes(network: ChipNetwork, i: int, got: GraphRun, steps: int) -> npt.NDArray[np.uint8]:
    begin = network.first_steps[i] - 1 + network.is_expanded(i)
    return got.sent[output_name(i)][begin : begin + steps].astype(np.uint8)


def _layer_run(network: ChipNetwork, i: int, got: GraphRun, steps: int, record: bool) -> LayerRun:
    begin, name = network.first_steps[i] - 1, output_name(i)
    spikes, parts, recorded = _spikes(network, i, got, steps), [name], None
    if network.is_expanded(i):
        parts += [f"{i}.D", f"{i}.Z"]
        states = np.stack([got.sent[f"{i}.{part}"][begin : begin + steps] for part in "DZ"])
        recorded, final = Sequences(spikes, states) if record else None, states[:, -1]
    else:
        final = np.stack(got.final[name]).astype(np.int32)
    return LayerRun(
        recorded=recorded,
        final=final,
        counts=spikes.sum(axis=0, dtype=np.int64),
        saturations=sum(got.left.get(part, 0) for part in parts),
    )
