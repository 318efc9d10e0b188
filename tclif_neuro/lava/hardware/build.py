"""A graph as Lava's own processes: `Sigma`, `LIF`, `LIFReset`, `Dense`, `Sparse`, none of them changed, and `TCLIF`."""

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
from scipy.sparse import csr_matrix, identity

from tclif_neuro.lava.processes.sink import Sink
from tclif_neuro.lava.processes.source import Source
from tclif_neuro.lava.processes.tclif import TCLIF
from tclif_neuro.loihi.graph import MESSAGE_BITS, ONCE, Edge, Graph, Node


class Adapters:
    """The adapters between the host and the graph: none, so that a message arrives as it is sent."""

    steps = 0

    def into(self, port: Any, size: int, bits: int) -> Any:
        """The port from which the graph gets what `port` sends, messages of `bits` bits."""
        return port

    def out_of(self, port: Any, size: int, bits: int) -> Any:
        """The port from which the host gets what `port` sends."""
        return port


class StandIns(Adapters):
    """On a CPU, a step each: a `Sparse` of ones on its diagonal."""

    steps = 1

    def into(self, port: Any, size: int, bits: int) -> Any:
        """A step later, the same."""
        hop = Sparse(weights=csr_matrix(identity(size, np.int32)), num_message_bits=bits)
        port.connect(hop.s_in)
        return hop.a_out

    out_of = into


class ChipAdapters(Adapters):
    """Of Intel's lava-loihi, between a host and a board; that each costs a step is an estimate. Never run by us."""

    steps = 1

    def into(self, port: Any, size: int, bits: int) -> Any:
        """The chip's side of a `PyToNxAdapter`."""
        from lava.proc.embedded_io.spike import PyToNxAdapter

        adapter = PyToNxAdapter(shape=(size,), num_message_bits=bits)
        port.connect(adapter.inp)
        return adapter.out

    def out_of(self, port: Any, size: int, bits: int) -> Any:
        """The host's side of an `NxToPyAdapter`."""
        from lava.proc.embedded_io.spike import NxToPyAdapter

        adapter = NxToPyAdapter(shape=(size,), num_message_bits=bits)
        port.connect(adapter.inp)
        return adapter.out


def build_graph(
    graph: Graph, signal: npt.NDArray[Any], steps: int, observe: Sequence[str], folder: Path, adapters: Adapters
) -> dict[str, AbstractProcess]:
    """The processes of `graph` by node, connected, for a run of `steps` steps on the input `signal` [T, M].

    Each observed node's output goes to `folder` (see `observation_path`), as late as its adapter makes it.
    """
    made = {node.name: _node(node, signal, folder) for node in graph.nodes}
    sends = {name: process.s_out for name, process in made.items()}
    source = graph.source.name
    bits = max((e.message_bits for e in graph.edges if e.source == source), default=0)
    sends[source] = adapters.into(sends[source], graph.source.size, bits)
    for edge in graph.edges:
        synapses = _synapses(edge)
        sends[edge.source].connect(synapses.s_in)
        for target in edge.targets:
            synapses.a_out.connect(made[target].a_in)
    for name in observe:
        node, path = graph.node(name), observation_path(folder, name)
        sink = Sink(size=node.size, steps=steps, path=path, name=f"sink of {name}")
        bits = MESSAGE_BITS if node.kind == "sigma" else 0
        adapters.out_of(sends[name], node.size, bits).connect(sink.a_in)
    return made


def observation_path(folder: Path, name: str) -> Path:
    """Return the path in `folder` of the output of the node `name`."""
    return folder / f"{name}.int32"


def _node(node: Node, signal: npt.NDArray[Any], folder: Path) -> AbstractProcess:
    if node.kind == "source":
        return Source(signal=signal, progress=folder, name=node.name)
    if node.kind == "sigma":
        return Sigma(shape=(node.size,))  # the one process of Lava that takes no name
    bias = 0 if node.bias_mant is None else np.asarray(node.bias_mant, np.int32)
    common: dict[str, Any] = {"shape": (node.size,), "bias_mant": bias, "bias_exp": node.bias_exp, "name": node.name}
    clock: dict[str, Any] = {"reset_interval": ONCE, "reset_offset": node.reset_step} if node.reset_step else {}
    if node.neuron is not None:
        return TCLIF(neuron=node.neuron, **common, **clock)
    lif: dict[str, Any] = {"du": node.du, "dv": node.dv, "vth": node.vth, **common}
    return LIFReset(**lif, **clock) if clock else LIF(**lif)


def _synapses(edge: Edge) -> AbstractProcess:
    exponent = {"weight_exp": edge.exponent, "num_message_bits": edge.message_bits}
    weight = edge.weight.astype(np.int32)
    if edge.diagonal:
        return Sparse(weights=csr_matrix(np.diag(weight)), **exponent)
    return Dense(weights=weight, **exponent)
