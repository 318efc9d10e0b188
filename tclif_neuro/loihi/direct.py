"""A network on its own neurons, as a graph: the paths lif, which Loihi 2 has, and microcode, which somebody must write.

Every layer is one node and every matrix one edge, so a layer begins a step after the one before it. Unlike
`lava.run`, where samples follow each other, a run takes one sample: recurrent synapses of a chip forget nothing.

Before its sample a neuron feels its bias alone, and may fire. Its reset undoes that, but not a spike on its way through
recurrent synapses; so such a layer is quenched in the step before: tick neurons send it -254 at exponent 7, for one
step.
"""

from __future__ import annotations

import numpy as np

from tclif_neuro.loihi.graph import Edge, Graph, Node, run_graph
from tclif_neuro.loihi.stock import (
    SOURCE,
    ChipNetwork,
    StockError,
    layer_edges,
    lif_node,
    output_name,
    tick_chain,
)
from tclif_neuro.network import WEIGHT_EXP, Layer, QuantizedNetwork, TCLIFNeuron

QUENCH = 254  # at exponent 7, the most that mantissas of either sign have


def to_direct(net: QuantizedNetwork, *, adapter_steps: int = 0) -> ChipNetwork:
    """`net` with a node per layer; adapter_steps: see `ChipNetwork`.

    Raises `StockError` where a recurrent layer fires before its sample begins all the same.
    """
    nodes, edges = [Node(name=SOURCE, kind="source", size=net.inputs)], []
    upstream, firsts = SOURCE, []
    for i, layer in enumerate(net.layers):
        firsts.append(2 + adapter_steps + i)
        nodes.append(_node(i, layer, firsts[i]))
        edges += layer_edges(i, layer, upstream, 0 if i else net.input.bits)
        upstream = output_name(i)
    graph = Graph(nodes=tuple(nodes), edges=tuple(edges))
    early = _early(net, graph, firsts)
    if early:
        graph = _quenched(net, graph, firsts, early)
        for i in _early(net, graph, firsts):
            raise StockError("reset-leak", i, "its bias makes it fire before its sample begins; train without a bias")
    return ChipNetwork(net=net, graph=graph, first_steps=tuple(firsts), adapter_steps=adapter_steps)


def _node(i: int, layer: Layer, first: int) -> Node:
    if not isinstance(layer.neuron, TCLIFNeuron):
        return lif_node(i, layer, first)
    return Node(
        name=output_name(i),
        kind="tclif",
        size=layer.size,
        neuron=layer.neuron,
        bias_mant=layer.bias_mant,
        bias_exp=layer.bias_exp,
        reset_step=first,
    )


def _early(net: QuantizedNetwork, graph: Graph, firsts: list[int]) -> list[int]:
    """The recurrent layers that fire in the step before their sample. Biases are all that acts then: no estimate."""
    recurrent = [i for i, layer in enumerate(net.layers) if layer.recurrent is not None]
    if not recurrent:
        return []
    silence = np.zeros((1, 1, net.inputs), np.int64)
    steps = max(firsts[i] for i in recurrent) - 1
    sent = run_graph(graph, silence, steps, tuple(output_name(i) for i in recurrent)).sent
    return [i for i in recurrent if sent[output_name(i)][firsts[i] - 2].any()]


def _quenched(net: QuantizedNetwork, graph: Graph, firsts: list[int], layers: list[int]) -> Graph:
    """With tick neurons that hold `layers` down for one step: one goes on for good, and a step later its opposite."""
    ticks, chain = tick_chain(max(firsts[i] for i in layers) - 1)
    edges = [*graph.edges, *chain]
    for i in layers:
        first = firsts[i]
        weight = np.zeros((net.layers[i].size, ticks.size), np.int64)
        weight[:, first - 2] = QUENCH
        if first > 2:  # else the run is too young
            weight[:, first - 3] = -QUENCH
        edges.append(Edge(source=ticks.name, targets=(output_name(i),), weight=weight, exponent=WEIGHT_EXP[1]))
    return Graph(nodes=(*graph.nodes, ticks), edges=tuple(edges))
