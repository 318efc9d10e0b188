"""A graph of stock processes as Lava's own: `Sigma`, `LIF`, `LIFReset`, `Dense`, `Sparse`, none of them changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.process.process import AbstractProcess
from lava.proc.dense.process import Dense
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sdn.process import Sigma
from lava.proc.sparse.process import Sparse
from scipy.sparse import csr_matrix

from tclif_neuro.lava.processes.sink import Sink
from tclif_neuro.lava.processes.source import Source
from tclif_neuro.loihi.graph import MESSAGE_BITS, Edge, Graph, Node

ONCE = 2**31 - 1  # a reset interval that no run reaches


def build_graph(
    graph: Graph, signal: npt.NDArray[Any], steps: int, observe: Sequence[str], folder: Path, *, on_chip: bool = False
) -> dict[str, AbstractProcess]:
    """The processes of `graph` by node, connected, for a run of `steps` steps on the input `signal` [T, M].

    Each observed node's output goes to `folder` (see `observation_path`). on_chip: with the adapters between the host
    and a board, which each cost a step; never run by us, who have no board.
    """
    made = {node.name: _node(node, signal, folder) for node in graph.nodes}
    sends = {name: process.s_out for name, process in made.items()}
    if on_chip:
        sends[graph.source.name] = _to_chip(graph, made[graph.source.name])
    for edge in graph.edges:
        synapses = _synapses(edge)
        sends[edge.source].connect(synapses.s_in)
        for target in edge.targets:
            synapses.a_out.connect(made[target].a_in)
    for name in observe:
        path = observation_path(folder, name)
        sink = Sink(size=graph.node(name).size, steps=steps, path=path, name=f"sink of {name}")
        (_from_chip(graph.node(name), sends[name]) if on_chip else sends[name]).connect(sink.a_in)
    return made


def _to_chip(graph: Graph, source: AbstractProcess) -> Any:
    from lava.proc.embedded_io.spike import PyToNxAdapter

    bits = max((e.message_bits for e in graph.edges if e.source == graph.source.name), default=0)
    adapter = PyToNxAdapter(shape=(graph.source.size,), num_message_bits=bits)
    source.s_out.connect(adapter.inp)
    return adapter.out


def _from_chip(node: Node, port: Any) -> Any:
    from lava.proc.embedded_io.spike import NxToPyAdapter

    adapter = NxToPyAdapter(shape=(node.size,), num_message_bits=0 if node.kind == "lif" else MESSAGE_BITS)
    port.connect(adapter.inp)
    return adapter.out


def observation_path(folder: Path, name: str) -> Path:
    """Where in `folder` the output of the node `name` is."""
    return folder / f"{name}.int32"


def _node(node: Node, signal: npt.NDArray[Any], folder: Path) -> AbstractProcess:
    if node.kind == "source":
        return Source(signal=signal, progress=folder, name=node.name)
    if node.kind == "sigma":
        return Sigma(shape=(node.size,))  # the one process of Lava that takes no name
    bias = 0 if node.bias_mant is None else np.asarray(node.bias_mant, np.int32)
    lif: dict[str, Any] = {"shape": (node.size,), "du": node.du, "dv": node.dv, "vth": node.vth, "bias_mant": bias}
    if not node.reset_step:
        return LIF(**lif, bias_exp=node.bias_exp, name=node.name)
    clock = {"reset_interval": ONCE, "reset_offset": node.reset_step}
    return LIFReset(**lif, **clock, bias_exp=node.bias_exp, name=node.name)


def _synapses(edge: Edge) -> AbstractProcess:
    exponent = {"weight_exp": edge.exponent, "num_message_bits": edge.message_bits}
    weight = edge.weight.astype(np.int32)
    if edge.diagonal:
        return Sparse(weights=csr_matrix(np.diag(weight)), **exponent)
    return Dense(weights=weight, **exponent)
