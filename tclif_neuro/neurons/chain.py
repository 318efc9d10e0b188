"""The one walk over a model: the modules that `model(x)` calls, in order, or an error that names what it cannot follow.

Export, e-prop, FPTT, checkpointing and tracing take a model apart and call its modules themselves. That is right only
where nothing else happens on the way, and this is where that is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.hooks import foreign_hooks, make_weights
from tclif_neuro.neurons.layer import SpikingLayer
from tclif_neuro.neurons.norm import BatchNorm


class Link(NamedTuple):
    """A module of a model, and its name there. One that is used twice is two links."""

    name: str
    module: nn.Module


class ModelError(TclifError, ValueError):
    """A model that cannot be taken apart. The message names the module and what to do."""


def links(model: nn.Module) -> list[Link]:
    """The modules of `model`, a (nested) `nn.Sequential`, in the order in which it calls them; weights up to date.

    Raises `ModelError`, with the module's name, for a `Sequential` with a `forward` of its own, for a layer with one
    that its `scan` does not follow, for hooks that may change what a module computes, for a lazy module without
    weights, for `nn.BatchNorm1d`, which takes the batch of [T, B, N] for channels, and for sizes that do not fit each
    other.
    """
    model = getattr(model, "_orig_mod", model)  # of torch.compile
    if not isinstance(model, nn.Sequential):
        raise ModelError(f"model: an nn.Sequential expected, got {type(model).__name__}")
    found = list(_flat(model, ""))
    for _, module in found:
        for part in module.modules():
            make_weights(part)
    _check_sizes(found)
    return found


def computes(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Return whether `module` is of `kind` and computes what `kind` does.

    A subclass with another `forward` or `__call__`, or another `scan` or `step` of a layer of neurons, does not.
    """
    return isinstance(module, kind) and all(
        getattr(type(module), name, None) is getattr(kind, name, None) and name not in vars(module)
        for name in ("__call__", "forward", "scan", "step")
    )


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """`model` in evaluation mode and without gradients; afterwards every module is in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def error(name: str, module: nn.Module, what: str) -> ModelError:
    """An error about a module."""
    return ModelError(f"module {name} ({type(module).__name__}): {what}")


def _flat(model: nn.Sequential, prefix: str) -> Iterator[Link]:
    _check(Link(prefix.rstrip(".") or "model", model))
    if not computes(model, nn.Sequential):
        raise error(prefix.rstrip(".") or "model", model, "has a forward of its own; use a plain nn.Sequential")
    for name, module in model._modules.items():  # named_children() would skip a module's second use
        assert module is not None
        if isinstance(module, nn.Sequential):
            yield from _flat(module, f"{prefix}{name}.")
        else:
            _check(Link(prefix + name, module))
            yield Link(prefix + name, module)


def _check(link: Link) -> None:
    if isinstance(link.module, LazyModuleMixin):
        raise error(*link, "is lazy and has no weights yet; call model(x) once before")
    if _scans_otherwise(link.module):
        raise error(*link, "has a forward of its own and the scan of the library, which would be run; write both")
    for part_name, part in link.module.named_modules():
        if isinstance(link.module, nn.Sequential) and part is not link.module:
            continue
        if foreign_hooks(part):
            name = f"{link.name}.{part_name}" if part_name else link.name
            raise error(name, part, "has forward hooks, which would not be called or followed; remove() them first")
    if isinstance(link.module, nn.BatchNorm1d) and not isinstance(link.module, BatchNorm):
        raise error(*link, "takes the batch of [T, B, N] for channels; use tclif_neuro.BatchNorm")


def _scans_otherwise(module: nn.Module) -> bool:
    """Return whether a user's `forward` was put over a layer of the library whose `scan` knows nothing of it."""
    above = takewhile(lambda kind: not kind.__module__.startswith("tclif_neuro."), type(module).__mro__)
    own = set(vars(module)).union(*(vars(kind) for kind in above))
    return hasattr(module, "scan") and bool(own & {"forward", "__call__"}) and "scan" not in own


def _check_sizes(found: list[Link]) -> None:
    """Each module has as many inputs as what comes before it has outputs."""
    size, before = 0, ""
    for name, module in found:
        kind = next((k for k in _SIZES if isinstance(module, k)), None)
        if kind is None:
            continue
        inputs, outputs, has = _SIZES[kind]
        if size and getattr(module, inputs) != size:
            raise error(name, module, f"{has.format(getattr(module, inputs))}, the {before} before has {size}")
        size, before = getattr(module, outputs), type(module).__name__


# What a module calls its inputs and its outputs, and how it is said.
_SIZES: dict[type[nn.Module], tuple[str, str, str]] = {
    nn.Linear: ("in_features", "out_features", "takes {} inputs"),
    SpikingLayer: ("size", "size", "has {} neurons"),
    BatchNorm: ("num_features", "num_features", "has {} features"),
}
