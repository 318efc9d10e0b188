"""The nodes of one layer as a module of ours, from their numbers alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tclif_neuro.neurons.general import CUBALIF, GeneralizedTCLIF
from tclif_neuro.neurons.modules import LIF, TCLIF, Readout, RelaxedTCLIF
from tclif_neuro.nir.cells import Cell
from tclif_neuro.nir.claim import Neurons, fill
from tclif_neuro.nir.graph import Array, NIRError, numbers

Reset = Literal["zero", "delayed", "immediate"]
RESETS = ("zero", "delayed", "immediate")


@dataclass(frozen=True, kw_only=True, eq=False)
class Decoded:
    """A layer: its neurons (float64, without recurrent weights), and what makes its weights ours.

    gain: [N], which multiplies the rows of the input's and the recurrent weights and the bias. bias: [N], added to it.
    """

    neuron: Neurons
    gain: Array
    bias: Array = field(default_factory=lambda: np.zeros(1))


class Values:
    """The arrays of a cell of `size` neurons, each checked."""

    def __init__(self, cell: Cell, size: int, dt: float) -> None:
        self.cell, self.size, self.dt = cell, size, dt

    def get(self, role: str, name: str) -> Array:
        """[N]; a single number counts for all."""
        try:
            array = numbers(self.cell.nodes[role], name)
        except NIRError as error:
            raise self.cell.error(role, str(error)) from error
        if array.size not in (1, self.size):
            raise self.cell.error(role, f"{name} has shape {list(array.shape)}, there are {self.size} neurons")
        return np.array(np.broadcast_to(array.reshape(-1), (self.size,)))

    def integrator(self, role: str) -> tuple[Array, Array, Array]:
        """decay, gain and the drive of a leak, [N] each: v = decay v + gain x + drive."""
        node, r = self.cell.nodes[role], self.get(role, "r")
        if node.kind in ("I", "IF"):
            return np.ones(self.size), _snap(r * self.dt), np.zeros(self.size)
        decay, share = self.share(role, "tau")
        return decay, _snap(r * share), self.get(role, "v_leak") * share

    def share(self, role: str, name: str) -> tuple[Array, Array]:
        """The decay 1 - dt/tau of the time constant `name`, and dt/tau, [N] each."""
        tau = self.get(role, name)
        if (tau < self.dt * (1 - 1e-9)).any():
            raise self.cell.error(role, f"{name} {tau.min():g} s is shorter than dt {self.dt:g} s; give a smaller dt")
        share = np.minimum(self.dt / tau, 1)
        return 1 - share, share

    def one(self, role: str, what: str, array: Array) -> float:
        """The number that all neurons have. Raises `NIRError` if they have several."""
        if not _close(array, array[0]):
            raise self.cell.error(role, f"{what} from {array.min():g} to {array.max():g}; a layer of ours has one")
        return float(array[0])

    def threshold(self, role: str, name: str, rest: Array) -> Array:
        """Vth above `rest`, [N]: NIR spikes above it, we at it, so it is the next number in the file's precision."""
        raw = self.cell.nodes[role].values.get(name)
        precision = np.float32 if raw is not None and raw.dtype == np.float32 else np.float64
        above = np.nextafter(self.get(role, name).astype(precision), precision(np.inf)).astype(float) - rest
        if (above <= 0).any():
            raise self.cell.error(role, f"{name} {self.get(role, name).min():g} is not above the rest, {rest.min():g}")
        return np.asarray(above)


def _snap(gain: Array) -> Array:
    """r = tau/dt is written for a gain of 1, which the division then misses by a rounding error."""
    return np.where(np.abs(gain - 1) < 1e-12, 1.0, gain)


def _close(a: Array, b: Any) -> bool:
    return bool(np.allclose(a, b, rtol=1e-6, atol=1e-9))


def decode(cell: Cell, size: int, dt: float, reset: Reset) -> Decoded:
    """The layer's neurons. reset: what a NIR LIF or IF does that spikes. Raises `NIRError` naming node and value."""
    values = Values(cell, size, dt)
    for head, read in READERS.items():
        if head in cell.roles:
            return read(values, reset)
    raise cell.error(next(iter(cell.roles)), "is no neuron that we know")


