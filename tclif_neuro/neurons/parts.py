"""The coefficients of a layer, learnt or fixed: decays, which are sigmoids of what is learnt, and couplings."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.constants import plain_number


def logit(p: float, name: str) -> float:
    """The number whose sigmoid is `p`. Raises `TclifError`, which calls it `name`, outside (0, 1)."""
    if not 0 < p < 1:
        raise TclifError(f"{name}: {p} is outside (0, 1)")
    return math.log(p / (1 - p))


def add_decay(module: nn.Module, name: str, value: float, n: int, learn: bool) -> None:
    """Give `module` the decay `name`, [n]: the parameter `raw_NAME`, its logit, or else the buffer `fixed_NAME`.

    Raises `TclifError` on a decay outside [0, 1], or (0, 1) if it is learnt.
    """
    owner = type(module).__name__
    plain_number(owner, name, value)
    if not 0 <= value <= 1:
        raise TclifError(f"{owner}: {name} {value} is outside [0, 1]")
    if learn and value in (0, 1):
        raise TclifError(f"{owner}: {name} = {value} cannot be learnt; it must be inside (0, 1)")
    raw = nn.Parameter(torch.full((n,), logit(value, name))) if learn else None
    module.register_parameter(f"raw_{name}", raw)
    module.register_buffer(f"fixed_{name}", None if learn else torch.full((n,), float(value)))


def decay(module: nn.Module, name: str) -> Tensor:
    """The decay `name` of `module`, [n]."""
    raw: Tensor | None = getattr(module, f"raw_{name}")
    fixed: Tensor = getattr(module, f"fixed_{name}")
    return fixed if raw is None else squashed(raw)


def squashed(logit: Tensor) -> Tensor:
    """`sigmoid(logit)`, taken in float64 and rounded once: so it is the same number on every device that has float64.

    The last bit of a float32 sigmoid is that of the library which computes it.
    """
    return torch.sigmoid(logit.to(widest(logit))).to(logit.dtype)


def widest(like: Tensor) -> torch.dtype:
    """The type for what is to be exact on the device of `like`: float64, which MPS does not have."""
    return torch.float32 if like.device.type == "mps" else torch.float64


def add_coupling(module: nn.Module, name: str, value: float, n: int, learn: bool) -> None:
    """Give `module` the coupling `name`: the parameter [n] of that name, or else the buffer [1]."""
    plain_number(type(module).__name__, name, value)
    if learn:
        module.register_parameter(name, nn.Parameter(torch.full((n,), float(value))))
    else:
        module.register_buffer(name, torch.tensor([float(value)]))


def held(coupling: Tensor, low: float, high: float) -> Tensor:
    """`coupling` clipped to [low, high], with the gradient of `coupling` itself (straight-through).

    A parameter that has left its range so comes back as soon as its gradient asks for it.

    >>> held(torch.tensor([-0.5, 1.5]), -1, 1)
    tensor([-0.5000,  1.0000])
    """
    return coupling.detach().clamp(low, high) + (coupling - coupling.detach())
