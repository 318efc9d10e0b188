"""The nodes of a flat graph that are one layer's neurons: read from the edges, never from names or metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tclif_neuro.nir.compose import RECURRENT, STOCK, SUBTRACTIVE, TC_LIF, recurrence
from tclif_neuro.nir.graph import OUTPUT, Edge, Flat, NIRError, Node

WEIGHTS = ("Affine", "Linear")
INTEGRATORS = ("LI", "I")
SPIKING = ("LIF", "IF", "CubaLIF")
KNOWN = {*WEIGHTS, *INTEGRATORS, *SPIKING, "Input", "Output", "Scale", "Threshold"}

# The type of each role where that is fixed; dendrite and soma are integrators.
KINDS = {
    "c_couple": "Scale",
    "e_spike": "Threshold",
    "f_reset_dendrite": "Scale",
    "g_reset_soma": "Scale",
    "h_back": "Scale",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """One layer's neurons: the path of each role's node, whose names are those of `compose`; what follows them."""

    roles: Mapping[str, str]
    next: str
    graph: Flat

    @property
    def head(self) -> str:
        """The path that names the cell in errors: of the node that the input enters."""
        return next(iter(self.roles.values()))

    @property
    def nodes(self) -> dict[str, Node]:
        """The nodes by role, the recurrent weights aside."""
        return {role: self.graph.nodes[path] for role, path in self.roles.items() if role != RECURRENT}

    @property
    def recurrent(self) -> str | None:
        """The path of the recurrent weights."""
        return self.roles.get(RECURRENT)

    def error(self, role: str, why: str) -> NIRError:
        """An error about the node of a role."""
        return self.graph.error(self.roles[role], why)


def find_cell(graph: Flat, head: str, source: str) -> Cell:
    """The neurons that `source` drives by the node `head`.

    Raises `NIRError` naming the node, where the nodes and edges are none that we know.
    """
    kind = graph.kind(head)
    if kind in SPIKING:
        return _spiking(graph, {"b_neurons": head}, STOCK, source)
    if kind not in INTEGRATORS:
        raise graph.error(head, f"follows {source}, where neurons or a readout are expected (LIF, IF, LI or I)")
    after = graph.after(head)
    if len(after) == 1 and graph.kind(after[0]) == OUTPUT:
        return _complete(graph, {"b_potential": head}, (), source, after[0], "b_potential")
    if len(after) == 1 and graph.kind(after[0]) == "Threshold":
        return _spiking(graph, {"d_soma": head, **_loop(graph, head, after[0])}, SUBTRACTIVE, source)
    return _spiking(graph, _two_compartments(graph, head), TC_LIF, source)


def _loop(graph: Flat, soma: str, spike: str) -> dict[str, str]:
    """The threshold behind a soma, and the Scale by which it resets it."""
    resets = [p for p in graph.after(spike) if graph.kind(p) == "Scale" and soma in graph.after(p)]
    if len(resets) != 1:
        raise graph.error(spike, f"{len(resets)} nodes of type Scale lead back to {soma}; one resets a neuron")
    return {"e_spike": spike, "g_reset_soma": resets[0]}


def _two_compartments(graph: Flat, dendrite: str) -> dict[str, str]:
    couple = _only(graph, graph.after(dendrite), "Scale", dendrite)
    soma = _only(graph, [p for p in graph.after(couple) if graph.kind(p) in INTEGRATORS], None, couple)
    spike = _only(graph, [p for p in graph.after(soma) if graph.kind(p) == "Threshold"], None, soma)
    back = _only(graph, [p for p in graph.after(soma) if p != spike], "Scale", soma)
    reset = [p for p in graph.after(spike) if graph.kind(p) == "Scale" and dendrite in graph.after(p)]
    return {
        "b_dendrite": dendrite,
        "c_couple": couple,
        "d_soma": soma,
        **_loop(graph, soma, spike),
        "f_reset_dendrite": _only(graph, reset, None, spike),
        "h_back": back,
    }


def _only(graph: Flat, found: list[str], kind: str | None, where: str) -> str:
    if len(found) != 1 or (kind is not None and graph.kind(found[0]) != kind):
        leads = ", ".join(f"{p} ({graph.kind(p)})" for p in graph.after(where)) or "nothing"
        raise graph.error(where, f"leads to {leads}; that is no neuron that we know (docs/nir.md shows those)")
    return found[0]


def _spiking(graph: Flat, roles: dict[str, str], edges: tuple[Edge, ...], source: str) -> Cell:
    """A cell with its recurrent weights, if there are any, and what its spikes lead to."""
    first, last = next(iter(roles)), "e_spike" if "e_spike" in roles else next(iter(roles))
    leads = [p for p in graph.after(roles[last]) if p not in roles.values()]
    back = [p for p in leads if graph.kind(p) in WEIGHTS and graph.after(p) == [roles[first]]]
    if len(back) > 1:
        raise graph.error(roles[last], f"has two recurrent weights, {' and '.join(back)}")
    if back:
        roles, edges = {**roles, RECURRENT: back[0]}, (*edges, *recurrence(first, last))
    ahead = [p for p in leads if p not in back]
    if len(ahead) != 1:
        raise graph.error(roles[last], f"leads to {', '.join(ahead) or 'nothing'}; a chain of layers has one next")
    return _complete(graph, roles, edges, source, ahead[0], last)


def _complete(graph: Flat, roles: dict[str, str], edges: tuple[Edge, ...], source: str, ahead: str, last: str) -> Cell:
    """The cell, once every edge that touches it is one of those that it must have, and all of them are there."""
    expected = {(roles[a], roles[b]) for a, b in edges}
    expected |= {(source, next(iter(roles.values()))), (roles[last], ahead)}
    inside = set(roles.values())
    actual = {edge for edge in graph.edges if inside & set(edge)}
    for a, b in sorted(actual ^ expected):
        path = a if a in inside else b
        raise graph.error(path, f"the edge from {a} to {b} is {'missing' if (a, b) in expected else 'one too many'}")
    for role, kind in KINDS.items():
        if role in roles and graph.kind(roles[role]) != kind:
            raise graph.error(roles[role], f"a {kind} is expected here")
    return Cell(roles=roles, next=ahead, graph=graph)
