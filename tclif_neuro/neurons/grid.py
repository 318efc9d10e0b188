"""Weights on a grid: float32 sums of them are exact in every order, and so the same to the bit whoever adds them."""

from __future__ import annotations

import copy
import math
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.chain import links
from tclif_neuro.neurons.constants import Constants
from tclif_neuro.neurons.layer import SpikingLayer
from tclif_neuro.neurons.liquid import LiquidLIF

DIGITS = 24  # of a float32: it holds every whole number up to 2**24
FEWEST = 2  # bits of a weight: a sign, and 0 or 1

_NEUTRAL = (nn.Identity, nn.Dropout)


class GridError(TclifError, ValueError):
    """A model whose sums cannot be exact; the message names the module, the value and the limit."""


class OnGrid(Constants, nn.Module):
    """A parametrization: the nearest of `m unit`, m whole and |m| <= top, with the gradient of clipping to them.

    unit: a power of two. Ties go to even m.

    >>> OnGrid(unit=0.25, top=2)(torch.tensor([0.1, 0.2, -9.0]))
    tensor([ 0.0000,  0.2500, -0.5000])
    """

    constants: ClassVar[tuple[str, ...]] = ("unit", "top")

    def __init__(self, unit: float, top: int) -> None:
        super().__init__()
        self.unit, self.top = unit, top

    def forward(self, x: Tensor) -> Tensor:
        """The grid's value nearest to `x`, in x's type."""
        value = (x.detach() / self.unit).round().clamp(-self.top, self.top) * self.unit
        inside = x.clamp(-self.top * self.unit, self.top * self.unit)
        return value + (inside - inside.detach())

    def right_inverse(self, value: Tensor) -> Tensor:
        """The number behind a weight that is assigned: itself."""
        return value

    def passed(self, x: Tensor, grad: Tensor) -> Tensor:
        """The gradient of the number `x` behind, for `grad`, that of its value: none where it is clipped."""
        return grad * (x.abs() <= self.top * self.unit)


class Source(NamedTuple):
    """The values that enter a layer: multiples of `step`, of at most `largest`. Spikes: 1 and 1."""

    step: float
    largest: float


def on_grid(model: nn.Sequential, bits: int | None = None, *, step: float = 1.0, largest: float = 1.0) -> nn.Sequential:
    """A copy of `model` whose weights lie on a grid, on which no sum of them is ever rounded.

    Weights, bias and recurrent weights of a layer become m u, m whole and |m| <= 2^(bits-1), u a power of two such that
    the largest of them fits. A float32 holds every whole number up to 2^24, so the current

        I_i = sum_j w_ij x_j + sum_k r_ik S_k + b_i    is exact in every order if    2^(bits-1) (M X + N + 1) <= 2^24 v

    for M inputs that are multiples of v, at most X (spikes: v = X = 1), and N recurrent ones. Event-driven, dense and
    threaded, on the CPU and on a GPU (without TF32), the currents are then equal bit for bit, and so are the spikes.
    Off the grid they agree only up to the order of sums, and a spike at the threshold may come or not. In a Readout the
    current of a step is exact; the potential, which decays and adds up over time, is rounded.

    bits: the bits of a weight, with its sign; None: as many as fit in each layer (17 for 256 spikes). A weight is
    rounded by at most 2^(1-bits) of the largest. step, largest: v, a power of two, and X of the model's own input:
    1/256 and 1 for `torch.round(256 * x) / 256` of x in [0, 1]. Batch normalisation is refused; a Dropout in training
    keeps sums exact where 1 / (1 - p) is a power of two.

    The copy trains as `model` does, by every rule, with the gradient of the weight itself; what leaves the range is
    clipped, without a gradient. `quantize`, `checkpointed` and `save_nir` take it as it is.

    Raises `GridError` where a layer has more inputs, or `bits` are more, than the bound allows.

        model = tn.on_grid(model)
    """
    _check(bits, step, largest)
    found = copy.deepcopy(model)
    source, linear = Source(step, largest), None
    for name, module in links(found):
        if isinstance(module, SpikingLayer) and not isinstance(module, LiquidLIF):
            _place(name, linear, module.recurrent, source, bits)
            source, linear = Source(1.0, 1.0), None
        elif isinstance(module, nn.Linear) and linear is None:
            linear = module
        elif not isinstance(module, _NEUTRAL):
            what = "has sums of its own, which are not exact; on_grid takes Linear, layers of neurons and a Readout"
            raise GridError(f"module {name} ({type(module).__name__}): {what}")
    if linear is not None:
        _place(name, linear, None, source, bits)
    return found


