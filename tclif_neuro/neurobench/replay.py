"""A recorded run as modules that NeuroBench can look at: each matrix is called with what it received.

NeuroBench counts what passes through the `nn.Linear` of a model, and ours compute whole sequences in one call, or are
no torch modules at all. So nothing is computed a second time here: the activity is recorded elsewhere, and replayed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tclif_neuro.network import COEFFICIENTS, Layer, QuantizedNetwork, Synapses
from tclif_neuro.neurons.modules import LIF, Readout
from tclif_neuro.quantization.stages import parse


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A layer as it is kept in memory.

    weight: [N, M]; recurrent: [N, N] or None. held: all else that it needs, by name. spiking: whether it can spike.
    states: how many numbers a neuron updates per step.
    """

    weight: Tensor
    recurrent: Tensor | None
    spiking: bool
    states: int
    held: dict[str, Tensor] = field(default_factory=dict)


class Matrix(nn.Linear):
    """A matrix of numbers of any type, which adds in float32 and hands on float64.

    Counts of nonzero products are sums of ones, exact per neuron; NeuroBench adds them up in float64, exact too.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight.shape[1], weight.shape[0], bias=False, device="meta")
        self.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, input: Tensor) -> Tensor:
        """`weight input`, [rows, N]."""
        return nn.functional.linear(input.float(), self.weight.float()).double()


class Spikes(nn.Module):
    """A layer's spikes, passed through; and all that the layer keeps besides its matrices."""

    def __init__(self, held: dict[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in held.items():
            self.register_buffer(name, tensor)

    def forward(self, spikes: Tensor) -> Tensor:
        """The same."""
        return spikes


class Kept(Spikes):
    """The parameters of a readout besides its matrix; it has no spikes that would count as activations."""


class Replay(nn.Module):
    """The modules of a network: per layer a `Matrix`, if it is recurrent another, and its `Spikes`."""

    def __init__(self, parts: Iterable[Part]) -> None:
        super().__init__()
        self.states: list[int] = []
        self.layers = nn.ModuleList()
        for part in parts:
            named: dict[str, nn.Module] = {"weight": Matrix(part.weight)}
            if part.recurrent is not None:
                named["recurrent"] = Matrix(part.recurrent)
            named["spikes"] = (Spikes if part.spiking else Kept)(part.held)
            self.layers.append(nn.ModuleDict(named))
            self.states.append(part.states * len(part.weight))

    def forward(self, inputs: Tensor, spikes: Iterable[Tensor], lengths: Tensor) -> None:
        """Call each module with what it received in a run: inputs [T, B, M], each layer's spikes [T, B, N].

        Padding, after the `lengths` [B] of the samples, is not replayed: the modules get rows [steps of all samples, .]
        """
        own = torch.arange(len(inputs))[:, None] < lengths
        for layer, fired in zip(self.layers, spikes, strict=True):
            assert isinstance(layer, nn.ModuleDict)
            layer["weight"](inputs[own])
            if "recurrent" in layer:
                layer["recurrent"](torch.cat([torch.zeros_like(fired[:1]), fired[:-1]])[own])
            layer["spikes"](fired[own])
            inputs = fired


def integer_parts(net: QuantizedNetwork) -> Iterator[Part]:
    """The layers of a network of integers: weights of 8 bits, biases and coefficients of 16, thresholds of 32."""
    for layer in net.layers:
        yield Part(
            weight=_stored(layer.synapses),
            recurrent=None if layer.recurrent is None else _stored(layer.recurrent),
            spiking=not layer.readout,
            states=_states(layer),
            held={"bias": torch.from_numpy(layer.bias_mant.copy()), **_coefficients(layer)},
        )


def float_parts(model: nn.Module) -> Iterator[Part]:
    """The layers of a float model, in the float32 that it computes in.

    Raises `ConversionError` if it is none that could become integers.
    """
    for stage in parse(model):
        neuron = stage.neuron
        readout = isinstance(neuron, Readout)
        kept = () if readout else (*neuron.named_parameters(), *neuron.named_buffers())
        others = {name.replace(".", "_"): tensor.float() for name, tensor in kept if name != "recurrent.weight"}
        yield Part(
            weight=stage.weight.float(),
            recurrent=None if stage.recurrent is None else stage.recurrent.float(),
            spiking=not readout,
            states=1 if readout or type(neuron) is LIF else 2,
            held={"bias": stage.bias.float(), **others},
        )


def _stored(synapses: Synapses) -> Tensor:
    """The mantissas in a byte each: those of both signs are even, and lose their last bit; others have one sign."""
    weight = torch.from_numpy(synapses.weight.copy())
    mixed = bool((weight > 0).any() and (weight < 0).any())
    return (weight >> 1).to(torch.int8) if mixed else weight.abs().to(torch.uint8)


def _coefficients(layer: Layer) -> dict[str, Tensor]:
    """The decays and couplings of a neuron: four of two compartments, two of a LIF, whose couplings are fixed."""
    neuron, two = layer.neuron, layer.neuron.two_compartment
    names = COEFFICIENTS if two else COEFFICIENTS[:2]
    held = {name: torch.tensor(getattr(neuron, name), dtype=torch.int16) for name in names}
    return {**held, "thresholds": torch.tensor([neuron.vth, neuron.gamma][: 1 + two], dtype=torch.int32)}


def _states(layer: Layer) -> int:
    """Two compartments; a LIF's potential, and its current where that has a memory."""
    return 2 if layer.neuron.two_compartment or layer.neuron.a1.any() else 1
