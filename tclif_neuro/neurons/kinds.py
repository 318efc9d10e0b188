"""The kinds of spiking neurons, a record each: what the rooms have to know of one is looked up here.

    name -> module -> coefficients -> integer neuron -> .net type, Lava process

The rooms behind `quantization` know the two integer neurons alone and import no float ones, so that these are named by
their class and module as text (`tests/neurons/test_kinds.py` finds all of them).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from tclif_neuro.neurons.chain import computes
from tclif_neuro.neurons.general import CUBALIF, GeneralizedTCLIF
from tclif_neuro.neurons.layer import SpikingLayer, TwoCompartment
from tclif_neuro.neurons.liquid import LiquidLIF
from tclif_neuro.neurons.modules import LIF, TCLIF, AdaptiveTCLIF, RelaxedTCLIF


@dataclass(frozen=True, kw_only=True)
class Integer:
    """An integer neuron, a class of `network.py`, and what becomes of it further on.

    net: its types in a .net file. lava: the module and the class of its Lava process. chip: what a Loihi 2 needs for
    it. learns: which layers of it can learn on the chip's terms.
    """

    net: tuple[str, ...]
    lava: tuple[str, str]
    chip: str
    learns: str


INTEGERS: dict[str, Integer] = {
    "TCLIFNeuron": Integer(
        net=("TCLIF", "ATCLIF"),
        lava=("tclif_neuro.lava.processes.tclif", "TCLIF"),
        chip="the stock form, four stock neurons each, or microcode of the user's",
        learns="layers whose neurons share their coefficients",
    ),
    "LIFNeuron": Integer(
        net=("CUBA", "LIF"), lava=("lava.proc.lif.process", "LIF"), chip="a stock neuron", learns="the readout"
    ),
}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of float neuron.

    name: the `type` of a recipe. module: its class. section: the class of its keys in `learning/recipe/sections.py`.
    logits: its parameters whose sigmoid (or minus that) is a coefficient. values: those, and the buffers, that are
    coefficients themselves. integers: by `reset`, the integer neuron that it becomes; empty: it has none. eprop:
    whether e-prop trains it.
    """

    name: str
    module: type[SpikingLayer]
    section: str
    logits: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    integers: Mapping[str, str] = field(default_factory=dict)
    eprop: bool = True


SUBTRACTS = {"delayed": "TCLIFNeuron", "immediate": "TCLIFNeuron"}
TO_ZERO = SUBTRACTS | {"zero": "LIFNeuron"}

KINDS: tuple[Kind, ...] = (
    Kind(name="tclif", module=TCLIF, section="TCLIFSection", logits=("c1", "c2"), integers=SUBTRACTS),
    Kind(
        name="relaxed",
        module=RelaxedTCLIF,
        section="RelaxedSection",
        logits=("raw_a1", "raw_a2"),
        values=("b1", "b2"),
        integers=SUBTRACTS,
    ),
    Kind(
        name="adaptive",
        module=AdaptiveTCLIF,
        section="AdaptiveSection",
        logits=("raw_a1", "raw_a2"),
        values=("b1", "b2"),
        integers=SUBTRACTS,
    ),
    Kind(
        name="generalized",
        module=GeneralizedTCLIF,
        section="GeneralizedSection",
        logits=("raw_a1", "raw_a2"),
        values=("b1", "b2", "fixed_a1", "fixed_a2"),
        integers=SUBTRACTS,
    ),
    Kind(
        name="lif",
        module=LIF,
        section="LIFSection",
        logits=("raw_beta",),
        values=("fixed_beta",),
        integers=TO_ZERO,
    ),
    Kind(
        name="cubalif",
        module=CUBALIF,
        section="CUBALIFSection",
        logits=("raw_alpha", "raw_beta"),
        values=("fixed_alpha", "fixed_beta"),
        integers=TO_ZERO,
    ),
    Kind(name="liquid", module=LiquidLIF, section="LiquidSection", eprop=False),
)


# A class of the user's that only says what its `coefficients` are: those are rounded, and no more need be known.
OWN = Kind(name="", module=TwoCompartment, section="CustomSection", integers=SUBTRACTS)


def kind_of(module: nn.Module) -> Kind | None:
    """The kind whose equations `module` computes, that of the nearest class; None of another module."""
    for base in type(module).__mro__:
        for kind in (*KINDS, OWN):
            if kind.module is base and computes(module, base):
                return kind
    return None
