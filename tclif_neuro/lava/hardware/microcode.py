"""A microcode model of TC-LIF that a member of Intel's INRC wrote: looked at before it is run.

We have none, and claim none. What it must be is what `TCLIF` says: ports `a_in` and `s_out`, its Vars, and the
arithmetic of docs/integers.md, which the conformance vectors `tclif-...` ask for.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from lava.magma.core.resources import Loihi2NeuroCore, NeuroCore

from tclif_neuro.lava.guarding.guard import ActorFailure
from tclif_neuro.lava.processes.tclif import TCLIF

PORTS = ("a_in", "s_out")
VARS = ("dendrite", "soma", "fired", "a1", "a2", "b1", "b2", "vth_mant", "gamma_mant", "bias_mant", "bias_exp")


def load_ncmodel(name: str) -> type[Any]:
    """The class "package.module:Class". Raises `ActorFailure` with a line per thing that it lacks."""
    module, _, attribute = name.partition(":")
    try:
        model = getattr(importlib.import_module(module), attribute, None)
    except ImportError as error:
        raise ActorFailure(f"--ncmodel {name}: {error}") from error
    faults = [f"--ncmodel {name}: {fault}" for fault in faults_of(model)]
    if faults:
        raise ActorFailure("\n".join(faults))
    assert isinstance(model, type)
    return model


def faults_of(model: Any) -> Iterator[str]:
    """Yield what keeps `model` from being a microcode model of `TCLIF`, one thing at a time."""
    if not isinstance(model, type):
        yield "is no class"
        return
    if not any(base.__name__ == "AbstractNcProcessModel" for base in model.__mro__[1:]):
        yield "is no subclass of Lava's AbstractNcProcessModel"
    if getattr(model, "implements_process", None) is not TCLIF:
        yield "does not implement tclif_neuro.lava.processes.TCLIF (@implements(proc=TCLIF, protocol=LoihiProtocol))"
    if not {Loihi2NeuroCore, NeuroCore} & set(getattr(model, "required_resources", ())):
        yield "does not require a core (@requires(Loihi2NeuroCore))"
    for name in PORTS:
        if not hasattr(model, name):
            yield f"lacks the port {name}"
    for name in VARS:
        if not hasattr(model, name):
            yield f"lacks the Var {name}"
