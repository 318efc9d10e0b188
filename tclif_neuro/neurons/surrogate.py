"""Surrogate gradients: the spike is a step function forward, and a smooth bump backward."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.constants import plain_number

SurrogateName = Literal["triangle", "arctan", "fast_sigmoid"]


@dataclass(frozen=True)
class Surrogate:
    """`S = x >= 0` with the derivative `psi(x)`, x = U - Vth.

        triangle:      psi = max(0, 1 - k |x|)            [Zhang et al. 2024, eq. 21, k = 1]
        arctan:        psi = 1 / (1 + (pi k x)^2)         [Eshraghian et al. 2023]
        fast_sigmoid:  psi = 1 / (1 + k |x|)^2            [Eshraghian et al. 2023]

    name: which one; k: its slope, positive. All have psi(0) = 1. The arctan is snnTorch's (its alpha is 2k); the
    survey has it times 1 / pi. snnTorch's fast sigmoid has k = 25 by default, here 1: psi(0.2) is 0.028 there and 0.69
    here, so set k when a recipe moves over. Raises `TclifError` on anything else.
    """

    name: SurrogateName = "triangle"
    k: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in ("triangle", "arctan", "fast_sigmoid"):
            raise TclifError(f"surrogate: {self.name!r} is none of triangle, arctan, fast_sigmoid")
        plain_number("surrogate", "slope k", self.k)
        if not (math.isfinite(self.k) and self.k > 0):
            raise TclifError(f"surrogate slope k: {self.k} is not positive")

    def psi(self, x: Tensor) -> Tensor:
        """The derivative at `x`, same shape."""
        if self.name == "triangle":
            return (1 - self.k * x.abs()).clamp(min=0)
        if self.name == "arctan":
            return 1 / (1 + (math.pi * self.k * x) ** 2)
        return 1 / (1 + self.k * x.abs()) ** 2

    def __call__(self, x: Tensor) -> Tensor:
        """Spikes in {0, 1} where `x >= 0`, in x's dtype, with the gradient psi(x)."""
        return _Spike.apply(x, self)


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(x)
        ctx.surrogate = surrogate
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return grads[0] * ctx.surrogate.psi(x), None
