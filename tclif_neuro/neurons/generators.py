"""The generators that a layer such as Dropout draws from: torch's default one, and that of the device where it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

# The name of a state among several: the CPU's generator, which everything can draw from, and the device's own.
DEFAULT, DEVICE = "torch", "device"


def states(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's default generator, and of that of `device` if it has another; tensors on the CPU."""
    found = {DEFAULT: torch.get_rng_state()}
    own = _own(device)
    if own is None:
        return found
    return found | {DEVICE: own.get_rng_state() if device.type == "mps" else own.get_rng_state(device)}


def restore(device: torch.device, kept: dict[str, Tensor]) -> None:
    """Set the generators to what `states` found; that of `device` stays as it is if `kept` has none.

    Raises `KeyError`, `TypeError` or `RuntimeError` on a state that is none.
    """
    torch.set_rng_state(kept[DEFAULT])
    own = _own(device)
    if own is None or DEVICE not in kept:
        return
    if device.type == "mps":
        own.set_rng_state(kept[DEVICE])
    else:
        own.set_rng_state(kept[DEVICE], device)


@contextmanager
def forked(device: torch.device) -> Iterator[None]:
    """Undo, when the block is left, what it drew from the generators of the CPU and of `device`."""
    before = states(device)
    try:
        yield
    finally:
        restore(device, before)


def _own(device: torch.device) -> Any:
    """The module of torch with the generator of `device`; None of the CPU, and of a device without one."""
    module = None if device.type == "cpu" else getattr(torch, device.type, None)
    return module if hasattr(module, "get_rng_state") else None
