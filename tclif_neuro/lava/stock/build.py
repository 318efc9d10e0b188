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
from tclif_neuro.loihi.graph import Edge, Graph, Node

ONCE = 2**31 - 1  # a reset interval that no run reaches


def build_graph(
    graph: Graph, signal: npt.NDArray[Any], steps: int, observe: Sequence[str], folder: Path
) -> dict[str, AbstractProcess]:
    """The processes of `graph` by node, connected, for a run of `steps` steps on the input `signal` [T, M].

    Each observed node's output goes to `folder` (see `observation_path`).
    """
    made = {node.name: _node(node, signal, folder) for node in graph.nodes}
    for edge in graph.edges:
        synapses = _synapses(edge)
        made[edge.source].s_out.connect(synapses.s_in)
        for target in edge.targets:
            synapses.a_out.connect(made[target].a_in)
    for name in observe:
        path = observation_path(folder, name)
        sink = Sink(size=graph.node(name).size, steps=steps, path=path, name=f"sink of {name}")
        made[name].s_out.connect(sink.a_in)
    return made


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
