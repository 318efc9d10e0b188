"""A NIR file as a model of ours."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import torch
from torch import nn

from tclif_neuro.errors import TclifError, warn
from tclif_neuro.files import StrPath
from tclif_neuro.neurons.modules import Readout
from tclif_neuro.nir.cells import KNOWN, WEIGHTS, Cell, find_cell
from tclif_neuro.nir.claim import Neurons, believed
from tclif_neuro.nir.compose import compose
from tclif_neuro.nir.decode import RESETS, Decoded, Reset, decode
from tclif_neuro.nir.graph import INPUT, OUTPUT, Array, Flat, NIRError, flatten, numbers
from tclif_neuro.nir.hdf5 import read_graph

MISSING = {"CubaLI": "there is no readout with a current that has a memory"}


def load_nir(path: StrPath, dt: float | None = None, reset: Reset = "zero") -> nn.Sequential:
    """The network in the NIR file `path`, a chain of Linear and neurons that may end in a Readout.

    | nodes                                     | module                                                            |
    |-------------------------------------------|-------------------------------------------------------------------|
    | Affine, Linear                            | `nn.Linear`, rows times the next node's r dt/tau (IF, I: r dt)    |
    | LIF, IF                                   | `LIF(reset=reset)`, beta = 1 - dt/tau or 1; v_leak into the bias  |
    | CubaLIF                                   | `CUBALIF(reset=reset)`, alpha, beta = 1 - dt/tau_syn, tau_mem     |
    | one of these and Linear in a cycle        | recurrent=True; an Affine's bias is added to the input's          |
    | LI, I before the output                   | `Readout`                                                         |
    | LI or I with Threshold and Scale (`compose`) | `TCLIF`, `RelaxedTCLIF`, `LIF` that subtracts                  |

    dt: seconds per step; if it is None, what `save_nir` wrote, or tau/r where that is one value everywhere. reset:
    NIR's LIF is reset to a value; "delayed" and "immediate" subtract the threshold instead, for files made so.
    The modules are float32 if the file, or the model that it was made of, is, and float64 otherwise.

    Raises `NIRError`, which names the file, the node and the value, on what has no counterpart. Needs no other package.
    """
    try:
        if reset not in RESETS:
            raise NIRError(f"reset {reset!r} is none of {', '.join(RESETS)}")
        graph = flatten(read_graph(path))
        _refuse_unknown(graph)
        return _Chain(graph, _dt(graph, dt), reset).model()
    except TclifError as error:
        raise NIRError(f"{os.fspath(path)}: {error}") from error


def _refuse_unknown(graph: Flat) -> None:
    """One error for all nodes that we do not have."""
    found = {path: node.kind for path, node in sorted(graph.nodes.items()) if node.kind not in KNOWN}
    if found:
        nodes = ", ".join(f"{path} ({kind})" for path, kind in list(found.items())[:10])
        more = f" and {len(found) - 10} more" if len(found) > 10 else ""
        why = "; ".join(f"{kind}: {MISSING[kind]}" for kind in sorted(set(found.values()) & MISSING.keys()))
        raise NIRError(f"nodes {nodes}{more} have no counterpart here{f' ({why})' if why else ''}")


def _dt(graph: Flat, given: float | None) -> float:
    if given is not None:
        if not (math.isfinite(given) and given > 0):
            raise NIRError(f"dt {given} is not a positive number of seconds")
        return given
    claims = [node.claim.get("dt", 0) for node in graph.nodes.values()]
    said = {float(dt) for dt in claims if _is_number(dt)}
    if len(said) == 1:
        return said.pop()
    ratios = [
        numbers(node, "tau") / numbers(node, "r")
        for node in graph.nodes.values()
        if {"tau", "r"} <= node.values.keys() and (numbers(node, "r") > 1).all()
    ]
    together = np.concatenate([r.reshape(-1) for r in ratios]) if ratios else np.zeros(0)
    with_tau = sum("tau" in node.values for node in graph.nodes.values())
    if len(ratios) == with_tau and together.size and np.allclose(together, together[0], rtol=1e-6, atol=0):
        warn(f"the file does not say dt; tau/r is {together[0]:g} s everywhere, and that is taken for it")
        return float(together[0])
    raise NIRError("the file does not say how many seconds a step has; give it (dt=, --dt)")


def _is_number(value: Any) -> bool:
    array = np.asarray(value)
    return array.shape == () and array.dtype.kind in "iuf" and math.isfinite(float(array)) and float(array) > 0


class _Chain:
    """Follows a graph from its input to its output, layer by layer."""

    def __init__(self, graph: Flat, dt: float, reset: Reset) -> None:
        self.graph, self.dt, self.reset = graph, dt, reset
        self.dtype = _dtype(graph)
        self.seen: set[str] = set()

    def model(self) -> nn.Sequential:
        """The modules; every node of the graph is in one."""
        start = self._port(INPUT)
        modules: list[nn.Module] = []
        source, at, size = start, self._next(start), self._inputs(start)
        while self.graph.kind(at) != OUTPUT:
            if modules and isinstance(modules[-1], Readout):
                raise self.graph.error(at, "follows the readout, which must be the last")
            weights = None
            if self.graph.kind(at) in WEIGHTS:
                weights, source, at = at, at, self._next(at, source)
            cell = find_cell(self.graph, at, source)
            layer = self._layer(cell, weights, size)
            modules += layer
            size = layer[0].out_features if isinstance(layer[0], nn.Linear) else size
            self.seen |= {*cell.roles.values()} | ({weights} if weights else set())
            source, at = cell.roles.get("e_spike", cell.head), cell.next
        left = self.graph.nodes.keys() - self.seen - {start, at}
        if left:
            raise self.graph.error(min(left), "is not on the way from the input to the output")
        if not modules:
            raise NIRError("the graph has no neurons between its input and its output")
        return nn.Sequential(*modules).to(self.dtype)

    def _port(self, kind: str) -> str:
        found = [path for path, node in self.graph.nodes.items() if node.kind == kind]
        if len(found) != 1:
            raise NIRError(f"the graph has {len(found)} nodes of type {kind}; one is needed")
        return found[0]

    def _inputs(self, start: str) -> int | None:
        shape = self.graph.nodes[start].values.get("shape")
        return None if shape is None or shape.dtype.kind not in "iu" else math.prod(int(n) for n in shape.reshape(-1))

    def _next(self, path: str, source: str | None = None) -> str:
        after, before = self.graph.after(path), self.graph.before(path)
        if len(after) != 1:
            raise self.graph.error(path, f"leads to {', '.join(after) or 'nothing'}; a chain of layers has one next")
        if source is not None and before != [source]:
            raise self.graph.error(path, f"is fed by {', '.join(before)}; one source is needed")
        if after[0] in self.seen:
            raise self.graph.error(path, f"leads back to {after[0]}")
        self.seen.add(path)
        return after[0]

    def _weights(self, path: str, size: int | None) -> tuple[Array, Array]:
        """W [N, M] and b [N] of an Affine or Linear with `size` inputs (None: any)."""
        node = self.graph.nodes[path]
        try:
            weight = numbers(node, "weight")
            if weight.ndim != 2 or 0 in weight.shape:
                raise NIRError(f"weight has shape {list(weight.shape)}; two dimensions are needed")
            if size is not None and weight.shape[1] != size:
                raise NIRError(f"weight has {weight.shape[1]} columns, there are {size} inputs")
            bias = numbers(node, "bias") if node.kind == "Affine" else np.zeros(len(weight))
            if bias.size not in (1, len(weight)):
                raise NIRError(f"bias has shape {list(bias.shape)}, weight {len(weight)} rows")
        except NIRError as error:
            raise self.graph.error(path, str(error)) from error
        return weight, np.array(np.broadcast_to(bias.reshape(-1), (len(weight),)))

    def _layer(self, cell: Cell, weights: str | None, size: int | None) -> list[nn.Module]:
        if weights is None:  # neurons that take their input as it is
            size = size if size else max((v.size for n in cell.nodes.values() for v in n.values.values()), default=1)
            weight, bias = np.eye(size), np.zeros(size)
        else:
            weight, bias = self._weights(weights, size)
        n = len(weight)
        layer = self._neurons(cell, n)
        weight, bias = weight * layer.gain[:, None], bias * layer.gain + layer.bias
        if isinstance(layer.neuron, Readout):
            return [_with_weights(Readout(weight.shape[1], n, decay=layer.neuron.decay), weight, bias)]
        if cell.recurrent is not None:
            recurrent, extra = self._weights(cell.recurrent, n)
            if len(recurrent) != n:
                raise self.graph.error(cell.recurrent, f"weight has {len(recurrent)} rows, there are {n} neurons")
            if extra.any():
                warn(f"node {cell.recurrent}: its bias acts from the first step on; NIR does not say if it should")
            bias = bias + extra * layer.gain
            layer.neuron.recurrent = nn.Linear(n, n, bias=False)
            layer.neuron.recurrent.weight = nn.Parameter(torch.from_numpy(recurrent * layer.gain[:, None]))
        return [_with_weights(nn.Linear(weight.shape[1], n), weight, bias), layer.neuron]

    def _neurons(self, cell: Cell, size: int) -> Decoded:
        """Return the layer's neurons as claimed, if that is what the nodes say; otherwise as the nodes say."""
        claim = self.graph.nodes[cell.head].claim
        neuron: Neurons | None = believed(claim, cell.nodes, size, False, self.dt)
        if neuron is None:
            return decode(cell, size, self.dt, self.reset)
        gain = compose(neuron, size, self.dt, np.float64).gain
        return Decoded(neuron=neuron, gain=np.broadcast_to(gain, (size,)), bias=np.zeros(size))


def _with_weights(linear: Any, weight: Array, bias: Array) -> Any:
    linear.weight = nn.Parameter(torch.from_numpy(np.ascontiguousarray(weight)))
    linear.bias = nn.Parameter(torch.from_numpy(np.ascontiguousarray(bias)))
    return linear


def _dtype(graph: Flat) -> torch.dtype:
    said = {str(node.claim["dtype"]) for node in graph.nodes.values() if "dtype" in node.claim}
    if said:
        return torch.float32 if said == {"float32"} else torch.float64
    kinds = {v.dtype for node in graph.nodes.values() for v in node.values.values() if v.dtype.kind == "f"}
    return torch.float32 if kinds <= {np.dtype(np.float32), np.dtype(np.float16)} else torch.float64
