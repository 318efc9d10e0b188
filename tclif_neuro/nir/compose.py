"""Our neurons as standard NIR nodes: exact in real numbers, in the discretisation that `graph` states.

D is a dendrite, U a soma; an edge back is one step late, which is what makes the feedback the last step's:

    input -> D -> Scale(b2) -> U -> Threshold -> output       D: LI(tau = dt/(1 - a1), r = tau/dt); I(1/dt) where a1 = 1
    U -> Scale(b1) -> D        Threshold -> Scale(-g_d) -> D    U: the same with a2
                               Threshold -> Scale(-g_s) -> U    Threshold -> Linear(R) -> D

A delayed reset takes g_d = gamma and g_s = Vth. An immediate one is the same graph for the potentials before the
subtraction, which then decays and couples: g_d = a1 gamma + b1 Vth, g_s = a2 Vth. A LIF that subtracts is U alone, with
g_s = Vth or beta Vth. A LIF that is reset to zero is NIR's own, with r = 1 and the input divided by dt/tau = 1 - beta;
a CUBALIF that is reset to zero is NIR's CubaLIF, with w_in = tau_syn/dt and r = tau_mem/dt.

We spike at `U >= Vth`, NIR at `x > threshold`: the threshold is the largest number below Vth in the file's precision.

HDF5 returns nodes in alphabetical order, and some interpreters break a cycle where they first meet it. So the names of
a graph's nodes, in alphabetical order, are the order of execution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from tclif_neuro.neurons.layer import TwoCompartment
from tclif_neuro.neurons.modules import LIF, AdaptiveTCLIF, Readout
from tclif_neuro.nir.graph import Array, Edge, NIRError, Node

ENTRY, EXIT = "input", "output"

TC_LIF: tuple[Edge, ...] = (
    ("b_dendrite", "c_couple"),
    ("c_couple", "d_soma"),
    ("d_soma", "e_spike"),
    ("e_spike", "f_reset_dendrite"),
    ("f_reset_dendrite", "b_dendrite"),
    ("e_spike", "g_reset_soma"),
    ("g_reset_soma", "d_soma"),
    ("d_soma", "h_back"),
    ("h_back", "b_dendrite"),
)
SUBTRACTIVE: tuple[Edge, ...] = (
    ("d_soma", "e_spike"),
    ("e_spike", "g_reset_soma"),
    ("g_reset_soma", "d_soma"),
)
STOCK: tuple[Edge, ...] = ()
RECURRENT = "i_recurrent"


@dataclass(frozen=True, kw_only=True, eq=False)
class Composed:
    """One layer's neurons.

    nodes: by role, which is the name in the file. edges: between them. first, last: what the input enters, what the
    spikes leave. gain: [N] or [1], what the input's and the recurrent weights and the bias are divided by in the file.
    """

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    first: str
    last: str
    gain: Array = field(default_factory=lambda: np.ones(1))


def recurrence(first: str, last: str) -> tuple[Edge, Edge]:
    """The two edges of recurrent weights."""
    return (last, RECURRENT), (RECURRENT, first)


def compose(neuron: TwoCompartment | LIF | Readout, size: int, dt: float, precision: type) -> Composed:
    """The neurons of a layer of `size`, without recurrent weights, at `dt` seconds per step, in float32 or float64.

    Raises `NIRError` where no composition of standard nodes is this neuron.
    """
    with torch.no_grad():
        if isinstance(neuron, AdaptiveTCLIF):
            raise NIRError("its decays follow a schedule, and no NIR node changes in time")
        if isinstance(neuron, Readout):
            nodes = {"b_potential": _integrator(_full(neuron.decay, size), dt, precision)}
            return Composed(nodes=nodes, edges=(), first="b_potential", last="b_potential")
        if isinstance(neuron, TwoCompartment) and neuron.reset == "zero":
            return _cuba(neuron, size, dt, precision)
        if isinstance(neuron, TwoCompartment):
            return _two_compartments(neuron, size, dt, precision)
        return _lif(neuron, size, dt, precision)


def _full(value: object, size: int) -> Array:
    array = value.detach().cpu().double().numpy() if isinstance(value, torch.Tensor) else np.asarray(value, float)
    return np.array(np.broadcast_to(array.reshape(-1), (size,)))


def _node(kind: str, precision: type, **values: Array) -> Node:
    return Node(kind=kind, values={name: value.astype(precision) for name, value in values.items()})


def _integrator(decay: Array, dt: float, precision: type) -> Node:
    """v = decay v + x: an LI, or an I where nothing decays."""
    if (decay == 1).all():
        return _node("I", precision, r=np.full(len(decay), 1 / dt))
    tau = _tau(decay, dt)
    return _node("LI", precision, tau=tau, r=tau / dt, v_leak=np.zeros(len(decay)))


def _tau(decay: Array, dt: float) -> Array:
    if (decay >= 1).any():
        raise NIRError(f"decay {decay.max()} of neuron {int(decay.argmax())}: all neurons of a layer decay, or none")
    return dt / (1 - decay)


def _below(vth: float, size: int, precision: type) -> Array:
    """The largest number below Vth: with it, `x > threshold` is `x >= Vth`."""
    return np.full(size, np.nextafter(precision(vth), precision(-np.inf)))


def _two_compartments(neuron: TwoCompartment, size: int, dt: float, precision: type) -> Composed:
    a1, a2, b1, b2 = (_full(c, size) for c in neuron.coefficients(1))
    to_dendrite, to_soma = _full(neuron.gamma, size), _full(neuron.vth, size)
    if neuron.reset == "immediate":
        to_dendrite, to_soma = a1 * neuron.gamma + b1 * neuron.vth, a2 * neuron.vth
    nodes = {
        "b_dendrite": _integrator(a1, dt, precision),
        "c_couple": _node("Scale", precision, scale=b2),
        "d_soma": _integrator(a2, dt, precision),
        "e_spike": _node("Threshold", precision, threshold=_below(neuron.vth, size, precision)),
        "f_reset_dendrite": _node("Scale", precision, scale=-to_dendrite),
        "g_reset_soma": _node("Scale", precision, scale=-to_soma),
        "h_back": _node("Scale", precision, scale=b1),
    }
    return Composed(nodes=nodes, edges=TC_LIF, first="b_dendrite", last="e_spike")


def _cuba(neuron: TwoCompartment, size: int, dt: float, precision: type) -> Composed:
    """A CUBALIF that is reset to zero is NIR's own, with w_in and r that undo the two dt/tau."""
    syn, mem = (_tau(_full(decay, size), dt) for decay in neuron.coefficients(1)[:2])
    rest, threshold = np.zeros(size), _below(neuron.vth, size, precision)
    node = _node(
        "CubaLIF",
        precision,
        tau_syn=syn,
        tau_mem=mem,
        r=mem / dt,
        v_leak=rest,
        v_threshold=threshold,
        v_reset=rest,
        w_in=syn / dt,
    )
    return Composed(nodes={"b_neurons": node}, edges=STOCK, first="b_neurons", last="b_neurons")


def _lif(neuron: LIF, size: int, dt: float, precision: type) -> Composed:
    beta, threshold = _full(neuron.beta, size), _below(neuron.vth, size, precision)
    if neuron.reset != "zero":
        gain = neuron.vth if neuron.reset == "delayed" else beta * neuron.vth
        nodes = {
            "d_soma": _integrator(beta, dt, precision),
            "e_spike": _node("Threshold", precision, threshold=threshold),
            "g_reset_soma": _node("Scale", precision, scale=-_full(gain, size)),
        }
        return Composed(nodes=nodes, edges=SUBTRACTIVE, first="d_soma", last="e_spike")
    rest = np.zeros(size)
    if (beta == 1).all():
        node = _node("IF", precision, r=np.full(size, 1 / dt), v_threshold=threshold, v_reset=rest)
        return Composed(nodes={"b_neurons": node}, edges=STOCK, first="b_neurons", last="b_neurons")
    tau = _tau(beta, dt)
    node = _node("LIF", precision, tau=tau, r=rest + 1, v_leak=rest, v_threshold=threshold, v_reset=rest)
    return Composed(nodes={"b_neurons": node}, edges=STOCK, first="b_neurons", last="b_neurons", gain=1 - beta)
