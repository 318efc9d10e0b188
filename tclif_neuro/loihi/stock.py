"""TC-LIF on neurons that Loihi 2 has: two `Sigma` and one `LIF` without memory per neuron, one step late.

Every synapse takes a step, so the soma and with it the dendrite's reset come a step late; constants make up for that
exactly. With k = a1 + b1 b2, d, z, f what the three sent in the last step, and R the recurrent weights:

    D <- D + (k - 1) d + b1 a2 z + (k (R - gamma) - b1 Vth) f + I
    Z <- Z + (a2 - 1) z + b2 d   + (b2 (R - gamma) - Vth) f
    F <- [ z + (a2 - 1) z + b2 d + (b2 (R - gamma) - Vth) f >= Vth ]

gives F[t] = S[t-1] of TC-LIF with the delayed reset. The immediate one is the same neuron with the reset constants
gamma -> a1 gamma + b1 Vth and Vth -> a2 Vth. In integers the coefficients are 256ths, which 8-bit weights hold, and a
product rounds down; where b1 b2 is no whole number of 256ths, an oscillation would grow or die.

A bias is a weight from a chain of tick neurons, which fire in every step from one on. LIF layers stay what they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tclif_neuro.errors import TclifError
from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.loihi.graph import MESSAGE_BITS, Edge, Graph, Node, compact, joined
from tclif_neuro.loihi.terms import FRACTION_BITS, INTEGER_MAX, Term, TermError, fraction_terms, integer_terms
from tclif_neuro.network import (
    ACT_SHIFT,
    DECAY_ONE,
    MANT_MAX,
    WEIGHT_EXP,
    Layer,
    LIFNeuron,
    QuantizedNetwork,
    Synapses,
    TCLIFNeuron,
)

Floats = npt.NDArray[np.float64]

HEADROOM = 16.0  # without a calibration, a soma is expected to stay below that many thresholds
DRIFT = 0.05  # how much an amplitude may change over a sample through coefficients off the lattice
LIF_INPUT_BITS = 17  # Lava's LIF shifts its input up by 6 into 24 signed bits
STEPS = 1000  # of a sample, where the network does not say
SOURCE, TICKS = "input", "ticks"


class StockError(TclifError, ValueError):
    """A layer that stock neurons cannot be. code: the check that it fails."""

    def __init__(self, code: str, layer: int, text: str) -> None:
        super().__init__(f"layer {layer}: {text}")
        self.code, self.layer, self.text = code, layer, text


@dataclass(frozen=True, kw_only=True)
class StockLoss:
    """The cost of a layer's stock form.

    threshold: in its state units. bits_dropped: by which its states are coarser than the network's. coarse: by which
    the LIF's input is coarser still. drift: the relative change of an amplitude over a sample. synapses: of the layer.
    """

    layer: int
    threshold: int
    bits_dropped: int
    coarse: int
    drift: float
    synapses: int


@dataclass(frozen=True, kw_only=True, eq=False)
class ChipNetwork:
    """A network as a graph of processes: for each layer its first step (from 1), what was lost, and its origin.

    adapter_steps: by which the input is late, through the adapter between host and chip; an output adapter takes as
    many, which the graph does not feel. loss: of each two-compartment layer made of stock neurons.
    """

    net: QuantizedNetwork
    graph: Graph
    first_steps: tuple[int, ...]
    loss: tuple[StockLoss, ...] = ()
    adapter_steps: int = 0

    def is_expanded(self, layer: int) -> bool:
        """Return whether the layer is made of three nodes per neuron: dendrites, somas, and what fires a step later."""
        return any(loss.layer == layer for loss in self.loss)

    @property
    def processes(self) -> int:
        """The number of Lava's processes it takes."""
        return len(self.graph.nodes) + len(self.graph.edges)

    @property
    def synapses(self) -> int:
        """The number of synapses it takes."""
        return sum(edge.synapses for edge in self.graph.edges)


def output_name(layer: int) -> str:
    """The node that sends the spikes of `layer`."""
    return f"{layer}.F"


