"""The obstacles between a network and a chip: findings, each with its limit, its kind and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.simulator import simulate
from tclif_neuro.lavadl import why_not_stock
from tclif_neuro.loihi import limits
from tclif_neuro.loihi.limits import Board, Kind, Limit
from tclif_neuro.loihi.mapper import LayerPlace, Path, Placement, part_use, place
from tclif_neuro.loihi.stock import ChipNetwork, StockError, to_stock
from tclif_neuro.loihi.stock_run import run_stock
from tclif_neuro.network import (
    ACT_SHIFT,
    DECAY_ONE,
    STATE_MAX,
    FormatError,
    QuantizedNetwork,
    Synapses,
    TCLIFNeuron,
)

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing found. layer: -1 for the whole network. kind: how the limit is known, see `limits`."""

    code: str
    severity: Severity
    layer: int
    field: str
    value: float
    limit: float
    kind: Kind
    text: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question asked of a network.

    samples: float inputs [T, B, M] to measure on, or None; lengths: [B], the steps that are a sample's own. ncmodel:
    whether a microcode model of the neuron is at hand. one_run: whether several samples share a run without a pause.
    """

    board: Board
    path: Path
    samples: npt.NDArray[Any] | None = None
    lengths: npt.NDArray[Any] | None = None
    ncmodel: bool = False
    one_run: bool = False


def check(net: QuantizedNetwork, question: Question) -> tuple[Finding, ...]:
    """Every finding on `net`, layer by layer, the most severe first."""
    stock, found = None, []
    if question.path == "stock":
        try:
            stock = to_stock(net, question.samples, lengths=question.lengths)
        except StockError as error:
            found.append(_stock_refused(error))
    found += [*_formats(net, question), *_neurons(net, question), *_sums(net, question), *_running(net, question)]
    if question.samples is not None:
        found += _saturations(net, question.samples, question.lengths, stock)
    if stock is not None:
        found += _unknown_of_stock(stock)
    if stock is not None or question.path != "stock":
        found += _places(place(net, question.board, question.path, stock))
    order = ("error", "warning", "note")
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


def _finding(code: str, severity: Severity, layer: int, value: float, limit: Limit, text: str, remedy: str) -> Finding:
    return Finding(
        code=code,
        severity=severity,
        layer=layer,
        field=limit.name,
        value=value,
        limit=limit.value,
        kind=limit.kind,
        text=text,
        remedy=remedy,
    )


def _fact(code: str, severity: Severity, layer: int, field: str, text: str, remedy: str) -> Finding:
    """A finding without a number."""
    return Finding(
        code=code, severity=severity, layer=layer, field=field, value=0, limit=0, kind="F", text=text, remedy=remedy
    )


def _stock_refused(error: StockError) -> Finding:
    return _fact(error.code, "error", error.layer, "stock form", error.text, "train for it, or take another path")


def _formats(net: QuantizedNetwork, question: Question) -> Iterator[Finding]:
    """weight-format, weight-after-netx: whether every mantissa survives."""
    for i, layer in enumerate(net.layers):
        matrices = [layer.synapses] if layer.recurrent is None else [layer.synapses, layer.recurrent]
        for synapses in matrices:
            try:
                Synapses(weight=synapses.weight, exponent=synapses.exponent)
            except FormatError as error:
                yield _fact("weight-format", "error", i, "weight", str(error), "quantize the network again")
            if synapses.exponent < 0:
                yield _fact(
                    "weight-format",
                    "warning",
                    i,
                    "weight exponent",
                    f"the exponent {synapses.exponent} shifts down; what a chip shifts is not public",
                    "look at the group `shift` of the conformance vectors",
                )
        if question.path == "lif" and not layer.neuron.two_compartment:
            why = why_not_stock(layer, None if i else net.input)
            if why:
                yield _fact("weight-after-netx", "error", i, "weight", why, "export with --stock")


def _neurons(net: QuantizedNetwork, question: Question) -> Iterator[Finding]:
    """neuron-unknown, neuron-format, dv-range."""
    for i, layer in enumerate(net.layers):
        neuron = layer.neuron
        if isinstance(neuron, TCLIFNeuron):
            if question.path != "stock" and not question.ncmodel:
                yield _fact(
                    "neuron-unknown",
                    "error",
                    i,
                    "neuron",
                    "no public microcode computes TC-LIF",
                    "--path stock, or --ncmodel with a model of your own",
                )
            continue
        if not (1 <= neuron.i_decay <= DECAY_ONE and 0 <= neuron.v_decay <= DECAY_ONE):
            text = f"decays {neuron.i_decay}, {neuron.v_decay} are outside [0, {DECAY_ONE}]"
            yield _fact("neuron-format", "error", i, "decay", text, "quantize the network again")
        if neuron.v_decay > limits.DV_MAX.value:
            text = f"dv {neuron.v_decay} is beyond the documented {limits.DV_MAX.value:g}"
            yield _finding("dv-range", "warning", i, neuron.v_decay, limits.DV_MAX, text, "keep a decay of 1/4096")


def _unknown_of_stock(stock: ChipNetwork) -> Iterator[Finding]:
    """dv-range, weight-format: what the path stock itself takes of a chip that no document grants."""
    if not stock.loss:
        return
    dv, limit = max(node.dv for node in stock.graph.nodes), limits.DV_MAX
    text = f"the path's LIF forgets by dv {dv}, beyond the documented {limit.value:g}"
    yield _finding("dv-range", "warning", -1, dv, limit, text, "see `lif-dv-4096` of the conformance vectors")
    lowest = min(edge.exponent for edge in stock.graph.edges)
    text = f"the path's couplings are 256ths, by exponents down to {lowest}; what a chip shifts is not public"
    yield _fact("weight-format", "warning", -1, "weight exponent", text, "see `shift` of the conformance vectors")


def _sums(net: QuantizedNetwork, question: Question) -> Iterator[Finding]:
    """sum-range, fan-in: what all inputs at once would do to a neuron."""
    for i, layer in enumerate(net.layers):
        top = 1 if i else max(abs(v) for v in net.input.range)
        total = layer.synapses.largest_sum(top) + (layer.recurrent.largest_sum(1) if layer.recurrent else 0)
        reach = (total << ACT_SHIFT) + int(np.abs(layer.bias).max())
        if reach > STATE_MAX:
            text = f"all inputs at once reach {reach}, beyond 24 bits"
            remedy = "lower the weights; --samples shows whether it happens"
            yield _finding("sum-range", "warning", i, reach, limits.STATE_BITS, text, remedy)
        fan_in = layer.inputs + (layer.size if layer.recurrent else 0)
        if fan_in > limits.FAN_IN.value:
            text = f"{fan_in} inputs per neuron; by our estimate a core holds those of none"
            yield _finding("fan-in", "warning", i, fan_in, limits.FAN_IN, text, "put a narrower layer before it")


def _running(net: QuantizedNetwork, question: Question) -> Iterator[Finding]:
    """reset-leak, io-width, tail-latency: what a run over samples meets."""
    leaking = question.path == "stock" or any(layer.recurrent is not None for layer in net.layers)
    if question.one_run and leaking:
        text = "a sample would leave traces in the next: sigma neurons and synapses on their way have no reset"
        yield _fact("reset-leak", "error", -1, "samples", text, "one sample per run (without --one-run)")
    if net.outputs > limits.READ_WIDTH.value:
        text = f"{net.outputs} outputs to be read in every step"
        yield _finding("io-width", "warning", -1, net.outputs, limits.READ_WIDTH, text, "read a narrower readout")
    late = sum(2 if question.path == "stock" and layer.neuron.two_compartment else 1 for layer in net.layers)
    text = f"a sample needs {late} steps beyond its own, and one per adapter"
    yield _fact("tail-latency", "note", -1, "steps", text, "run that many steps longer")


def _saturations(
    net: QuantizedNetwork, x: npt.NDArray[Any], lengths: npt.NDArray[Any] | None, stock: ChipNetwork | None
) -> Iterator[Finding]:
    """saturation, and sum-range where it is measured: states that left their bits on samples."""
    run = simulate(net, x, lengths=lengths) if stock is None else run_stock(stock, x, lengths=lengths)
    for i, layer in enumerate(run.layers):
        if layer.saturations > 0:
            stocked = stock is not None and net.layers[i].neuron.two_compartment
            code: tuple[str, Severity] = ("sum-range", "error") if stocked else ("saturation", "warning")
            limit = limits.LIF_INPUT if stocked else limits.STATE_BITS
            text = f"left its range {layer.saturations} times on {x.shape[1]} samples"
            yield _finding(*code, i, layer.saturations, limit, text, "quantize with more headroom")


def _places(placement: Placement) -> Iterator[Finding]:
    """core-*, chip-cores, board-chips: what does not fit, and what splits a layer."""
    for layer in placement.layers:
        yield from _place(layer)
    board, cores = placement.board, placement.cores
    neurons = sum(p.neurons for layer in placement.layers for p in layer.populations)
    if neurons > limits.CHIP_NEURONS.value * board.all_cores:
        limit = limits.CHIP_NEURONS
        text = f"{neurons} neurons; {board.name} has {limit.value * board.all_cores:g}"
        yield _finding("board-chips", "error", -1, neurons, limit, text, "take a larger board")
    elif cores > board.all_cores:
        text = f"takes {cores} cores at least; {board.name} has {board.all_cores}"
        yield _finding("board-chips", "warning", -1, cores, limits.CORES, text, "take a larger board")
    elif cores > limits.CORES.value:
        text = f"takes {cores} cores at least, {limits.CORES.value:g} are on a chip"
        yield _finding("chip-cores", "warning", -1, cores, limits.CORES, text, "expect spikes between chips")


def _place(layer: LayerPlace) -> Iterator[Finding]:
    fits = bool(layer.parts)
    use = part_use(layer.populations, layer.neurons if fits else 1)
    for code, (share, limit) in use.shares().items():
        if share > 1:
            value = share * limit.value
            what = "the whole layer" if fits else "a single neuron"
            then = f"so it is split over {len(layer.parts)} cores" if fits else "so no core holds it"
            text = f"{what} takes {value:.0f} {limit.unit} of {limit.name}, a core has {limit.value:g}; {then}"
            yield _finding(code, "note" if fits else "warning", layer.layer, value, limit, text, "a smaller layer")
