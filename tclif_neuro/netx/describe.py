"""The contents of a .net file or a network, as numbers to be printed: made for `tclif inspect`."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.files import StrPath
from tclif_neuro.lavadl import why_not_stock
from tclif_neuro.network import (
    DECAY_ONE,
    InputCoding,
    Layer,
    LIFNeuron,
    Neuron,
    QuantizedNetwork,
    Synapses,
)
from tclif_neuro.netx import format as names
from tclif_neuro.netx.read import NetFile, load_file

WEIGHT_BYTES = 1  # 8 bits
NEURON_BYTES = 2 * 3 + 2  # two states of 24 bits, a bias of 13
COEFFICIENT_BYTES = 2  # 13 bits


@dataclass(frozen=True, kw_only=True)
class SynapsesSummary:
    """Synapses with weights `mantissa 2^exponent`.

    count: zeros included. low, high: of the mantissas. sparsity: the fraction of zeros.
    """

    count: int
    low: int
    high: int
    exponent: int
    sparsity: float


@dataclass(frozen=True, kw_only=True)
class CoefficientSummary:
    """A coefficient: its smallest and largest value as integer and as decimal, and the shape of its table."""

    name: str
    low: int
    high: int
    low_decimal: float
    high_decimal: float
    steps: int
    neurons: int


@dataclass(frozen=True, kw_only=True)
class LayerSummary:
    """One layer.

    path: in the file. parameters: the numbers stored. memory_bytes: what they and the states take, packed.

    bias: smallest and largest, in state units. threshold, threshold_decimal: in state units, and over 2^scale_bits.
    why_not_stock: why an unmodified lava-dl cannot compute the layer, "" if it can.
    """

    path: str
    type: str
    neuron: str
    neurons: int
    inputs: int
    synapses: SynapsesSummary
    recurrent: SynapsesSummary | None
    bias: tuple[int, int]
    bias_exponent: int
    scale_bits: int
    threshold: int
    threshold_decimal: float
    gamma: int | None
    gamma_decimal: float | None
    reset: str | None
    coefficients: tuple[CoefficientSummary, ...]
    readout: bool
    parameters: int
    memory_bytes: int
    why_not_stock: str


@dataclass(frozen=True, kw_only=True)
class NetSummary:
    """A network.

    file: "" for a network in memory. steps: 0 for any. stock: whether an unmodified lava-dl computes exactly the same,
    with graded input if it is told (`Network(file, input_message_bits=input_bits)`); why_not_stock: if it cannot, why.
    """

    file: str
    format: str
    version: int
    stock: bool
    why_not_stock: str
    inputs: int
    outputs: int
    input_bits: int
    input_scale: float
    input_signed: bool
    steps: int
    classes: tuple[str, ...]
    recipe: str
    synapses: int
    parameters: int
    memory_bytes: int
    layers: tuple[LayerSummary, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain dictionaries and tuples, for JSON."""
        return asdict(self)


def describe(source: StrPath | QuantizedNetwork) -> NetSummary:
    """Summarise a .net file or a network. Raises `NetFileError` if the file cannot be read."""
    if isinstance(source, QuantizedNetwork):
        return _summary("", NetFile(format=names.FORMAT, version=names.VERSION, net=source))
    return _summary(os.fspath(source), load_file(source))


def _summary(file: str, content: NetFile) -> NetSummary:
    net = content.net
    layers = tuple(_layer(layer, i, None if i > 1 else net.input) for i, layer in enumerate(net.layers, start=1))
    reasons = [f"{layer.path}: {layer.why_not_stock}" for layer in layers if layer.why_not_stock]
    return NetSummary(
        file=file,
        format=content.format,
        version=content.version,
        stock=not reasons,
        why_not_stock="; ".join(reasons),
        inputs=net.inputs,
        outputs=net.outputs,
        input_bits=net.input.bits,
        input_scale=float(net.input.scale),
        input_signed=bool(net.input.signed),
        steps=int(net.steps),
        classes=tuple(net.classes),
        recipe=net.recipe,
        synapses=sum(_count(layer) for layer in net.layers),
        parameters=sum(layer.parameters for layer in layers),
        memory_bytes=sum(layer.memory_bytes for layer in layers),
        layers=layers,
    )


def _layer(layer: Layer, number: int, coding: InputCoding | None) -> LayerSummary:
    neuron, unit = layer.neuron, 2.0**layer.scale_bits
    two = neuron.two_compartment
    why = why_not_stock(layer, coding)
    tables = _tables(neuron)
    count, stored = _count(layer), sum(table.size for table in tables.values())
    return LayerSummary(
        path=f"layer/{number}",
        type=names.DENSE if layer.recurrent is None else names.RECURRENT,
        neuron=names.neuron_type(neuron, stock=not why),
        neurons=layer.size,
        inputs=layer.inputs,
        synapses=_synapses(layer.synapses),
        recurrent=_synapses(layer.recurrent) if layer.recurrent else None,
        bias=(int(layer.bias.min()), int(layer.bias.max())),
        bias_exponent=int(layer.bias_exp),
        scale_bits=int(layer.scale_bits),
        threshold=int(neuron.vth),
        threshold_decimal=neuron.vth / unit,
        gamma=int(neuron.gamma) if two else None,
        gamma_decimal=neuron.gamma / unit if two else None,
        reset=neuron.reset if two else None,
        coefficients=tuple(_coefficient(name, table) for name, table in tables.items()),
        readout=bool(layer.readout),
        parameters=count + layer.size + stored,
        memory_bytes=WEIGHT_BYTES * count + NEURON_BYTES * layer.size + COEFFICIENT_BYTES * stored,
        why_not_stock=why,
    )


def _count(layer: Layer) -> int:
    """The number of synapses, zeros included."""
    return int(layer.synapses.weight.size + (layer.recurrent.weight.size if layer.recurrent else 0))


def _synapses(synapses: Synapses) -> SynapsesSummary:
    weight = synapses.weight
    return SynapsesSummary(
        count=int(weight.size),
        low=int(weight.min()),
        high=int(weight.max()),
        exponent=int(synapses.exponent),
        sparsity=float(np.mean(weight == 0)),
    )


def _tables(neuron: Neuron) -> dict[str, npt.NDArray[Any]]:
    """The coefficients by the file's names, each [steps, neurons]."""
    if isinstance(neuron, LIFNeuron):
        return {"iDecay": np.array([[neuron.i_decay]]), "vDecay": np.array([[neuron.v_decay]])}
    return {"alpha1": neuron.a1, "alpha2": neuron.a2, "beta1": neuron.b1[None], "beta2": neuron.b2[None]}


def _coefficient(name: str, table: npt.NDArray[Any]) -> CoefficientSummary:
    low, high = int(table.min()), int(table.max())
    return CoefficientSummary(
        name=name,
        low=low,
        high=high,
        low_decimal=low / DECAY_ONE,
        high_decimal=high / DECAY_ONE,
        steps=len(table),
        neurons=table.shape[1],
    )