def to_stock(
    net: QuantizedNetwork,
    calibration: npt.ArrayLike | None = None,
    *,
    lengths: npt.ArrayLike | None = None,
    adapter_steps: int = 0,
) -> ChipNetwork:
    """`net` on stock neurons. calibration: float inputs [T, B, M] that show how far the somas go, and their lengths.

    adapter_steps: see `ChipNetwork`.

    Raises `StockError` where a layer has no stock form: a schedule, couplings off the lattice, numbers that no two
    weights make, a LIF layer that could fire before its sample begins.
    """
    peaks = _peaks(net, calibration, lengths)
    nodes, edges, loss, firsts = [Node(name=SOURCE, kind="source", size=net.inputs)], [], [], []
    upstream, first = SOURCE, 2 + adapter_steps
    for i, layer in enumerate(net.layers):
        bits = 0 if i else net.input.bits
        firsts.append(first)
        if layer.neuron.two_compartment:  # which takes three nodes; a LIF takes one
            built = _Builder(i, layer, net.steps or STEPS, peaks[i]).build(upstream, bits, first - 2)
            nodes += built[0]
            edges += built[1]
            loss.append(built[2])
        else:
            _check_start(net, i)
            nodes.append(lif_node(i, layer, first))
            edges += layer_edges(i, layer, upstream, bits)
        upstream, first = output_name(i), first + (2 if layer.neuron.two_compartment else 1)
    ticks, chain = tick_chain(max(firsts) - 1)
    edges = [_widened(edge, ticks.size) for edge in edges]
    if any(edge.source == TICKS for edge in edges):
        nodes.append(ticks)
        edges += chain
    graph = Graph(nodes=tuple(nodes), edges=tuple(edges))
    firsts_, losses = tuple(firsts), tuple(loss)
    return ChipNetwork(net=net, graph=graph, first_steps=firsts_, loss=losses, adapter_steps=adapter_steps)


def _peaks(net: QuantizedNetwork, calibration: npt.ArrayLike | None, lengths: npt.ArrayLike | None) -> list[float]:
    """The largest soma of each layer before its reset, in thresholds."""
    if calibration is None:
        return [HEADROOM] * len(net.layers)
    peaks = []
    for layer, run in zip(
        net.layers, run_reference(net, calibration, lengths=lengths, record=True).layers, strict=True
    ):
        peaks.append(2 * (float(np.abs(run.states[1]).max()) / layer.neuron.vth + 1))
    return peaks


def _check_start(net: QuantizedNetwork, i: int) -> None:
    """A LIF layer is cleared when its sample begins; what it sent before that still arrives in the next layer."""
    layer = net.layers[i]
    stock_after = i + 1 < len(net.layers) and net.layers[i + 1].neuron.two_compartment
    if layer.bias_mant.max() > 0 and not layer.readout and (stock_after or layer.recurrent is not None):
        raise StockError("neuron-format", i, "its bias lets a LIF fire before its sample begins; train without a bias")


def lif_node(i: int, layer: Layer, first: int) -> Node:
    """A layer of LIF as a node, whose sample begins in the run's step `first`."""
    neuron = layer.neuron
    assert isinstance(neuron, LIFNeuron)
    return Node(
        name=output_name(i),
        kind="lif",
        size=layer.size,
        du=neuron.i_decay - 1,
        dv=neuron.v_decay,
        vth=neuron.vth_mant,
        bias_mant=layer.bias_mant,
        bias_exp=layer.bias_exp,
        reset_step=first,
    )


def layer_edges(i: int, layer: Layer, upstream: str, bits: int) -> list[Edge]:
    """A layer's own matrices as edges to its node; bits: of a message from `upstream`, 0 for spikes."""
    pairs: list[tuple[str, int, Synapses | None]] = [(upstream, bits, layer.synapses)]
    pairs.append((output_name(i), 0, layer.recurrent))
    return [
        Edge(
            source=source,
            targets=(output_name(i),),
            weight=compact(s.weight),
            exponent=s.exponent,
            message_bits=message,
        )
        for source, message, s in pairs
        if s is not None
    ]


def tick_chain(length: int) -> tuple[Node, list[Edge]]:
    """A chain of LIF, of which number j fires in every step from j + 1 on; the first is driven by its bias."""
    drive = np.zeros(length, np.int64)
    drive[0] = 2
    node = Node(name=TICKS, kind="lif", size=length, vth=1, bias_mant=drive, bias_exp=7)
    if length == 1:
        return node, []
    return node, [Edge(source=TICKS, targets=(TICKS,), weight=np.eye(length, k=-1, dtype=np.int64) * 2)]