def _stock(values: Values, reset: Reset) -> Decoded:
    """A LIF or IF. Neurons that differ in their threshold are rescaled to have 1: spikes do not tell."""
    role = "b_neurons"
    if values.cell.nodes[role].kind == "CubaLIF":
        return _cuba(values, role, reset)
    decay, gain, drive = values.integrator(role)
    rest = _rest(values, role)
    drive = np.zeros(values.size) if rest.any() else drive  # the potential is measured from v_leak
    vth = values.threshold(role, "v_threshold", rest)
    if not (vth == vth[0]).all():
        gain, drive, vth = gain / vth, drive / vth, np.ones(values.size)
    return Decoded(neuron=_lif(values, decay, float(vth[0]), reset), gain=gain, bias=drive)


def _cuba(values: Values, role: str, reset: Reset) -> Decoded:
    """A CubaLIF. v_leak would drive the potential, where ours has no input: it must be 0."""
    alpha, syn = values.share(role, "tau_syn")
    beta, mem = values.share(role, "tau_mem")
    given = values.cell.nodes[role].values
    if values.get(role, "v_leak").any() or ("v_reset" in given and values.get(role, "v_reset").any()):
        raise values.cell.error(role, "v_leak and v_reset are not both 0: a CUBALIF rests at 0")
    w_in = values.get(role, "w_in") if "w_in" in given else np.ones(values.size)
    gain = _snap(w_in * syn * values.get(role, "r") * mem)
    vth = values.threshold(role, "v_threshold", np.zeros(values.size))
    if not (vth == vth[0]).all():
        gain, vth = gain / vth, np.ones(values.size)
    decays = {"fixed_alpha": alpha, "fixed_beta": beta}
    several = any((decay != decay[0]).any() for decay in decays.values())
    neurons = CUBALIF(values.size, per_neuron=several, reset=reset, vth=float(vth[0])).double()
    filled: CUBALIF = fill(neurons, {name: d if several else d[:1] for name, d in decays.items()})
    return Decoded(neuron=filled, gain=gain, bias=np.zeros(values.size))


def _rest(values: Values, role: str) -> Array:
    """Return the value that a potential is reset to, [N]: 0, or the v_leak from which it starts."""
    given = values.cell.nodes[role].values
    reset, leak = (values.get(role, name) if name in given else np.zeros(values.size) for name in ("v_reset", "v_leak"))
    wrong = (reset != leak) & reset.any()
    if wrong.any():
        at = int(wrong.argmax())
        raise values.cell.error(
            role, f"v_reset {reset[at]:g} of neuron {at} is neither 0 nor v_leak {leak[at]:g}; ours start at rest"
        )
    return reset


def _lif(values: Values, beta: Array, vth: float, reset: Reset) -> LIF:
    several = not (beta == beta[0]).all()
    lif = LIF(values.size, beta=0.5, per_neuron=several, reset=reset, vth=vth).double()
    filled: LIF = fill(lif, {"fixed_beta": beta if several else beta[:1]})
    return filled


def _subtractive(values: Values, reset: Reset) -> Decoded:
    beta, gain, drive = values.integrator("d_soma")
    vth = values.one("e_spike", "threshold", values.threshold("e_spike", "threshold", np.zeros(values.size)))
    taken = -values.get("g_reset_soma", "scale")
    kinds: list[tuple[Reset, Array]] = [("delayed", np.full(values.size, vth)), ("immediate", beta * vth)]
    for kind, expected in kinds:
        if _close(taken, expected):
            return Decoded(neuron=_lif(values, beta, vth, kind), gain=gain, bias=drive)
    raise values.cell.error("g_reset_soma", f"takes {taken[0]:g} for a spike; ours takes Vth {vth:g}, or beta Vth")


def _readout(values: Values, reset: Reset) -> Decoded:
    decay, gain, drive = values.integrator("b_potential")
    readout = Readout(1, values.size, decay=values.one("b_potential", "decays", decay)).double()
    return Decoded(neuron=readout, gain=gain, bias=drive)


def _two_compartments(values: Values, reset: Reset) -> Decoded:
    a1, gain, drive = values.integrator("b_dendrite")
    a2, soma_gain, soma_drive = values.integrator("d_soma")
    if soma_drive.any():
        raise values.cell.error("d_soma", "v_leak is not 0: a soma of ours rests at 0")
    b1, b2 = values.get("h_back", "scale") * gain, values.get("c_couple", "scale") * soma_gain
    vth = values.one("e_spike", "threshold", values.threshold("e_spike", "threshold", np.zeros(values.size)))
    constants = {"vth": vth, **_reset(values, a1, a2, b1, vth, gain, soma_gain)}
    make = _paper if (a1 == 1).all() and (a2 == 1).all() else _relaxed
    return Decoded(neuron=make(values, (a1, a2, b1, b2), constants), gain=gain, bias=drive)


