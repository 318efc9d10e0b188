"""A network's graph in NumPy: the reference of what Lava's processes give on every path, to the bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.run import Encoded, LayerRun, Run, Sequences, encode, hold
from tclif_neuro.loihi.graph import GraphRun, run_graph
from tclif_neuro.loihi.stock import ChipNetwork, output_name


def run_stock(
    network: ChipNetwork, x: npt.ArrayLike, *, lengths: npt.ArrayLike | None = None, record: bool = False
) -> Run:
    """Run `network` on the float input `x` [T, B, M]; time is the sample's own, as if nothing were late.

    Of a two-compartment layer on stock neurons, states are its two sigma nodes after each of its steps (`final`: after
    the last), in the stock units. Other layers keep no sequences (`sent_spikes` has their spikes), and their `final` is
    of the run's end, which is the sample's in the last layer alone. `saturations` counts how often 24 bits were left:
    what a chip then does is not public. lengths: as of `tn.run`.
    """
    encoded = encode(network.net, x, lengths)
    return as_run(network, encoded, run_network(network, encoded.values, encoded.lengths), record)


def run_network(
    network: ChipNetwork, values: npt.NDArray[Any], lengths: npt.NDArray[np.int64] | None = None
) -> GraphRun:
    """The graph of `network` on the encoded input [T, B, M], which an adapter delays.

    lengths: [B], the steps of each sample that are its own (None: all). A sample's run ends when they are over; what
    its nodes would have sent after that is 0.
    """
    wait = np.zeros((network.adapter_steps, *values.shape[1:]), values.dtype)
    late, names = np.concatenate([wait, values]), observed(network)
    if lengths is None:
        return run_graph(network.graph, late, total_steps(network, len(values)), names)
    steps, groups = total_steps(network, len(values)), [np.flatnonzero(lengths == n) for n in np.unique(lengths)]
    runs = []
    for group in groups:
        own = int(lengths[group[0]])
        run = run_graph(network.graph, late[: own + len(wait), group], total_steps(network, own), names)
        runs.append(replace(run, sent={name: lengthened(run.sent[name], steps) for name in names}))
    return _in_order(runs, np.argsort(np.concatenate(groups)))


def lengthened(sent: npt.NDArray[np.int32], steps: int) -> npt.NDArray[np.int32]:
    """The activity `sent` [t, B, N] of a node, filled up with zeros to `steps` steps."""
    return np.concatenate([sent, np.zeros((steps - len(sent), *sent.shape[1:]), sent.dtype)])


def _in_order(runs: list[GraphRun], order: npt.NDArray[np.int64]) -> GraphRun:
    """The runs as one, of sample `order[i]` of them all at i."""
    first = runs[0]
    return GraphRun(
        sent={name: np.concatenate([run.sent[name] for run in runs], axis=1)[:, order] for name in first.sent},
        final={
            name: (
                np.concatenate([run.final[name][0] for run in runs])[order],
                np.concatenate([run.final[name][1] for run in runs])[order],
            )
            for name in first.final
        },
        left={name: sum(run.left[name] for run in runs) for name in first.left},
    )


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
    layers = [_layer_run(network, i, got, encoded, record) for i in range(len(network.net.layers))]
    return Run.of(network.net, encoded, layers)


def sent_spikes(network: ChipNetwork, got: GraphRun, encoded: Encoded) -> tuple[npt.NDArray[np.uint8], ...]:
    """Every layer's spikes in each of the sample's own steps, [T, B, N], and 0 in the padding."""
    return tuple(_spikes(network, i, got, encoded) for i in range(len(network.net.layers)))


def same_run(network: ChipNetwork, one: GraphRun, other: GraphRun) -> bool:
    """Return whether everything observed and every last state is equal."""
    sent = all(np.array_equal(one.sent[name], other.sent[name]) for name in observed(network))
    return sent and all(np.array_equal(one.final[name], other.final[name]) for name in one.final)


def _spikes(network: ChipNetwork, i: int, got: GraphRun, encoded: Encoded) -> npt.NDArray[np.uint8]:
    begin, steps = network.first_steps[i] - 1 + network.is_expanded(i), len(encoded.values)
    spikes = got.sent[output_name(i)][begin : begin + steps].astype(np.uint8)
    if encoded.lengths is not None:
        spikes[np.arange(steps)[:, None] >= encoded.lengths] = 0
    return spikes


def _layer_run(network: ChipNetwork, i: int, got: GraphRun, encoded: Encoded, record: bool) -> LayerRun:
    begin, name, steps = network.first_steps[i] - 1, output_name(i), len(encoded.values)
    spikes, parts, recorded = _spikes(network, i, got, encoded), [name], None
    if network.is_expanded(i):
        parts += [f"{i}.D", f"{i}.Z"]
        states = np.stack([got.sent[f"{i}.{part}"][begin : begin + steps] for part in "DZ"])
        hold(states, encoded.lengths)
        recorded, final = Sequences(spikes, states) if record else None, states[:, -1]
    else:
        final = np.stack(got.final[name]).astype(np.int32)
    return LayerRun(
        recorded=recorded,
        final=final,
        counts=spikes.sum(axis=0, dtype=np.int64),
        saturations=sum(got.left.get(part, 0) for part in parts),
    )
