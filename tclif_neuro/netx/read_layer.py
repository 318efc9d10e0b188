"""One layer of a .net file of ours: every field checked and, if it is wrong, named."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from tclif_neuro.lavadl import STOCK_BIAS_EXP, scaled
from tclif_neuro.network import (
    BIAS_EXP,
    BIAS_MANT,
    WEIGHT_EXP,
    Array,
    Layer,
    LIFNeuron,
    Neuron,
    Reset,
    Synapses,
    TCLIFNeuron,
    check_range,
)
from tclif_neuro.netx import format as names
from tclif_neuro.netx.section import Section, fields_named

# The hub's names of fields -> the file's.
TCLIF = {"a1": "alpha1", "a2": "alpha2", "a1 and a2": "alpha1", "b1": "beta1", "b2": "beta2", "gamma_mant": "gammaMant"}
LIF = {"i_decay": "iDecay", "v_decay": "vDecay"}
NEURON = TCLIF | LIF | {"vth_mant": "vThMant"}
LAYER = {"bias_mant": "bias", "recurrent weight": "weight_rec"}
LAYER |= {hub: f"neuron/{ours}" for hub, ours in NEURON.items()}


def read_layer(section: Section) -> Layer:
    """The layer in `section`. Raises `NetFileError` naming what is wrong, missing or unknown."""
    kind, neuron_type = section.text("type"), section.text("neuron/type")
    if kind not in (names.DENSE, names.RECURRENT):
        raise section.fail("type", f"{kind!r} is not supported; {names.DENSE} and {names.RECURRENT} are")
    stock = neuron_type == names.CUBA
    synapses = _synapses(section, "weight", "weightExp", stock)
    recurrent = _synapses(section, "weight_rec", "weightRecExp", stock) if kind == names.RECURRENT else None
    if (shape := section.array("shape", 1).tolist()) != [len(synapses.weight)]:
        raise section.fail("shape", f"{shape}, but the weights are for {len(synapses.weight)} neurons")
    neuron = _neuron(section, neuron_type)
    bias_exp = _integer(section, "biasExp", BIAS_EXP)
    with fields_named(section.path, LAYER):
        layer = Layer(
            synapses=synapses,
            recurrent=recurrent,
            neuron=neuron,
            bias_mant=_mantissas(section, "bias", STOCK_BIAS_EXP - bias_exp if stock else 0, BIAS_MANT),
            bias_exp=bias_exp,
            scale_bits=_integer(section, "scaleBits", names.SCALE_BITS),
            readout=section.scalar("readout", "b"),
        )
    section.finish()
    return layer


def _integer(section: Section, name: str, limits: tuple[int, int]) -> int:
    """The integer `name`, within its limits."""
    value = section.scalar(name)
    with fields_named(section.path, {}):
        check_range(name, value, *limits)
    return int(value)


def _mantissas(section: Section, name: str, exponent: int, limits: tuple[int, int], ndim: int = 1) -> Array:
    """The stored integers within `limits`, times `2^exponent`."""
    stored = section.array(name, ndim)
    with fields_named(section.path, {}):
        check_range(name, stored, *limits)
    mantissas = scaled(stored, exponent)
    if mantissas is None:
        raise section.fail(name, f"holds a number that is no multiple of {2**-exponent}, which its exponent calls for")
    return mantissas


def _synapses(section: Section, weight: str, exponent: str, stock: bool) -> Synapses:
    """The synapses of the datasets named `weight` and `exponent`."""
    exp = _integer(section, exponent, WEIGHT_EXP)
    mantissas = _mantissas(section, weight, -exp if stock else 0, (-256, 255), ndim=2)
    with fields_named(section.path, {"weight": weight}):
        return Synapses(weight=mantissas, exponent=exp)


def _neuron(section: Section, kind: str) -> Neuron:
    """The neurons of a layer."""
    if kind not in _NEURONS:
        raise section.fail("neuron/type", f"{kind!r} is not supported; {', '.join(_NEURONS)} are")
    return _NEURONS[kind](section)


def _atclif(section: Section) -> TCLIFNeuron:
    return _tclif(section, adaptive=True)


def _tclif(section: Section, adaptive: bool = False) -> TCLIFNeuron:
    decays = [section.array(f"neuron/{name}", 2 if adaptive else 1) for name in ("alpha1", "alpha2")]
    if adaptive and len(decays[0]) < 2:
        raise section.fail("neuron/alpha1", "a schedule of fewer than 2 steps; that is a TCLIF")
    a1, a2 = decays if adaptive else (decay[None] for decay in decays)
    reset = section.text("neuron/reset")
    with fields_named(f"{section.path}/neuron", NEURON):
        return TCLIFNeuron(
            a1=a1,
            a2=a2,
            b1=section.array("neuron/beta1", 1),
            b2=section.array("neuron/beta2", 1),
            vth_mant=section.scalar("neuron/vThMant"),
            gamma_mant=section.scalar("neuron/gammaMant"),
            reset=cast(Reset, reset),
        )


def _lif(section: Section) -> LIFNeuron:
    if section.scalar("neuron/refDelay") != 1:
        raise section.fail("neuron/refDelay", "a refractory period is not supported; 1 expected")
    if section.scalar("neuron/gradedSpike", "b"):
        raise section.fail("neuron/gradedSpike", "graded spikes between layers are not supported")
    with fields_named(f"{section.path}/neuron", NEURON):
        return LIFNeuron(
            i_decay=section.scalar("neuron/iDecay"),
            v_decay=section.scalar("neuron/vDecay"),
            vth_mant=section.scalar("neuron/vThMant"),
        )


_NEURONS: dict[str, Callable[[Section], Neuron]] = {
    names.TCLIF: _tclif,
    names.ATCLIF: _atclif,
    names.CUBA: _lif,
    names.LIF: _lif,
}
