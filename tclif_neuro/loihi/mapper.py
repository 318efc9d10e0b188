"""The cores a network could lie on: a lower estimate of their number, since the compiler that decides is closed.

Every layer is split evenly over the smallest number of cores that each hold their part; layers never share a core.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from math import ceil
from operator import add
from typing import Literal

import numpy as np

from tclif_neuro.loihi.graph import compact
from tclif_neuro.loihi.limits import Board
from tclif_neuro.loihi.resources import Afferent, CoreUse, Population, core_use, weight_bits
from tclif_neuro.loihi.stock import SOURCE, TICKS, ChipNetwork, to_stock
from tclif_neuro.network import Layer, QuantizedNetwork

Path = Literal["lif", "stock", "microcode"]
PATHS: tuple[Path, ...] = ("lif", "stock", "microcode")


@dataclass(frozen=True, kw_only=True)
class LayerPart:
    """Neurons `first` to `last` of a layer on core `core` of chip `chip`, and what that core then holds."""

    layer: int
    chip: int
    core: int
    first: int
    last: int
    use: CoreUse


@dataclass(frozen=True, kw_only=True)
class LayerPlace:
    """A layer's populations (one, or three on the stock path) and its parts; no parts where no core holds a neuron."""

    layer: int
    neurons: int
    populations: tuple[Population, ...]
    parts: tuple[LayerPart, ...]

    @property
    def fan_in(self) -> int:
        """The inputs of its neuron with the most."""
        return max(population.fan_in for population in self.populations)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A place on `board` for every layer; `cores` counts none of a layer that fits nowhere."""

    board: Board
    path: Path
    layers: tuple[LayerPlace, ...]

    @property
    def cores(self) -> int:
        """The cores taken, at least."""
        return sum(len(layer.parts) for layer in self.layers)

    @property
    def fits(self) -> bool:
        """True if every layer found a place, and the board has as many cores."""
        return all(layer.parts for layer in self.layers) and self.cores <= self.board.all_cores


def place(net: QuantizedNetwork, board: Board, path: Path, stock: ChipNetwork | None = None) -> Placement:
    """Lay `net` on `board`, layer by layer, core by core. stock: what `to_stock` made of it, on that path.

    Raises `StockError` where the path is "stock" and a layer has no stock form.
    """
    if path == "stock":
        demands = stock_demands(stock or to_stock(net))
    else:
        demands = [(layer_population(net, i, path),) for i in range(len(net.layers))]
    layers, next_core = [], 0
    for i, (layer, populations) in enumerate(zip(net.layers, demands, strict=True)):
        parts = _parts(i, layer.size, populations, next_core, board)
        next_core += len(parts)
        layers.append(LayerPlace(layer=i, neurons=layer.size, populations=populations, parts=parts))
    return Placement(board=board, path=path, layers=tuple(layers))


def fewest_cores(neurons: int, populations: tuple[Population, ...]) -> int | None:
    """The fewest cores among which `neurons` split evenly and fit; None if not even one neuron per core does."""
    fit, over = 0, neurons + 1  # the largest part that fits is in [fit, over): more neurons never take less
    while over - fit > 1:
        middle = (fit + over) // 2
        if part_use(populations, middle).fits:
            fit = middle
        else:
            over = middle
    return ceil(neurons / fit) if fit else None


def part_use(populations: tuple[Population, ...], neurons: int) -> CoreUse:
    """Return the use of a core that holds `neurons` of each population."""
    return reduce(add, (core_use(population, neurons) for population in populations))


def _parts(
    layer: int, neurons: int, populations: tuple[Population, ...], next_core: int, board: Board
) -> tuple[LayerPart, ...]:
    k = fewest_cores(neurons, populations)
    bounds = [] if k is None else [round(neurons * i / k) for i in range(k + 1)]
    return tuple(
        LayerPart(
            layer=layer,
            chip=(next_core + i) // board.cores,
            core=(next_core + i) % board.cores,
            first=first,
            last=last - 1,
            use=part_use(populations, last - first),
        )
        for i, (first, last) in enumerate(pairwise(bounds))
    )


def layer_population(net: QuantizedNetwork, i: int, path: Path) -> Population:
    """Layer `i` as one population of its own neurons."""
    layer = net.layers[i]
    matrices = [layer.synapses] if layer.recurrent is None else [layer.synapses, layer.recurrent]
    afferents = tuple(
        Afferent(inputs=s.weight.shape[1], bits=weight_bits(s.weight), diagonal=compact(s.weight).ndim == 1)
        for s in matrices
    )
    groups = _groups(layer) if path == "microcode" else 1
    return Population(neurons=layer.size, afferents=afferents, targets=len(matrices), groups=groups)


def _groups(layer: Layer) -> int:
    """Return how many different sets of coefficients the layer's neurons have (E: that each takes a group)."""
    neuron = layer.neuron
    tables = (*neuron.a1, *neuron.a2, neuron.b1, neuron.b2)
    return len(np.unique(np.stack([np.broadcast_to(t, layer.size) for t in tables]), axis=1).T)


def stock_demands(stock: ChipNetwork) -> list[tuple[Population, ...]]:
    """Each layer's nodes as populations, with every synapse of the graph."""
    targets = {node.name: 0 for node in stock.graph.nodes}
    afferents: dict[str, list[Afferent]] = {node.name: [] for node in stock.graph.nodes}
    for edge in stock.graph.edges:
        targets[edge.source] += len(edge.targets)
        inputs = edge.weight.shape[-1] if edge.source != TICKS else 1
        for target in edge.targets:
            afferents[target].append(Afferent(inputs=inputs, bits=weight_bits(edge.weight), diagonal=edge.diagonal))
    return [
        tuple(
            Population(neurons=node.size, afferents=tuple(afferents[node.name]), targets=max(1, targets[node.name]))
            for node in stock.graph.nodes
            if node.name not in (SOURCE, TICKS) and int(node.name.split(".")[0]) == i
        )
        for i in range(len(stock.net.layers))
    ]
