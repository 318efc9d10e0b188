"""The model as a row of stages, each one linear map and the neurons it drives; or an error that names what is not one.

Batch normalisation is folded into its linear neighbour, dropout and identities are dropped, nested Sequentials are
flattened. All numbers are float64 copies on the CPU: the model itself is only read.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tclif_neuro.errors import TclifError
from tclif_neuro.fixed.run import numbers
from tclif_neuro.neurons import chain
from tclif_neuro.neurons.chain import ModelError, computes, evaluating, links
from tclif_neuro.neurons.hooks import plain_copy
from tclif_neuro.neurons.kinds import KINDS, kind_of
from tclif_neuro.neurons.layer import TwoCompartment
from tclif_neuro.neurons.modules import LIF, Readout
from tclif_neuro.neurons.norm import BatchNorm

NEURONS = ", ".join(kind.module.__name__ for kind in KINDS if kind.integers)


class ConversionError(TclifError, ValueError):
    """A model that cannot become a network of integers. The message names the module or parameter, and what to do."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """`I[t] = weight x[t] + bias`, and the neurons (or the readout) that `I` drives.

    name: of the neurons' module in the model. weight: [N, M], bias: [N]. neuron: a copy of the module, in evaluation
    mode.
    """

    name: str
    weight: Tensor
    bias: Tensor
    neuron: TwoCompartment | LIF | Readout

    @property
    def recurrent(self) -> Tensor | None:
        """R, [N, N], or None."""
        weight = None if isinstance(self.neuron, Readout) else self.neuron.recurrent_weight
        return None if weight is None else weight.detach()

    def error(self, what: str) -> ConversionError:
        """An error about this stage's neurons."""
        return _error(self.name, self.neuron, what)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Linear:
    name: str
    module: nn.Module
    weight: Tensor
    bias: Tensor


def _error(name: str, module: nn.Module, what: str) -> ConversionError:
    return ConversionError(str(chain.error(name, module, what)))


def parse(model: nn.Module) -> tuple[Stage, ...]:
    """The stages of `model`, a (nested) `nn.Sequential` of Linear, BatchNorm, spiking layers and a Readout.

    Raises `ConversionError` on a module that has no counterpart in integers, on an order or a size that does not fit,
    and on a parameter that is NaN or infinite, or on no device that holds numbers.
    """
    parser = _Parser()
    with evaluating(model):
        try:
            found = links(model)
        except ModelError as error:
            raise ConversionError(str(error)) from None
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point() and not on_cpu(f"parameter {name}", tensor).isfinite().all():
                raise ConversionError(f"parameter {name}: contains NaN or infinity")
        for name, module in found:
            parser.take(name, module)
    return parser.end()


def canonical(stages: Sequence[Stage], dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """The stages as a flat Sequential of copies: Linear and neurons in turn, then the Readout; in evaluation mode."""
    modules: list[nn.Module] = []
    for stage in stages:
        neuron = copy.deepcopy(stage.neuron)
        outputs, inputs = stage.weight.shape
        linear = neuron if isinstance(neuron, Readout) else nn.Linear(inputs, outputs)
        linear.weight = nn.Parameter(stage.weight.clone())
        linear.bias = nn.Parameter(stage.bias.clone())
        modules += [linear] if linear is neuron else [linear, neuron]
    return nn.Sequential(*modules).to(dtype).eval()


class _Parser:
    """Takes one module after the other; holds what waits for the next one: a Linear, or a norm of its input."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self.linear: _Linear | None = None
        self.norm: tuple[str, nn.Module, Tensor, Tensor] | None = None

    def take(self, name: str, module: nn.Module) -> None:
        if isinstance(module, nn.Identity | nn.modules.dropout._DropoutNd):
            return
        if self.stages and isinstance(self.stages[-1].neuron, Readout):
            raise _error(name, module, f"follows the readout (module {self.stages[-1].name}), which must be the last")
        if isinstance(module, BatchNorm):
            self._normalise(name, module)
        elif computes(module, Readout):
            assert isinstance(module, Readout)
            self._linear(name, module)
            self._neurons(name, module)
        elif computes(module, nn.Linear):
            assert isinstance(module, nn.Linear)
            self._linear(name, module)
        elif (kind := kind_of(module)) is not None and kind.integers:
            assert isinstance(module, TwoCompartment | LIF)
            self._neurons(name, module)
        else:
            raise _error(
                name,
                module,
                f"has no counterpart in integers; a network is made of Linear, BatchNorm, Dropout, {NEURONS}, Readout",
            )

    def end(self) -> tuple[Stage, ...]:
        left = self.linear or self.norm
        if left is not None:
            name, module = (left.name, left.module) if isinstance(left, _Linear) else left[:2]
            raise _error(name, module, "drives no neurons; end the network with a Readout or a spiking layer")
        if not self.stages:
            raise ConversionError("model: has no layer to convert")
        return tuple(self.stages)

    def _linear(self, name: str, module: nn.Linear) -> None:
        if self.linear is not None:
            raise _error(name, module, f"follows the Linear of module {self.linear.name}; put neurons between them")
        weight = _double(module.weight)
        bias = torch.zeros(len(weight), dtype=torch.float64) if module.bias is None else _double(module.bias)
        if self.norm is not None:
            _, _, scale, shift = self.norm
            weight, bias, self.norm = weight * scale, bias + weight @ shift, None
        self.linear = _Linear(name=name, module=module, weight=weight, bias=bias)

    def _normalise(self, name: str, module: BatchNorm) -> None:
        if module.running_mean is None or module.running_var is None:
            raise _error(name, module, "keeps no running statistics; use track_running_stats=True")
        scale = (_double(module.running_var) + module.eps).rsqrt()
        scale = scale if module.weight is None else scale * _double(module.weight)
        shift = -_double(module.running_mean) * scale
        shift = shift if module.bias is None else shift + _double(module.bias)
        if self.linear is None:
            if self.norm is not None:
                raise _error(name, module, f"follows the BatchNorm of module {self.norm[0]}")
            self.norm = name, module, scale, shift
            return
        weight, bias = self.linear.weight, self.linear.bias
        self.linear = _Linear(
            name=self.linear.name, module=module, weight=weight * scale[:, None], bias=bias * scale + shift
        )

    def _neurons(self, name: str, module: TwoCompartment | LIF | Readout) -> None:
        if self.linear is None:
            raise _error(name, module, "has no Linear before it; neurons are driven by a Linear")
        neuron = plain_copy(module).cpu().double().eval()
        self.stages.append(Stage(name=name, weight=self.linear.weight, bias=self.linear.bias, neuron=neuron))
        self.linear = None


def _double(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().double()  # in this order: not every device has float64


def as_input(what: str, x: Any) -> Tensor:
    """`x`, a tensor or an array of numbers; raises `TclifError` for complex numbers, text, objects, masked ones."""
    if not isinstance(x, Tensor):
        return torch.from_numpy(numbers(x, what).astype(np.float64))
    if x.is_complex():
        raise ConversionError(f"{what}: real numbers expected, got {x.dtype}")
    return x


def on_cpu(what: str, tensor: Tensor) -> Tensor:
    """`tensor` on the CPU; raises `ConversionError` if it holds no numbers, as those of torch's device "meta" do."""
    try:
        return tensor.detach().cpu()
    except NotImplementedError as error:
        raise ConversionError(f"{what}: is on {tensor.device}, which holds no numbers: {error}") from None
