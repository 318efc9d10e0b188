"""Graphs that ask for a microcode of TC-LIF: both resets, couplings and decays per neuron, the limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.loihi.graph import Edge, Graph, Node
from tclif_neuro.network import TCLIFNeuron

Array = npt.NDArray[Any]
SIZE, INPUTS, STEPS = 16, 20, 120


def tclif_graphs() -> Iterator[tuple[str, str, Graph, Array]]:
    """Name, question, graph and input [T, M] of each; the node to be observed is "out"."""
    rng = np.random.default_rng(5)
    spikes = (rng.random((STEPS, INPUTS)) < 0.2).astype(np.int64)
    weight, back = 2 * rng.integers(-60, 80, (SIZE, INPUTS)), 2 * rng.integers(-40, 40, (SIZE, SIZE))
    own: dict[str, Any] = {
        "a1": rng.integers(3600, 4097, (1, SIZE)),
        "a2": rng.integers(3600, 4097, (1, SIZE)),
        "b1": -rng.integers(100, 3000, SIZE),
        "b2": rng.integers(500, 4000, SIZE),
    }
    for reset in ("delayed", "immediate"):
        about = f"coefficients per neuron, {reset} reset"
        yield reset, about, _graph(_neuron(reset, **own), weight, back if reset == "immediate" else None), spikes
        about = f"states beyond 24 bits, {reset} reset"
        loud = _graph(_neuron(reset, b1=[-200], b2=[4096], gamma=2**16), 3 * (weight // 6) * 2, None, exponent=7)
        yield f"saturating-{reset}", about, loud, np.ones((60, INPUTS), np.int64)
        rows = np.linspace(4096, 3600, 40).astype(int)[:, None]
        about = f"decays that change from step to step, from the step in which the sample begins, {reset} reset"
        yield f"schedule-{reset}", about, _graph(_neuron(reset, a1=rows, a2=rows), weight, None, reset_step=8), spikes
    small, hardly = (
        _neuron("delayed", 1, 0, a1=[[4090]], a2=[[4090]], b1=[-40], b2=[500]),
        np.zeros((SIZE, INPUTS), int),
    )
    hardly[:, 0] = 2
    about = "states so small that they feel how products round"
    yield "rounding", about, _graph(small, hardly, None, exponent=0, bias=12, bias_exp=0), spikes
    level = _graph(_neuron("delayed", b1=[0], b2=[4096], vth=100), np.array([[100]]), None, exponent=0, bias=0)
    pulses = np.zeros((12, 1), np.int64)
    pulses[[0, 6]] = 1
    yield "equal", "a soma that equals the threshold", level, pulses
    about = "a bias, a state at rest when the sample begins"
    yield "start", about, _graph(_neuron("delayed", **own), weight, None, reset_step=8, bias=900), spikes[:40]


def _neuron(reset: Any, vth: int = 2**14, gamma: int = 2**13, **own: Any) -> TCLIFNeuron:
    tables = {"a1": [[4096]], "a2": [[4096]], "b1": [-2048], "b2": [2048], **own}
    arrays: dict[str, Any] = {name: np.array(table) for name, table in tables.items()}
    return TCLIFNeuron(**arrays, vth_mant=vth, gamma_mant=gamma, reset=reset)


def _graph(
    neuron: TCLIFNeuron,
    weight: Array,
    back: Array | None,
    *,
    exponent: int = 5,
    reset_step: int = 0,
    bias: int = 300,
    bias_exp: int = 5,
) -> Graph:
    size, inputs = weight.shape
    ramp = np.arange(size) * bias // size
    out = Node(
        name="out", kind="tclif", size=size, neuron=neuron, bias_mant=ramp, bias_exp=bias_exp, reset_step=reset_step
    )
    edges = [Edge(source="input", targets=("out",), weight=weight, exponent=exponent)]
    if back is not None:
        edges.append(Edge(source="out", targets=("out",), weight=back, exponent=4))
    return Graph(nodes=(Node(name="input", kind="source", size=inputs), out), edges=tuple(edges))
