"""A model or a network of integers as a NIR file, of the standard's nodes alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
import torch
from torch import Tensor, nn

from tclif_neuro.errors import warn
from tclif_neuro.files import StrPath, write_atomically
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.nir.claim import claim_of
from tclif_neuro.nir.compose import ENTRY, EXIT, RECURRENT, Composed, compose, recurrence
from tclif_neuro.nir.dequantize import dequantized, spikes_that_differ
from tclif_neuro.nir.graph import INPUT, OUTPUT, ROOM, Edge, Graph, NIRError, Node
from tclif_neuro.quantization.stages import Stage, parse

if TYPE_CHECKING:
    import nir

DT = 1e-4  # seconds; what snnTorch assumes of every file, and SpikingJelly unless it is told
PRECISIONS = {"float32": np.float32, "float64": np.float64}


@dataclass(frozen=True, kw_only=True)
class NIRExport:
    """The result of an export. exact: whether the file gives the network exactly (in real numbers) or approximately.

    spikes, differ: of a network of integers on the input that was given, the spikes of the integers, and in how many
    places those of the file differ; None without an input, and of a model.
    """

    exact: bool
    spikes: int | None = None
    differ: int | None = None


def save_nir(
    model: nn.Sequential | QuantizedNetwork,
    path: StrPath,
    *,
    dt: float = DT,
    precision: Literal["float32", "float64"] = "float64",
    x: Tensor | None = None,
) -> NIRExport:
    """Write `model` to the NIR file `path`, which is replaced if it exists.

    TC-LIF, relaxed TC-LIF, LIF and Readout become the nodes that `compose` shows; BatchNorm is folded. A network of
    integers is written as the floats that its integers stand for: NIR can express neither rounding nor saturation, so
    that is an approximation, and a `TclifWarning` says so; on an input x [T, B, M] the spikes that differ are counted.

    dt: seconds per step; NIR's time constants need one. precision: the type of the file's numbers. Interpreters that
    compute in float32 spike at exactly the same potentials as ours if the file is float32.

    Raises `NIRError` naming the module that no composition of NIR's nodes can be (an Adaptive TC-LIF),
    `ConversionError` on a model that is no sequence of layers, and `NIRError` where the package `nir` is not installed.

        tn.save_nir(model, "model.nir")
        again = tn.load_nir("model.nir")
    """
    if precision not in PRECISIONS:
        raise NIRError(f"precision {precision!r} is neither 'float32' nor 'float64'")
    if not (math.isfinite(dt) and dt > 0):
        raise NIRError(f"dt {dt} is not a positive number of seconds")
    integers = isinstance(model, QuantizedNetwork)
    stages = dequantized(model) if isinstance(model, QuantizedNetwork) else parse(model)
    graph = graph_of(stages, dt, PRECISIONS[precision], exact=not integers)
    write_atomically(path, lambda file: _write(_to_nir(graph), file))
    if not isinstance(model, QuantizedNetwork):
        return NIRExport(exact=True)
    spikes, differ = (None, None) if x is None else spikes_that_differ(model, stages, x)
    found = "" if x is None else f"; on this input {differ} places differ, of {spikes} spikes"
    warn(f"NIR has no integers: the file says what they stand for, without rounding and saturation{found}")
    return NIRExport(exact=False, spikes=spikes, differ=differ)


def graph_of(stages: Sequence[Stage], dt: float, precision: type, exact: bool = True) -> Graph:
    """The stages as a chain: weights, neurons, weights, ...; alphabetical order is the order of the chain."""
    dtype = "float32" if all(_is_float32(stage) for stage in stages) else "float64"
    digits = len(str(len(stages) - 1))
    nodes: dict[str, Node | Graph] = {ENTRY: _port(INPUT, stages[0].weight.shape[1], precision)}
    for i, stage in enumerate(stages):
        size = len(stage.bias)
        try:
            composed = compose(stage.neuron, size, dt, precision)
        except NIRError as error:
            raise NIRError(f"module {stage.name} ({type(stage.neuron).__name__}): {error}") from error
        claim = {**claim_of(stage.neuron, dt, dtype), "exact": exact} if exact else {"dt": dt, "exact": exact}
        name = f"layer_{i:0{digits}}"
        nodes[f"{name}_a_weight"] = _affine(stage.weight, stage.bias, composed, precision)
        nodes[f"{name}_b_neurons"] = _neurons(composed, stage.recurrent, size, claim, precision)
    nodes[EXIT] = _port(OUTPUT, len(stages[-1].bias), precision)
    chain = list(nodes)
    return Graph(nodes=nodes, edges=tuple(itertools.pairwise(chain)))


def _is_float32(stage: Stage) -> bool:
    tensors = [stage.weight, stage.bias, *stage.neuron.state_dict().values()]
    return all(torch.equal(t.float().double(), t) for t in tensors if t.is_floating_point())


def _port(kind: str, size: int, precision: type) -> Node:
    return Node(kind=kind, values={"shape": np.array([size])})


def _affine(weight: Tensor, bias: Tensor, composed: Composed, precision: type) -> Node:
    values = {"weight": weight.numpy() / composed.gain[:, None], "bias": bias.numpy() / composed.gain}
    return Node(kind="Affine", values={name: value.astype(precision) for name, value in values.items()})


def _neurons(
    composed: Composed, recurrent: Tensor | None, size: int, claim: dict[str, Any], precision: type
) -> Node | Graph:
    """The neurons as one node, or as a graph where they are several or feed back."""
    if recurrent is None and len(composed.nodes) == 1:
        (node,) = composed.nodes.values()
        return Node(kind=node.kind, values=node.values, claim=claim)
    nodes: dict[str, Node | Graph] = dict(composed.nodes)
    edges: list[Edge] = [(ENTRY, composed.first), *composed.edges, (composed.last, EXIT)]
    if recurrent is not None:
        weight = (recurrent.numpy() / composed.gain[:, None]).astype(precision)
        nodes[RECURRENT] = Node(kind="Linear", values={"weight": weight})
        edges += recurrence(composed.first, composed.last)
    nodes |= {ENTRY: _port(INPUT, size, precision), EXIT: _port(OUTPUT, size, precision)}
    return Graph(nodes=nodes, edges=tuple(edges), claim=claim)


def _to_nir(graph: Graph) -> nir.NIRGraph:
    """The graph in the classes of the package `nir`, whose checks it passes."""
    try:
        import nir
    except ImportError as error:
        raise NIRError('NIR files are written by the package nir: pip install "tclif-neuro[nir]"') from error
    nodes = {name: _to_nir(n) if isinstance(n, Graph) else _node(nir, n) for name, n in graph.nodes.items()}
    metadata = {ROOM: dict(graph.claim)} if graph.claim else {}
    return nir.NIRGraph(nodes=nodes, edges=list(graph.edges), metadata=metadata)


def _node(nir: Any, node: Node) -> Any:
    if node.kind in (INPUT, OUTPUT):
        return getattr(nir, node.kind)({node.kind.lower(): node.values["shape"]})
    metadata = {ROOM: dict(node.claim)} if node.claim else {}
    return getattr(nir, node.kind)(**node.values, metadata=metadata)


def _write(graph: nir.NIRGraph, file: BinaryIO) -> None:
    import h5py
    import nir

    nir.write(file, graph)
    with h5py.File(file, "r+") as written:  # nir before 1.0.5 cannot read a v_reset, and zeros are what it means
        for group in list(_groups(written["node"])):
            if "v_reset" in group and not group["v_reset"][()].any():
                del group["v_reset"]


def _groups(group: Any) -> Iterator[Any]:
    yield group
    for member in group.values():
        if hasattr(member, "keys"):
            yield from _groups(member)