def _reset(
    values: Values, a1: Array, a2: Array, b1: Array, vth: float, gain: Array, soma_gain: Array
) -> dict[str, Any]:
    """reset and gamma from what a spike takes from dendrite and soma."""
    to_dendrite = -values.get("f_reset_dendrite", "scale") * gain
    to_soma = -values.get("g_reset_soma", "scale") * soma_gain
    for kind, soma, gamma in (
        ("delayed", np.full(values.size, vth), to_dendrite),
        ("immediate", a2 * vth, (to_dendrite - b1 * vth) / np.where(a1 > 0, a1, 1)),
    ):
        if _close(to_soma, soma) and _close(gamma, gamma[0]) and gamma[0] >= -1e-9:
            return {"reset": kind, "gamma": max(0.0, float(gamma[0]))}
    raise values.cell.error(
        "g_reset_soma",
        f"a spike takes {to_soma[0]:g} from the soma and {to_dendrite[0]:g} from the dendrite: neither reset of ours",
    )


def _inside(values: Values, role: str, name: str, array: Array, low: float, high: float) -> Array:
    """`array` if it lies strictly between `low` and `high`."""
    outside = (array <= low) | (array >= high)
    if outside.any():
        at = int(outside.argmax())
        raise values.cell.error(role, f"{name} {array[at]:g} of neuron {at} is outside ({low:g}, {high:g})")
    return array


def _logits(array: Array) -> Array:
    one = array[:1] if (array == array[0]).all() else array
    return np.asarray(np.log(one) - np.log1p(-one))


def _paper(values: Values, coefficients: tuple[Array, ...], constants: dict[str, Any]) -> TCLIF:
    _, _, b1, b2 = coefficients
    c1 = _logits(_inside(values, "h_back", "-b1", -b1, 0, 1))
    c2 = _logits(_inside(values, "c_couple", "b2", b2, 0, 1))
    neuron: TCLIF = fill(TCLIF(values.size, **constants).double(), {"c1": c1, "c2": c2})
    return neuron


def _relaxed(
    values: Values, coefficients: tuple[Array, ...], constants: dict[str, Any]
) -> RelaxedTCLIF | GeneralizedTCLIF:
    a1, a2, b1, b2 = coefficients
    raw = {
        "raw_a1": _logits(_inside(values, "b_dendrite", "decay a1", a1, 0, 1)),
        "raw_a2": _logits(_inside(values, "d_soma", "decay a2", a2, 0, 1)),
    }
    if (b1 > 0).any() or (b2 < 0).any():
        return _generalized(values, (raw, b1, b2), constants)
    couplings: dict[str, Any] = {"b1": values.one("h_back", "b1", b1), "b2": values.one("c_couple", "b2", b2)}
    if not (-1 <= couplings["b1"] <= 0 <= couplings["b2"] <= 1):
        raise values.cell.error("h_back", "couplings b1 {b1:g}, b2 {b2:g}; both in [-1, 1]".format(**couplings))
    neuron: RelaxedTCLIF = fill(RelaxedTCLIF(values.size, **couplings, **constants).double(), raw)
    return neuron


def _generalized(
    values: Values, read: tuple[dict[str, Array], Array, Array], constants: dict[str, Any]
) -> GeneralizedTCLIF:
    raw, b1, b2 = read
    for role, name, array in (("h_back", "b1", b1), ("c_couple", "b2", b2)):
        _inside(values, role, name, array, -1 - 1e-15, 1 + 1e-15)
    neurons = GeneralizedTCLIF(values.size, **constants).double()
    filled: GeneralizedTCLIF = fill(neurons, raw | {"b1": b1, "b2": b2})
    return filled


READERS: dict[str, Callable[[Values, Reset], Decoded]] = {
    "b_neurons": _stock,
    "b_potential": _readout,
    "b_dendrite": _two_compartments,
    "d_soma": _subtractive,  # after the dendrite: both have a soma
}
