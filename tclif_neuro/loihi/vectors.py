"""The conformance vectors: small graphs of stock processes that ask what no document answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.loihi import hypotheses as h
from tclif_neuro.loihi.graph import Edge, Graph, Node, Rules, run_graph
from tclif_neuro.loihi.stock import output_name, to_stock
from tclif_neuro.loihi.stock_run import total_steps
from tclif_neuro.loihi.tclif_vectors import tclif_graphs
from tclif_neuro.network import MANT_MAX, Layer, QuantizedNetwork, Synapses, TCLIFNeuron

Array = npt.NDArray[Any]
SOURCE = "input"


@dataclass(frozen=True, kw_only=True, eq=False)
class Vector:
    """A question: `graph` on `input` [T, M] for `steps` steps; what the node `observe` sends, by each hypothesis.

    expect: by the hypothesis's name, [steps, N]; "lava" is the result of Lava's CPU models.
    """

    name: str
    about: str
    graph: Graph
    input: Array
    steps: int
    observe: str
    expect: Mapping[str, Array]


def make_vector(
    name: str, about: str, graph: Graph, x: Array, observe: str, rules: Mapping[str, Rules], tail: int = 6
) -> Vector:
    """The vector with its expectations computed; hypotheses that agree with an earlier one are left out."""
    steps = len(x) + tail
    expect: dict[str, Array] = {}
    for hypothesis, rule in rules.items():
        found = run_graph(graph, x[:, None], steps, (observe,), rule).sent[observe][:, 0]
        if not any(np.array_equal(found, other) for other in expect.values()):
            expect[hypothesis] = found
    return Vector(name=name, about=about, graph=graph, input=x, steps=steps, observe=observe, expect=expect)


def all_vectors() -> tuple[Vector, ...]:
    """Every vector, the same in every call."""
    made = [*_hops(), *_shifts(), *_messages(), *_lifs(), *_sigmas(), *_stocks(), *tclif_vectors()]
    return tuple(made)


def _source(size: int) -> Node:
    return Node(name=SOURCE, kind="source", size=size)


def _sigma(name: str, size: int) -> Node:
    return Node(name=name, kind="sigma", size=size)


def _graded(targets: str, weight: Any, exponent: int = 0, source: str = SOURCE, bits: int = 24) -> Edge:
    return Edge(source=source, targets=(targets,), weight=np.array(weight), exponent=exponent, message_bits=bits)


def _hops() -> Iterator[Vector]:
    pulse = np.zeros((8, 2), np.int64)
    pulse[0, 0] = pulse[3, 1] = 1
    fires = Node(name="out", kind="lif", size=2, vth=50)
    dense, sparse = np.array([[100, 0], [0, 100]]), np.array([100, 100])
    for kind, weight in (("dense", dense), ("sparse", sparse)):
        edge = Edge(source=SOURCE, targets=("out",), weight=weight)
        graph = Graph(nodes=(_source(2), fires), edges=(edge,))
        yield make_vector(f"hop-{kind}", f"steps from a source through {kind} to a LIF", graph, pulse, "out", h.DELAY)
    ring = Edge(source="out", targets=("out",), weight=np.array([[0, 100], [100, 0]]))
    graph = Graph(nodes=(_source(2), fires), edges=(Edge(source=SOURCE, targets=("out",), weight=dense), ring))
    yield make_vector("hop-recurrent", "a spike that goes round between two neurons", graph, pulse, "out", h.DELAY)
    edges = (_graded("a", [3, 5]), _graded("out", [1, 1], source="a"))
    graph = Graph(nodes=(_source(2), _sigma("a", 2), _sigma("out", 2)), edges=edges)
    yield make_vector("hop-sigma", "a sum of sums: how late is the second", graph, pulse, "out", h.DELAY)


def _shifts() -> Iterator[Vector]:
    rng = np.random.default_rng(1)
    x = rng.integers(-128, 128, (24, 6))
    weight = 2 * rng.integers(-128, 128, (4, 6))
    for exponent in (-1, -4, -8):
        graph = Graph(nodes=(_source(6), _sigma("out", 4)), edges=(_graded("out", weight, exponent, bits=8),))
        yield make_vector(f"shift{exponent}", "what a negative exponent shifts, and how", graph, x, "out", h.SHIFT)
    graph = Graph(nodes=(_source(6), _sigma("out", 4)), edges=(_graded("out", weight, 3, bits=8),))
    yield make_vector("shift3", "a positive exponent", graph, x, "out", h.SHIFT)


def _messages() -> Iterator[Vector]:
    rng = np.random.default_rng(2)
    for bits in (8, 16, 24):
        top = 2 ** (bits - 1)
        x = rng.integers(-top, top, (16, 3))
        graph = Graph(nodes=(_source(3), _sigma("out", 3)), edges=(_graded("out", [1, 1, 1], bits=bits),))
        yield make_vector(f"graded-{bits}", f"signed messages of {bits} bits", graph, x // 16, "out", h.MESSAGES)
    x = rng.integers(-(2**22), 2**22, (16, 3))
    graph = Graph(nodes=(_source(3), _sigma("out", 3)), edges=(_graded("out", [200, 90, 3], -8),))
    yield make_vector("graded-product", "products beyond 24 bits before a shift", graph, x // 8, "out", h.MESSAGES)


def _lifs() -> Iterator[Vector]:
    rng = np.random.default_rng(3)
    x = rng.integers(-100, 128, (60, 4))

    def graph(weight: int = 2, exponent: int = 0, **neuron: Any) -> Graph:
        node = Node(name="out", kind="lif", size=4, **neuron)
        return Graph(nodes=(_source(4), node), edges=(_graded("out", [weight] * 4, exponent, bits=8),))

    for name, about, made in (
        ("decay", "decays of current and potential", graph(du=300, dv=500, vth=300)),
        ("bias", "a bias with an exponent", graph(du=4095, dv=100, vth=400, bias_mant=np.arange(4) * 90, bias_exp=5)),
        ("wrap", "a current beyond 24 bits", graph(weight=254, exponent=3, du=1000, dv=4000, vth=60_000)),
        ("vth-max", "the largest threshold", graph(weight=254, exponent=2, du=4095, dv=0, vth=MANT_MAX)),
    ):
        yield make_vector(f"lif-{name}", about, made, x, "out", h.DECAY)
    slow, small = np.tile(np.array([[3, -3, 2, -1]]), (300, 1)), graph(du=2, dv=2, vth=50)
    slow[::2] *= -1
    slow[::7] += 1
    yield make_vector("lif-slow", "decays of small states, which rounding feels", small, slow, "out", h.DECAY)
    equal, level = graph(vth=100), np.tile(np.array([[49, 50, 51, 50]]), (6, 1))
    yield _against("lif-equal", "a potential that equals the threshold", equal, level, {"from-equal": {"vth": 99}})
    beyond: dict[str, dict[str, Any]] = {"dv-4095": {"dv": 4095}, "dv-0": {"dv": 0}}
    yield _against("lif-dv-4096", "dv beyond its 12 bits", graph(dv=4096, vth=150), x, beyond)
    reset = graph(du=100, dv=100, vth=1000, reset_step=20)
    later: dict[str, dict[str, Any]] = {"a-step-later": {"reset_step": 21}}
    yield _against("lif-reset", "a reset: when it begins", reset, x, later)


def _against(name: str, about: str, graph: Graph, x: Array, others: dict[str, dict[str, Any]]) -> Vector:
    """A vector whose other hypotheses are the same graph with other parameters of its LIF."""
    vector = make_vector(name, about, graph, x, "out", h.LAVA)
    expect = dict(vector.expect)
    for hypothesis, fields in others.items():
        nodes = tuple(replace(node, **fields) if node.name == "out" else node for node in graph.nodes)
        changed = make_vector(name, about, Graph(nodes=nodes, edges=graph.edges), x, "out", h.LAVA)
        expect[hypothesis] = changed.expect["lava"]
    return replace(vector, expect=expect)


def _sigmas() -> Iterator[Vector]:
    x = np.zeros((40, 2), np.int64)
    x[:30] = 100, -100
    graph = Graph(nodes=(_source(2), _sigma("out", 2)), edges=(_graded("out", [255, 255], 6, bits=8),))
    yield make_vector("sigma-overflow", "sums beyond 24 bits", graph, x, "out", h.SIGMA)
    x = np.zeros((12, 2), np.int64)
    x[2], x[7] = (3, 0), (0, 5)
    nodes = (_source(2), _sigma("a", 2), _sigma("out", 2))
    graph = Graph(nodes=nodes, edges=(_graded("a", [1, 1]), _graded("out", [1, 1], source="a")))
    yield make_vector("sigma-sends", "whether an unchanged sum is sent again", graph, x, "out", h.SIGMA)


def _stocks() -> Iterator[Vector]:
    """A layer of 16 TC-LIF on stock neurons, 200 steps, by Lava, with a chip's other shifts, and with other delays."""
    rng = np.random.default_rng(4)
    for name, recurrent, reset in (("ff", False, "delayed"), ("recurrent", True, "immediate")):
        weight, back = 2 * rng.integers(-60, 80, (16, 20)), 2 * rng.integers(-40, 40, (16, 16))
        one, half = np.array([[4096]]), np.array([2048])
        neuron = TCLIFNeuron(
            a1=one,
            a2=one,
            b1=-half,
            b2=half,
            vth_mant=2**14,
            gamma_mant=2**13,
            reset=reset,  # type: ignore[arg-type]
        )
        layer = Layer(
            synapses=Synapses(weight=weight, exponent=5),
            recurrent=Synapses(weight=back, exponent=4) if recurrent else None,
            neuron=neuron,
            bias_mant=rng.integers(-900, 900, 16),
            bias_exp=4,
        )
        stock = to_stock(QuantizedNetwork(layers=(layer,)))
        x = (rng.random((200, 20)) < 0.15).astype(np.int64)
        tail = total_steps(stock, 200) - 200
        rules = {**h.SHIFT, "two-steps": Rules(delay=2)}
        about = f"TC-LIF on stock neurons, {name}"
        yield make_vector(f"stock-{name}", about, stock.graph, x, output_name(0), rules, tail)


def tclif_vectors() -> Iterator[Vector]:
    """TC-LIF itself, for whoever writes microcode: the integers of docs/integers.md, and what else they could be."""
    for name, about, graph, x in tclif_graphs():
        vector = make_vector(f"tclif-{name}", about, graph, x, "out", h.TCLIF)
        if name == "start":
            vector = _against(f"tclif-{name}", about, graph, x, {"a-step-later": {"reset_step": 9}})
        yield vector


def network_vector(name: str, net: QuantizedNetwork, sample: Array) -> Vector:
    """A network on stock neurons, one encoded sample [T, M]; observed is its last layer that spikes.

    Raises `StockError` where it has no stock form.
    """
    stock = to_stock(net)
    last = max(i for i, layer in enumerate(net.layers) if not layer.readout)
    tail, about = total_steps(stock, len(sample)) - len(sample), f"the network {name} on stock neurons"
    rules = {**h.SHIFT, "two-steps": Rules(delay=2)}
    return make_vector(f"net-{name}", about, stock.graph, sample.astype(np.int64), output_name(last), rules, tail)
