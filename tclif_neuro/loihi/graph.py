"""A network of processes in integers: `Sigma` and `LIF`, which Lava ships for Loihi 2, TC-LIF, and synapses between.

One graph serves three uses: `run_graph` computes it in NumPy, `lava.hardware.build` makes it of Lava's own unmodified
processes (TC-LIF is ours, or microcode), and a conformance vector carries it to a chip. A step, for all of them:

    every edge delivers what its source sent in the step before;  every node adds up, updates, and sends

so an edge always takes one step, as a `Dense` or `Sparse` does in Lava.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.step import int32, lif, tclif_delayed, tclif_immediate
from tclif_neuro.network import (
    ACT_SHIFT,
    DECAY_ONE,
    MANT_MAX,
    STATE_MAX,
    FormatError,
    Synapses,
    TCLIFNeuron,
    check_range,
)

Ints = npt.NDArray[np.int64]
Kind = Literal["source", "sigma", "lif", "tclif"]
KINDS = ("source", "sigma", "lif", "tclif")
ONCE = 2**31 - 1  # a reset interval that no run reaches
MESSAGE_BITS = 24  # of a graded spike between stock neurons


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """A population of `size` neurons.

    source: sends the input, one row per step, then zeros.
    sigma: `sigma <- sigma + in`, and sends sigma in every step.
    lif: Lava's bit-accurate LIF, see `fixed.step.lif`, with Lava's own parameters: du (to which Lava adds 1), dv, vth,
        bias_mant [size] and bias_exp. reset_step: the run's step, from 1, that begins with u = v = 0; 0 for none.
    tclif: `fixed.step.tclif_delayed` or `tclif_immediate` with the coefficients of `neuron`, and the same bias.
        reset_step: the step that begins with both compartments at 0, no spike before, and the first row of a schedule.
    """

    name: str
    kind: Kind
    size: int
    du: int = DECAY_ONE - 1
    dv: int = DECAY_ONE
    vth: int = 1
    bias_mant: npt.NDArray[Any] | None = None
    bias_exp: int = 0
    reset_step: int = 0
    neuron: TCLIFNeuron | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise FormatError(f"node {self.name}: kind {self.kind!r} is none of {', '.join(KINDS)}")
        if (self.neuron is not None) != (self.kind == "tclif"):
            raise FormatError(f"node {self.name}: coefficients of TC-LIF belong to the kind tclif, and to it alone")
        for table in ("a1", "a2", "b1", "b2") if self.neuron is not None else ():
            width = getattr(self.neuron, table).shape[-1]
            if width not in (1, self.size):
                raise FormatError(f"node {self.name}: {table} has {width} coefficients for {self.size} neurons")
        check_range(f"node {self.name}: size", self.size, 1, 2**20)
        check_range(f"node {self.name}: du", self.du, 0, DECAY_ONE - 1)
        check_range(f"node {self.name}: dv", self.dv, 0, DECAY_ONE)
        check_range(f"node {self.name}: vth", self.vth, 0, MANT_MAX)
        check_range(f"node {self.name}: reset_step", self.reset_step, 0, 2**30)

    @property
    def bias(self) -> Ints:
        """The bias in state units, [size]."""
        mantissa = np.zeros(self.size, np.int64) if self.bias_mant is None else np.asarray(self.bias_mant, np.int64)
        return mantissa << self.bias_exp


@dataclass(frozen=True, kw_only=True, eq=False)
class Edge:
    """Synapses from `source` to every one of `targets`, which get the same sums.

        a = shift(weight s, exponent)

    weight: [N, M], or [N] for the diagonal of a square matrix. In one matrix all mantissas are even in [-256, 254], or
    of one sign up to 255; exponent in [-8, 7]. message_bits: 0 for binary spikes, else the width of graded ones.
    """

    source: str
    targets: tuple[str, ...]
    weight: npt.NDArray[Any]
    exponent: int = 0
    message_bits: int = 0

    def __post_init__(self) -> None:
        weight = np.asarray(self.weight, np.int64)
        Synapses(weight=np.atleast_2d(weight), exponent=self.exponent)  # its format, checked
        object.__setattr__(self, "weight", weight)

    @property
    def diagonal(self) -> bool:
        """True if every neuron has one synapse, from its namesake."""
        return bool(self.weight.ndim == 1)

    @property
    def synapses(self) -> int:
        """The number of synapses it takes, those of every target counted, zeros not."""
        return int(np.count_nonzero(self.weight)) * len(self.targets)

    def deliver(self, sent: Ints) -> Ints:
        """Return what arrives of `sent` [B, M], int64 [B, N], wrapped to 32 bits as in Lava."""
        total = int32(self.product(sent))
        return int32(total << self.exponent) if self.exponent > 0 else total >> -self.exponent

    def product(self, sent: Ints) -> Ints:
        """`weight s`, exact."""
        signal = sent if self.message_bits else (sent != 0).astype(np.int64)
        if self.diagonal:
            return self.weight * signal
        product: Ints = (signal.astype(np.float64) @ self.weight.T.astype(np.float64)).astype(np.int64)  # below 2^53
        return product


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """Nodes and edges; exactly one node is the source. Raises `FormatError` where they do not fit together."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def __post_init__(self) -> None:
        sizes = {node.name: node.size for node in self.nodes}
        if len(sizes) != len(self.nodes):
            raise FormatError("graph: two nodes of the same name")
        if [node.kind for node in self.nodes].count("source") != 1:
            raise FormatError("graph: exactly one source expected")
        for edge in self.edges:
            for name in (edge.source, *edge.targets):
                if name not in sizes:
                    raise FormatError(f"graph: an edge names {name!r}, which is no node")
            shape = edge.weight.shape if not edge.diagonal else edge.weight.shape * 2
            for target in edge.targets:
                if shape != (sizes[target], sizes[edge.source]):
                    raise FormatError(f"graph: edge {edge.source} -> {target} has the shape {list(shape)}")

    def node(self, name: str) -> Node:
        """The node of that name."""
        return next(node for node in self.nodes if node.name == name)

    @property
    def source(self) -> Node:
        """The node where the input comes in."""
        return next(node for node in self.nodes if node.kind == "source")


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphRun:
    """The record of a run.

    sent: what the observed nodes sent, [steps, B, size] each. final: every neuron's last states, (u, v) of a LIF,
    (dendrite, soma) of a TC-LIF. left: for each node, how often a sigma went beyond 24 bits or a state out of its
    range.
    """

    sent: dict[str, npt.NDArray[np.int32]]
    final: dict[str, tuple[Ints, Ints]]
    left: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of Lava's processes where a chip might do something else; conformance vectors try others.

    deliver: an edge and what its source sent -> what arrives. delay: the steps that takes. lif: the neuron's step;
    delayed, immediate: TC-LIF's, by its reset. sigma: what becomes of a sum. sends_always: whether a sigma also sends
    what has not changed.
    """

    deliver: Callable[[Edge, Ints], Ints] = Edge.deliver
    delay: int = 1
    lif: Callable[..., tuple[Any, Any, Any, Any]] = lif
    delayed: Callable[..., tuple[Any, Any, Any, Any, Any]] = tclif_delayed
    immediate: Callable[..., tuple[Any, Any, Any, Any, Any]] = tclif_immediate
    sigma: Callable[[Ints], Ints] = int32
    sends_always: bool = True


def run_graph(
    graph: Graph, x: npt.NDArray[Any], steps: int, observe: tuple[str, ...], rules: Rules | None = None
) -> GraphRun:
    """Run `graph` for `steps` steps on the input x [T, B, M], T <= steps, from rest; by the `rules` of Lava."""
    rules, batch = rules or Rules(), x.shape[1]
    rest = {node.name: np.zeros((batch, node.size), np.int64) for node in graph.nodes}
    state = {name: np.stack([zero, zero, zero]) for name, zero in rest.items()}
    kept = {name: np.zeros((steps, batch, graph.node(name).size), np.int32) for name in observe}
    left, sent = dict.fromkeys(state, 0), deque([rest] * rules.delay, maxlen=rules.delay)
    for t in range(steps):
        inputs: dict[str, Any] = dict.fromkeys(state, 0)
        for edge in graph.edges:
            delivered = rules.deliver(edge, sent[0][edge.source])
            for target in edge.targets:
                inputs[target] = inputs[target] + delivered
        now = {}
        for node in graph.nodes:
            if node.kind == "source":
                now[node.name] = x[t].astype(np.int64) if t < len(x) else rest[node.name]
                continue
            new, now[node.name], out = _advance(node, state[node.name], int32(inputs[node.name]), t, rules)
            state[node.name] = new
            left[node.name] += out
        sent.append(now)
        for name in observe:
            kept[name][t] = now[name]
    final = {name: (state[name][0], state[name][1]) for name in neurons_of(graph)}
    return GraphRun(sent=kept, final=final, left=left)


def neurons_of(graph: Graph) -> tuple[str, ...]:
    """The nodes that have two states: LIF and TC-LIF."""
    return tuple(node.name for node in graph.nodes if node.kind in ("lif", "tclif"))


def _advance(node: Node, state: Ints, a_in: Ints, t: int, rules: Rules) -> tuple[Ints, Ints, int]:
    """A step of a node: its state [3, B, N], what it sends, and how often it left its 24 bits."""
    if node.kind == "sigma":
        sigma = rules.sigma(state[0] + a_in)
        out = sigma if rules.sends_always else sigma * (sigma != state[0])
        return np.stack([sigma, *state[1:]]), out, int((np.abs(sigma) > STATE_MAX).sum())
    u, v, fired = np.zeros_like(state) if t + 1 == node.reset_step else state
    if node.neuron is not None:
        u, v, spike, left = _advance_tclif(node, node.neuron, (u, v, fired), a_in, t, rules)
    else:
        act, vth = int32(a_in << ACT_SHIFT), node.vth << ACT_SHIFT
        decays = DECAY_ONE - node.du - 1, DECAY_ONE - node.dv
        u, v, spike, left = rules.lif(u, v, act, node.bias, *decays, vth)
    return np.stack([u, v, spike]), spike, int(left.sum())


def _advance_tclif(
    node: Node, neuron: TCLIFNeuron, state: tuple[Ints, Ints, Ints], a_in: Ints, t: int, rules: Rules
) -> tuple[Ints, Ints, Ints, Ints]:
    now = (t + 1 - node.reset_step) % ONCE if node.reset_step else t
    row = min(now, len(neuron.a1) - 1)
    coefficients = (np.asarray(c, np.int64) for c in (neuron.a1[row], neuron.a2[row], neuron.b1, neuron.b2))
    advance = rules.delayed if neuron.reset == "delayed" else rules.immediate
    act = (a_in << ACT_SHIFT) + node.bias
    dendrite, soma, spike, left, _ = advance(*state, act, *coefficients, neuron.gamma, neuron.vth)
    return dendrite, soma, spike, left


def compact(weight: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A square matrix that is 0 beside its diagonal as that diagonal alone; any other as it is."""
    diagonal = np.diagonal(weight)
    square = weight.shape == (len(diagonal),) * 2 and len(diagonal) > 1
    return diagonal.copy() if square and np.count_nonzero(weight) == np.count_nonzero(diagonal) else weight


def joined(edges: list[Edge]) -> tuple[Edge, ...]:
    """The same with edges that carry the same sums from the same source made one with several targets."""
    found: list[Edge] = []
    for edge in edges:
        same = next((i for i, other in enumerate(found) if _alike(edge, other)), None)
        if same is None:
            found.append(edge)
        else:
            found[same] = replace(found[same], targets=found[same].targets + edge.targets)
    return tuple(found)


def _alike(a: Edge, b: Edge) -> bool:
    fields = ("source", "exponent", "message_bits")
    return all(getattr(a, f) == getattr(b, f) for f in fields) and np.array_equal(a.weight, b.weight)