def grid_of(module: nn.Module, name: str) -> OnGrid | None:
    """The grid of a module's weight, and None of a plain one; other parametrizations are not looked at."""
    if not parametrize.is_parametrized(module, name):
        return None
    assert isinstance(module.parametrizations, nn.ModuleDict)
    (*_, last) = module.parametrizations[name]
    return last if isinstance(last, OnGrid) and len(module.parametrizations[name]) == 1 else None


def behind(module: nn.Module, name: str) -> Tensor:
    """The parameter behind a weight on a grid, which optimisers move; of a plain one itself."""
    if grid_of(module, name) is None:
        weight = getattr(module, name)
    else:
        assert isinstance(module.parametrizations, nn.ModuleDict)
        weight = module.parametrizations[name].original
    assert isinstance(weight, Tensor)
    return weight


def _check(bits: int | None, step: float, largest: float) -> None:
    if bits is not None and bits < FEWEST:
        raise GridError(f"on_grid: bits {bits}; at least {FEWEST} are needed")
    if not (math.isfinite(step) and step > 0 and math.frexp(step)[0] == 0.5):
        raise GridError(f"on_grid: step {step} is not a power of two, such as 1 or 1/256")
    if not (math.isfinite(largest) and largest >= step):
        raise GridError(f"on_grid: largest {largest}: what enters is at least a step of {step}")


def _place(name: str, linear: nn.Linear | None, recurrent: nn.Linear | None, source: Source, bits: int | None) -> None:
    """Put the weights of one layer, its Linear's and its recurrent ones, on one grid."""
    terms = 0.0 if linear is None else linear.in_features * source.largest + (linear.bias is not None)
    terms += 0.0 if recurrent is None else recurrent.in_features
    matrices = [module for module in (linear, recurrent) if module is not None]
    if not matrices:
        return
    most = math.floor(math.log2(2**DIGITS * min(source.step, 1.0) / terms)) + 1
    if most < FEWEST:
        raise GridError(f"module {name}: sums of up to {terms:g} times the largest weight are exact on no grid")
    if bits is not None and bits > most:
        raise GridError(f"module {name}: weights of {bits} bits; sums of its inputs are exact up to {most} bits")
    bits = min(most, DIGITS) if bits is None else bits
    weights = [(module, key) for module in matrices for key in ("weight", "bias") if getattr(module, key) is not None]
    largest = max(_largest(name, module, key) for module, key in weights)
    unit = math.ldexp(1.0, math.frexp(largest)[1] - (bits - 1))
    for module, key in weights:
        parametrize.register_parametrization(module, key, OnGrid(unit, 2 ** (bits - 1)))


def _largest(name: str, module: nn.Linear, key: str) -> float:
    """The largest magnitude in a weight, which is looked at on the way."""
    if parametrize.is_parametrized(module, key):
        raise GridError(f"module {name}: its {key} is on a grid already, or made of others")
    weight = getattr(module, key).detach()
    if weight.dtype not in (torch.float32, torch.float64):
        raise GridError(f"module {name}: its {key} is {weight.dtype}; float32 holds the sums, float64 too")
    largest = float(weight.abs().max())
    if not math.isfinite(largest):
        raise GridError(f"module {name}: its {key} contains NaN or infinity")
    return largest
