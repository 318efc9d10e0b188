"""Quantization-aware training: a model whose parameters are, at every step, the integers it will be converted to.

    model = prepare_qat(model, calibration=x, weight_bits=4)
    ...train it like any other model...
    net = quantize(model, calibration=x)         # loses nothing in weights, biases, thresholds and decays

Forward, a parameter is its nearest grid value; backward, the rounding is skipped (straight-through), and what is
clipped has no gradient. The optimiser moves the float numbers behind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tclif_neuro.network import ACT_SHIFT, DECAY_ONE, InputCoding
from tclif_neuro.neurons.kinds import kind_of
from tclif_neuro.neurons.layer import SpikingLayer, TwoCompartment
from tclif_neuro.neurons.modules import Readout
from tclif_neuro.neurons.trace import trace
from tclif_neuro.quantization.grid import DECAYS, Grid
from tclif_neuro.quantization.mapping import threshold_mantissa
from tclif_neuro.quantization.plan import Plan, check_calibration, make_plan
from tclif_neuro.quantization.scales import LayerPlan, Options
from tclif_neuro.quantization.stages import canonical, parse


class QATModel(nn.Sequential):
    """A flat Sequential of Linear, neurons and Readout that trains on the grids of `plan`; see `prepare_qat`."""

    def __init__(self, modules: Sequence[nn.Module], plan: Plan) -> None:
        super().__init__(*modules)
        self.plan = plan


def prepare_qat(
    model: nn.Module,
    calibration: Tensor,
    *,
    lengths: Tensor | None = None,
    input_coding: InputCoding | None = None,
    stock: bool = False,
    weight_bits: int = 8,
) -> QATModel:
    """A copy of `model`, on its device, that trains on the grids which `quantize` would choose now; options: see there.

    Batch normalisation is folded and dropout dropped. Scales and exponents stay fixed from here on: when training
    makes the states grow, `report` shows the saturations. Not rounded: the input, the rows of an Adaptive layer's
    schedule (its minima are), and the integer products.
    """
    options = Options(input_coding=input_coding, stock=stock, weight_bits=weight_bits)
    stages = parse(model)
    x = check_calibration(stages, calibration, lengths)
    plan = make_plan(stages, x, options, traces=trace(canonical(stages), x, lengths))
    like = next(model.parameters())
    modules = list(canonical(stages, like.dtype).to(like.device))
    qat = QATModel(modules, plan)
    linears = [m for m in modules if isinstance(m, nn.Linear)]  # a Readout is its own Linear
    neurons = [m for m in modules if isinstance(m, SpikingLayer | Readout)]
    for linear, neuron, layer in zip(linears, neurons, plan.layers, strict=True):
        _round_weights(linear, neuron, layer)
        _round_neuron(neuron, layer.scale_bits)
    return qat.train(model.training)


def finish_qat(model: QATModel) -> nn.Sequential:
    """A plain copy of a prepared model, on its device, its parameters the grid values themselves."""
    like = next(model.parameters())
    return canonical(parse(model), like.dtype).to(like.device)


class RoundToGrid(nn.Module):
    """A parametrization: the nearest value of `grid`, with the gradient of clipping to it."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, x: Tensor) -> Tensor:
        """The grid's value nearest to `x`, in x's dtype."""
        value = self.grid.values(x.detach()).to(x.dtype)
        inside = x.clamp(self.grid.low * self.grid.unit, self.grid.high * self.grid.unit)
        return value + (inside - inside.detach())


class RoundDecay(nn.Module):
    """A parametrization of a decay's logit: its sigmoid is a whole number of 4096ths, in [1, 4095]."""

    def forward(self, logit: Tensor) -> Tensor:
        """The logit of the nearest representable decay, with gradient 1."""
        decay = DECAYS.values(torch.sigmoid(logit.detach().double())).clamp(1 / DECAY_ONE, 1 - 1 / DECAY_ONE)
        return torch.logit(decay).to(logit.dtype) + (logit - logit.detach())


def _round_weights(linear: nn.Linear, neuron: nn.Module, plan: LayerPlan) -> None:
    parametrize.register_parametrization(linear, "weight", RoundToGrid(plan.weight))
    parametrize.register_parametrization(linear, "bias", RoundToGrid(plan.bias))
    if plan.recurrent is not None:
        assert isinstance(neuron, SpikingLayer) and neuron.recurrent is not None
        parametrize.register_parametrization(neuron.recurrent, "weight", RoundToGrid(plan.recurrent))


def _round_neuron(neuron: nn.Module, scale_bits: int) -> None:
    """Round what the neuron learns at every step, and its constants once."""
    kind = kind_of(neuron)
    for name in kind.logits if kind else ():
        if getattr(neuron, name) is not None:
            parametrize.register_parametrization(neuron, name, RoundDecay())
    if isinstance(neuron, Readout):
        neuron.decay = float(DECAYS.values(torch.tensor(neuron.decay)))
    for name in kind.values if kind else ():
        value = getattr(neuron, name)
        if isinstance(value, nn.Parameter):
            parametrize.register_parametrization(neuron, name, RoundToGrid(DECAYS))
        elif value is not None:
            value.copy_(DECAYS.values(value))
    if isinstance(neuron, SpikingLayer):
        neuron.vth = _rounded(neuron.vth, scale_bits, 1)
    if isinstance(neuron, TwoCompartment):
        neuron.gamma = _rounded(neuron.gamma, scale_bits, 0)


def _rounded(value: float, scale_bits: int, low: int) -> float:
    return math.ldexp(max(low, threshold_mantissa(value, scale_bits)), ACT_SHIFT - scale_bits)
