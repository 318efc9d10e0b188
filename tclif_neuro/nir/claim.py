"""The metadata written beside a layer's nodes so that it comes back as it was; read as a claim, not as the truth.

NIR forbids to rely on metadata. The nodes decide: a claim is believed if the neurons that it describes, composed
again, are the nodes in the file, number by number. Otherwise the neurons are read from the nodes alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

import numpy as np
import torch

from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.kinds import KINDS
from tclif_neuro.neurons.layer import TwoCompartment
from tclif_neuro.neurons.modules import LIF, Readout
from tclif_neuro.nir.compose import compose
from tclif_neuro.nir.graph import NIRError, Node

Neurons = TwoCompartment | LIF | Readout


TYPES: dict[str, type] = {"reset": str, "vth": float, "gamma": float, "decay": float, "lattice": bool}
CLASSES: dict[str, Any] = {**{kind.module.__name__: kind.module for kind in KINDS}, "Readout": Readout}


def _takes(kind: str, argument: str) -> bool:
    """Tell whether the neurons of that name are made with `argument`."""
    return argument in signature(CLASSES[kind]).parameters


# Of each kind: the tensors that are its state, [1] or [N], a decay's learnt or fixed; and its constants.
TENSORS = {kind.module.__name__: (*kind.logits, *kind.values) for kind in KINDS}
CONSTANTS = {name: tuple(said for said in TYPES if _takes(name, said)) for name in CLASSES}


def claim_of(neuron: Neurons, dt: float, dtype: str) -> dict[str, Any]:
    """Return a layer's claim: its kind, constants and tensors; `dtype` is the model's, `read` when a readout is.

    A neuron of the user's own that is of no kind has no claim but those: it is read from its nodes.
    """
    kind = next((base.__name__ for base in type(neuron).__mro__ if base in CLASSES.values()), None)
    if kind is None:
        return {"dt": dt, "dtype": dtype}
    said: dict[str, Any] = {"kind": kind, "dt": dt, "dtype": dtype}
    said |= {name: TYPES[name](getattr(neuron, name)) for name in CONSTANTS[kind]}
    if isinstance(neuron, Readout):
        said["read"] = "last step"
    for name in TENSORS.get(kind, ()):
        tensor = getattr(neuron, name)
        if tensor is not None:
            said[name] = tensor.detach().cpu().double().numpy()
    return said


def believed(claim: Mapping[str, Any], nodes: Mapping[str, Node], size: int, recurrent: bool, dt: float) -> Any:
    """The neurons, in float64, that `claim` describes, if composing them gives `nodes`; else None."""
    if not claim or claim.get("dt") != dt:
        return None
    try:
        neuron = _rebuilt(claim, size, recurrent)
        precision = next(iter(next(iter(nodes.values())).values.values())).dtype.type
        composed = compose(neuron, size, dt, precision)
    except (TclifError, TypeError, ValueError, OverflowError, RuntimeError, StopIteration, KeyError):
        return None
    return neuron if _same(composed.nodes, nodes) else None


def _same(ours: Mapping[str, Node], file: Mapping[str, Node]) -> bool:
    return ours.keys() == file.keys() and all(
        ours[role].kind == file[role].kind
        and all(np.array_equal(value, _get(file[role], name, value)) for name, value in ours[role].values.items())
        for role in ours
    )


def _get(node: Node, name: str, default: Any) -> Any:
    """An array of a node; a v_reset that is not there is zero, as in ours."""
    return node.values.get(name, default if name == "v_reset" else None)


def _rebuilt(claim: Mapping[str, Any], size: int, recurrent: bool) -> Neurons:
    kind = claim["kind"]
    said = {name: _plain(claim[name], TYPES[name]) for name in CONSTANTS[kind]}
    if kind == "Readout":
        return Readout(1, size, **said).double()
    tensors = {name: np.asarray(claim[name], np.float64) for name in TENSORS[kind] if name in claim}
    if not all(t.shape in ((1,), (size,)) and np.isfinite(t).all() for t in tensors.values()):
        raise NIRError("a claim's tensors have another shape")
    said |= {"recurrent": recurrent}
    shown = {
        "per_neuron": any(len(t) > 1 for t in tensors.values()),
        "learn_beta": "raw_beta" in tensors,
        "learn_decays": any(name.startswith("raw_") for name in tensors),
    }
    said |= {name: value for name, value in shown.items() if _takes(kind, name)}
    neuron: Neurons = CLASSES[kind](size, **said).double()
    return fill(neuron, tensors)


def _plain(value: Any, kind: type) -> Any:
    value = value.item() if isinstance(value, np.ndarray) and value.shape == () else value
    return kind(value)


def fill(neuron: Any, tensors: Mapping[str, Any]) -> Any:
    """`neuron` with these tensors, each [1] or [N], in its own."""
    for name, value in tensors.items():
        new = torch.as_tensor(np.array(value), dtype=torch.float64)
        old = getattr(neuron, name)
        setattr(
            neuron, name, torch.nn.Parameter(new, old.requires_grad) if isinstance(old, torch.nn.Parameter) else new
        )
    return neuron
