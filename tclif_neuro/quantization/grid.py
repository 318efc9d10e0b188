"""Grids: the numbers that an integer mantissa with a fixed exponent can hold, and the rounding to them.

Conversion rounds to a grid once; quantization-aware training rounds to the same one at every step. All in float64, so
that both come to the same integer whatever the precision of the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tclif_neuro.network import BIAS_MANT, DECAY_ONE


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The integers low, low + step, ..., high; the integer m stands for the float `m unit`.

    exponent: the shift that the format applies to m; it is part of `unit` already.
    """

    unit: float
    low: int
    high: int
    step: int = 1
    exponent: int = 0

    def mantissas(self, x: Tensor) -> Tensor:
        """The nearest mantissas of `x` (ties to even), clipped to the range: whole numbers in float64, same shape."""
        return (torch.round(x.double() / (self.unit * self.step)) * self.step).clamp(self.low, self.high)

    def integers(self, x: Tensor) -> npt.NDArray[Any]:
        """`mantissas` as int64."""
        return self.mantissas(x.detach()).numpy().astype(np.int64)

    def values(self, x: Tensor) -> Tensor:
        """The grid's value nearest to `x`, float64."""
        return self.mantissas(x) * self.unit

    def clipped(self, x: Tensor) -> Tensor:
        """Return a mask of the values of `x` that lie beyond the range by more than half a step."""
        return (self.values(x) - x.double()).abs() > self.unit * self.step * 0.5000001


def weight_grid(low: float, high: float, bits: int, unit: float, exponent: int) -> Grid:
    """The grid of a matrix with weights in [low, high]: of both signs, non-negative or non-positive.

    With both signs, sign and magnitude share the bits: even numbers in [-254, 254] for 8 bits. (The chip's -256 is left
    out: it is valid only where a positive weight stands beside it.) With one sign: [0, 255] or [-255, 0]. Fewer bits:
    the same range in coarser steps.
    """
    mixed = low < 0 < high or low == high == 0
    step = 2 ** (9 - bits) if mixed else 2 ** (8 - bits)
    top = (2 ** (bits - 1) - 1) * step if mixed else (2**bits - 1) * step
    return Grid(
        unit=unit,
        low=-top if mixed or low < 0 else 0,
        high=top if mixed or high > 0 else 0,
        step=step,
        exponent=exponent,
    )


def bias_grid(unit: float, exponent: int) -> Grid:
    """The grid of a bias: 13-bit mantissas."""
    return Grid(unit=unit, low=BIAS_MANT[0], high=BIAS_MANT[1], exponent=exponent)


DECAYS = Grid(unit=1 / DECAY_ONE, low=-DECAY_ONE, high=DECAY_ONE)  # decays and couplings: 12 fractional bits
