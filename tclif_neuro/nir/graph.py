"""A NIR graph as plain data: nodes with arrays, edges, and what a file says besides.

NIR [Pedersen et al. 2024, Nature Communications 15, 8122] describes a network by equations that are continuous in time.
This room reads and writes them as forward Euler with one clock for all nodes; an edge that closes a cycle delivers one
step late:

    LI   v = v + dt/tau (v_leak - v + r x)        I          v = v + dt r x
    LIF  as LI;  z = v > v_threshold;             Threshold  z = x > threshold
         v = v_reset where z
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.errors import TclifError

Array = npt.NDArray[Any]
Edge = tuple[str, str]

ROOM = "tclif_neuro"  # the key of our metadata
INPUT, OUTPUT, GRAPH = "Input", "Output", "NIRGraph"


class NIRError(TclifError, ValueError):
    """A NIR file or a model that cannot be read or written. The message names the node and the value."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """A node of the standard: its type, its arrays, and what we wrote beside it (empty in files of others)."""

    kind: str
    values: Mapping[str, Array]
    claim: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """Nodes and graphs by name, edges between their names, and what we wrote beside it."""

    nodes: Mapping[str, Node | Graph]
    edges: tuple[Edge, ...]
    claim: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Flat:
    """A graph without graphs in it: nodes by their path, `layer/soma`, each with the claim of the graph it was in."""

    nodes: Mapping[str, Node]
    edges: frozenset[Edge]

    def before(self, path: str) -> list[str]:
        """The paths of the nodes that lead to `path`."""
        return sorted(a for a, b in self.edges if b == path)

    def after(self, path: str) -> list[str]:
        """The paths of the nodes that `path` leads to."""
        return sorted(b for a, b in self.edges if a == path)

    def kind(self, path: str) -> str:
        """The type of a node."""
        return self.nodes[path].kind

    def error(self, path: str, why: str) -> NIRError:
        """An error about a node."""
        return NIRError(f"node {path} ({self.kind(path)}): {why}")


def flatten(graph: Graph) -> Flat:
    """`graph` with the graphs in it dissolved: their Input and Output are left out, and their neighbours joined."""
    nodes, edges = dict(_nodes(graph, "")), set(_edges(graph, ""))
    for path in [p for p, node in nodes.items() if "/" in p and node.kind in (INPUT, OUTPUT)]:
        sources = {a for a, b in edges if b == path}
        targets = {b for a, b in edges if a == path}
        edges = {edge for edge in edges if path not in edge} | {(a, b) for a in sources for b in targets}
        del nodes[path]
    return Flat(nodes=nodes, edges=frozenset(edges))


def _nodes(graph: Graph, prefix: str) -> Iterator[tuple[str, Node]]:
    for name, node in graph.nodes.items():
        if isinstance(node, Graph):
            yield from _nodes(node, f"{prefix}{name}/")
        else:
            yield prefix + name, Node(kind=node.kind, values=node.values, claim=node.claim or graph.claim)


def _edges(graph: Graph, prefix: str) -> Iterator[Edge]:
    for source, target in graph.edges:
        yield _end(graph, source, prefix, OUTPUT), _end(graph, target, prefix, INPUT)
    for name, node in graph.nodes.items():
        if isinstance(node, Graph):
            yield from _edges(node, f"{prefix}{name}/")


def _end(graph: Graph, name: str, prefix: str, port: str) -> str:
    """The path of an edge's end; of a graph, that of its only Input or Output."""
    if name not in graph.nodes:
        raise NIRError(f"an edge names {prefix}{name}, which is no node")
    node = graph.nodes[name]
    if not isinstance(node, Graph):
        return prefix + name
    ports = [port_name for port_name, inner in node.nodes.items() if isinstance(inner, Node) and inner.kind == port]
    if len(ports) != 1:
        raise NIRError(f"node {prefix}{name} (NIRGraph): has {len(ports)} nodes of type {port}; one is needed")
    return f"{prefix}{name}/{ports[0]}"


def numbers(node: Node, name: str) -> Array:
    """The array `name` of a node as float64. Raises `NIRError` (without the node) if it is missing or not finite."""
    if name not in node.values:
        raise NIRError(f"{name} is missing")
    array = np.asarray(node.values[name], dtype=np.float64)
    if not np.isfinite(array).all():
        raise NIRError(f"{name} contains NaN or infinity")
    return array
