"""A graph as one line of JSON and named arrays, for files; read back with every field checked."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.loihi.graph import Edge, Graph, Node
from tclif_neuro.network import FormatError, TCLIFNeuron
from tclif_neuro.text import quoted

Arrays = dict[str, npt.NDArray[Any]]

_NODE = {"name": str, "kind": str, "size": int, "du": int, "dv": int, "vth": int, "bias_exp": int, "reset_step": int}
_TABLES = ("a1", "a2", "b1", "b2")
_NEURON = {"vth_mant": int, "gamma_mant": int, "reset": str}
_EDGE = {"source": str, "targets": list, "exponent": int, "message_bits": int}
MAX_PARTS = 10_000  # nodes or edges


def to_arrays(graph: Graph) -> tuple[str, Arrays]:
    """The JSON that describes `graph`, and the arrays that it names."""
    arrays: Arrays = {}
    nodes, edges = [], []
    for node in graph.nodes:
        entry: dict[str, Any] = {key: getattr(node, key) for key in _NODE}
        if node.bias_mant is not None:
            entry["bias"] = f"bias{len(arrays)}"
            arrays[entry["bias"]] = np.asarray(node.bias_mant, np.int32)
        if node.neuron is not None:
            tables = {table: f"{table}.{len(arrays) + i}" for i, table in enumerate(_TABLES)}
            arrays |= {name: np.asarray(getattr(node.neuron, table)) for table, name in tables.items()}
            entry["neuron"] = {key: getattr(node.neuron, key) for key in _NEURON} | tables
        nodes.append(entry)
    for edge in graph.edges:
        entry = {key: getattr(edge, key) for key in _EDGE} | {"weight": f"weight{len(arrays)}"}
        arrays[entry["weight"]] = edge.weight.astype(np.int32)
        edges.append(entry)
    return json.dumps({"nodes": nodes, "edges": edges}), arrays


def from_arrays(text: str, arrays: Arrays) -> Graph:
    """The graph of `to_arrays`. Raises `FormatError` naming what is missing, of a wrong type or out of range."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"graph: is no JSON: {error}") from None
    if not isinstance(data, dict):
        raise FormatError("graph: an object with nodes and edges expected")
    nodes = [_node(entry, arrays) for entry in _entries(data, "nodes")]
    edges = [_edge(entry, arrays) for entry in _entries(data, "edges")]
    return Graph(nodes=tuple(nodes), edges=tuple(edges))


def _entries(data: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = data.get(key)
    if not (isinstance(found, list) and len(found) <= MAX_PARTS and all(isinstance(e, dict) for e in found)):
        raise FormatError(f"graph: {key} must be a list of at most {MAX_PARTS} objects")
    return found


def _fields(entry: dict[str, Any], wanted: dict[str, type], what: str) -> dict[str, Any]:
    for key, kind in wanted.items():
        if type(entry.get(key)) is not kind:
            raise FormatError(f"graph: {what} {key}: {kind.__name__} expected, got {quoted(entry.get(key))}")
    return {key: entry[key] for key in wanted}


def _node(entry: dict[str, Any], arrays: Arrays) -> Node:
    fields = _fields(entry, _NODE, "node")
    bias = _array(entry["bias"], arrays) if "bias" in entry else None
    if bias is not None and bias.shape != (fields["size"],):
        raise FormatError(f"graph: the bias of {quoted(fields['name'])} has the shape {list(bias.shape)}")
    neuron = _neuron(entry["neuron"], arrays) if "neuron" in entry else None
    return Node(**fields, bias_mant=bias, neuron=neuron)


def _neuron(entry: Any, arrays: Arrays) -> TCLIFNeuron:
    if not isinstance(entry, dict):
        raise FormatError(f"graph: node neuron: an object expected, got {quoted(entry)}")
    fields = _fields(entry, _NEURON, "neuron") | {table: _array(entry.get(table), arrays) for table in _TABLES}
    return TCLIFNeuron(**fields)


def _edge(entry: dict[str, Any], arrays: Arrays) -> Edge:
    fields = _fields(entry, _EDGE, "edge")
    if not all(isinstance(target, str) for target in fields["targets"]):
        raise FormatError("graph: edge targets: names expected")
    fields["targets"] = tuple(fields["targets"])
    weight = _array(entry.get("weight"), arrays)
    if weight.ndim not in (1, 2) or 0 in weight.shape:
        raise FormatError(f"graph: a weight has the shape {list(weight.shape)}")
    return Edge(**fields, weight=weight)


def _array(name: Any, arrays: Arrays) -> npt.NDArray[Any]:
    found = arrays.get(name) if isinstance(name, str) else None
    if found is None or not np.issubdtype(found.dtype, np.integer):
        raise FormatError(f"graph: {quoted(name)} is no array of integers in the file")
    return found