def _widened(edge: Edge, ticks: int) -> Edge:
    """A bias edge, made for the ticks up to its own, with columns for all of them."""
    if edge.source != TICKS:
        return edge
    weight = np.zeros((len(edge.weight), ticks), np.int64)
    weight[:, : edge.weight.shape[1]] = edge.weight
    return Edge(source=TICKS, targets=edge.targets, weight=weight, exponent=edge.exponent)


class _Builder:
    """One two-compartment layer. Coefficients are float64 [N]; those of an integer network are exact in it."""

    def __init__(self, index: int, layer: Layer, steps: int, peak: float) -> None:
        neuron = layer.neuron
        assert isinstance(neuron, TCLIFNeuron)
        if neuron.adaptive:
            raise StockError("schedule", index, "decays that change within a sample have no stock form")
        self.index, self.layer, self.steps, self.peak = index, layer, steps, peak
        ones = np.ones(layer.size)
        self.a1, self.a2 = neuron.a1[0] / DECAY_ONE * ones, neuron.a2[0] / DECAY_ONE * ones
        self.b1, self.b2 = neuron.b1 / DECAY_ONE * ones, neuron.b2 / DECAY_ONE * ones
        gamma, vth = float(neuron.gamma), float(neuron.vth)
        self.vth, self.gamma_reset, self.vth_reset = vth, gamma * ones, vth * ones
        if neuron.reset == "immediate":
            self.gamma_reset, self.vth_reset = self.a1 * gamma + self.b1 * vth, self.a2 * vth

    def build(self, upstream: str, bits: int, tick: int) -> tuple[list[Node], list[Edge], StockLoss]:
        """Nodes, edges and loss at the largest scale that every format allows."""
        drift = self.drift()
        reason = "no scale leaves it a threshold"
        for down in range(-8, 20):
            try:
                coarse = self.coarse(down)
                edges = joined(self.edges(down, coarse, upstream, bits, tick))
            except TermError as error:
                reason = str(error)
                continue
            threshold = round(self.vth * 2.0**-down)
            if (threshold >> coarse) < 2:
                break
            loss = StockLoss(
                layer=self.index,
                threshold=threshold,
                bits_dropped=down,
                coarse=coarse,
                drift=drift,
                synapses=sum(edge.synapses for edge in edges),
            )
            return self.nodes(threshold >> coarse), list(edges), loss
        raise StockError("neuron-format", self.index, f"has no stock form: {reason}")

    def nodes(self, threshold: int) -> list[Node]:
        """Dendrites, somas, and the neurons that fire where their input reaches `threshold`."""
        kinds = [Node(name=f"{self.index}.{part}", kind="sigma", size=self.layer.size) for part in "DZ"]
        return [*kinds, Node(name=output_name(self.index), kind="lif", size=self.layer.size, vth=threshold - 1)]

    def parts(self) -> dict[str, npt.NDArray[np.int64]]:
        """The coefficients of d and z, in 256ths."""
        exact = {
            "d to D": self.a1 + self.b1 * self.b2 - 1,
            "z to D": self.b1 * self.a2,
            "z to Z": self.a2 - 1,
            "d to Z": self.b2,
        }
        return {name: np.rint(value * 2**FRACTION_BITS).astype(np.int64) for name, value in exact.items()}

    def drift(self) -> float:
        """Return an amplitude's error at the end of its memory, or of the sample: sqrt(det M / (a1 a2))^steps - 1.

        Raises `StockError` from `DRIFT` on.
        """
        p = {name: value / 2**FRACTION_BITS for name, value in self.parts().items()}
        got = (1 + p["d to D"]) * (1 + p["z to Z"]) - p["z to D"] * p["d to Z"]
        lasting = self.a1 * self.a2
        if not (lasting > 0).any():
            return 0.0
        kept = lasting > 0
        factor = np.sqrt(np.maximum(got[kept], 0) / lasting[kept])
        memory = 1 / np.maximum(1 - np.sqrt(lasting[kept]), 1 / self.steps)
        with np.errstate(over="ignore"):
            drift = float(np.abs(factor ** np.minimum(memory, self.steps) - 1).max())
        if drift >= DRIFT:
            raise StockError(
                "lattice",
                self.index,
                f"its coefficients are no multiples of 1/256: an amplitude would be off by {drift:.0%} after "
                f"{self.steps} steps; train on the lattice (lattice = true or learn_couplings = false in the recipe)",
            )
        return drift

    def coarse(self, down: int) -> int:
        """By how many bits the LIF's input must be coarser, so that the largest soma fits its 17 bits."""
        threshold = self.vth * 2.0**-down
        coarse = max(0, int(np.ceil(np.log2(max(self.peak, 2.0) * threshold))) - LIF_INPUT_BITS)
        if threshold / 2**coarse > MANT_MAX:
            raise TermError(f"the threshold {threshold:g} exceeds {MANT_MAX}")
        return coarse

    def edges(self, down: int, coarse: int, upstream: str, bits: int, tick: int) -> list[Edge]:
        """Every synapse of the layer, its states `down` bits coarser than the network's."""
        dendrite, soma, fire = (f"{self.index}.{part}" for part in "DZF")
        parts, resets = self.parts(), self.resets(2.0**-down)
        graded: list[tuple[str, str, list[Term]]] = [
            (dendrite, dendrite, fraction_terms(parts["d to D"])),
            (soma, dendrite, fraction_terms(parts["z to D"])),
            (soma, soma, fraction_terms(parts["z to Z"])),
            (dendrite, soma, fraction_terms(parts["d to Z"])),
            (soma, fire, fraction_terms(np.full(self.layer.size, 2**FRACTION_BITS), coarse)),
            (soma, fire, fraction_terms(parts["z to Z"], coarse)),
            (dendrite, fire, fraction_terms(parts["d to Z"], coarse)),
        ]
        spiking = [
            (fire, dendrite, integer_terms(np.rint(resets[0]).astype(np.int64))),
            (fire, soma, integer_terms(np.rint(resets[1]).astype(np.int64))),
            (fire, fire, integer_terms(np.rint(resets[1] * 2.0**-coarse).astype(np.int64))),
        ]
        edges = [
            Edge(source=source, targets=(target,), weight=mantissa, exponent=e, message_bits=width)
            for group, width in ((graded, MESSAGE_BITS), (spiking, 0))
            for source, target, terms in group
            for mantissa, e in terms
        ]
        return [self.input(down, upstream, bits), *self.bias(down, tick), *edges]

    def resets(self, scale: float) -> tuple[Floats, Floats]:
        """Return what a spike adds to dendrite and soma, in units of 1/scale.

        [N] each, or [N, N] with the recurrent weights.
        """
        k = self.a1 + self.b1 * self.b2
        recurrent = self.layer.recurrent
        if recurrent is None:
            own = (-k * self.gamma_reset - self.b1 * self.vth_reset, -self.b2 * self.gamma_reset - self.vth_reset)
            return own[0] * scale, own[1] * scale
        rho = recurrent.weight * 2.0 ** (recurrent.exponent + ACT_SHIFT) - np.diag(self.gamma_reset)
        to_dendrite = k[:, None] * rho - np.diag(self.b1 * self.vth_reset)
        return to_dendrite * scale, (self.b2[:, None] * rho - np.diag(self.vth_reset)) * scale

    def input(self, down: int, upstream: str, bits: int) -> Edge:
        """The layer's own weights, at the exponent of its scale here."""
        synapses = self.layer.synapses
        exponent = synapses.exponent + ACT_SHIFT - down
        if not WEIGHT_EXP[0] <= exponent <= WEIGHT_EXP[1]:
            raise TermError(f"the weights would need the exponent {exponent}, outside {list(WEIGHT_EXP)}")
        weight = synapses.weight
        return Edge(source=upstream, targets=(f"{self.index}.D",), weight=weight, exponent=exponent, message_bits=bits)

    def bias(self, down: int, tick: int) -> list[Edge]:
        """The bias, as weights from the tick neuron that first fires a step before the layer's sample begins."""
        if not self.layer.bias.any():
            return []
        value = np.rint(self.layer.bias * 2.0**-down).astype(np.int64)
        column = np.zeros((1, tick + 1), np.int64)
        column[0, tick] = 1
        return [
            Edge(source=TICKS, targets=(f"{self.index}.D",), weight=mantissa[:, None] * column, exponent=e)
            for mantissa, e in integer_terms(value)
        ]


__all__ = ["DRIFT", "INTEGER_MAX", "ChipNetwork", "StockError", "StockLoss", "output_name", "to_stock"]
