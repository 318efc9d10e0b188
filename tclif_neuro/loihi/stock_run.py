"""The stock path in NumPy: the reference of what Lava's own processes give, to the bit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.run import Encoded, LayerRun, Run, Sequences, encode
from tclif_neuro.loihi.graph import GraphRun, run_graph
from tclif_neuro.loihi.stock import StockNetwork, is_stock, output_name


def run_stock(stock: StockNetwork, x: npt.ArrayLike, *, record: bool = False) -> Run:
    """Run `stock` on the float input `x` [T, B, M]; time is the sample's own, as if nothing were late.

    Of a two-compartment layer, states are its two sigma nodes after each of its steps (`final`: after the last), in the
    stock units. `saturations` counts how often 24 bits were left: what a chip then does is not public.
    """
    encoded = encode(stock.net, x)
    steps = total_steps(stock, len(encoded.values))
    got = run_graph(stock.graph, encoded.values, steps, observed(stock))
    return as_run(stock, encoded, got, record)


def total_steps(stock: StockNetwork, steps: int) -> int:
    """The steps of a run, until the last layer has sent its spikes for all `steps` of the sample."""
    return stock.first_steps[-1] + steps - (not is_stock(stock.net.layers[-1]))


def observed(stock: StockNetwork) -> tuple[str, ...]:
    """The nodes whose activity a run is made of."""
    names: list[str] = []
    for i, layer in enumerate(stock.net.layers):
        names += [f"{i}.D", f"{i}.Z", output_name(i)] if is_stock(layer) else [output_name(i)]
    return tuple(names)


def as_run(stock: StockNetwork, encoded: Encoded, got: GraphRun, record: bool) -> Run:
    """What the nodes sent, as the activity of layers."""
    steps = len(encoded.values)
    layers = [_layer_run(stock, i, got, steps, record) for i in range(len(stock.net.layers))]
    return Run.of(stock.net, encoded, layers)


def _layer_run(stock: StockNetwork, i: int, got: GraphRun, steps: int, record: bool) -> LayerRun:
    begin, name = stock.first_steps[i] - 1, output_name(i)
    late = 1 if is_stock(stock.net.layers[i]) else 0
    spikes = got.sent[name][begin + late : begin + late + steps].astype(np.uint8)
    parts = [name, f"{i}.D", f"{i}.Z"] if late else [name]
    if late:
        states = np.stack([got.sent[f"{i}.{part}"][begin : begin + steps] for part in "DZ"])
        recorded, final = Sequences(spikes, states) if record else None, states[:, -1]
    else:
        recorded, final = None, np.stack(got.final[name]).astype(np.int32)
    return LayerRun(
        recorded=recorded,
        final=final,
        counts=spikes.sum(axis=0, dtype=np.int64),
        saturations=sum(got.left.get(part, 0) for part in parts),
    )
