"""A network as the content of a .net file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from tclif_neuro.files import StrPath
from tclif_neuro.lavadl import stock_bias, stock_weights, why_not_stock
from tclif_neuro.network import FormatError, Layer, LIFNeuron, Neuron, QuantizedNetwork, TCLIFNeuron, check_range
from tclif_neuro.netx import format as names
from tclif_neuro.netx.container import pack
from tclif_neuro.netx.files import write_bytes
from tclif_neuro.netx.format import Datasets, NetFileError, check_texts, digest


def save(net: QuantizedNetwork, path: StrPath) -> None:
    """Write `net` to the .net file `path`, atomically: after an error the old file is unchanged.

    The same network gives the same bytes. Raises `NetFileError` if the file cannot be written.
    """
    try:
        write_bytes(path, to_bytes(net))
    except NetFileError as error:
        raise NetFileError(f"{os.fspath(path)}: {error}") from error


def to_bytes(net: QuantizedNetwork) -> bytes:
    """The .net file of `net`."""
    datasets = encode(net)
    attributes = {
        "format": np.bytes_(names.FORMAT),
        "version": np.int64(names.VERSION),
        names.DIGEST: np.bytes_(digest(datasets)),
    }
    return pack(attributes, datasets)


def encode(net: QuantizedNetwork) -> Datasets:
    """`net` as datasets, those of `format`'s documentation. Raises `NetFileError` if they cannot hold it."""
    check_texts(net.classes, net.recipe)
    content: dict[str, Any] = {
        "tclif/inputBits": net.input.bits,
        "tclif/inputScale": float(net.input.scale),
        "tclif/inputSigned": bool(net.input.signed),
        "tclif/steps": net.steps,
        "tclif/classes": json.dumps(net.classes),
        "tclif/recipe": json.dumps(net.recipe),
        "layer/0/type": [names.INPUT],
        "layer/0/shape": [net.inputs],
    }
    for i, layer in enumerate(net.layers, start=1):
        stock = not why_not_stock(layer, net.input if i == 1 else None)
        fields = _layer(layer, stock, f"layer/{i}") | _neuron(layer.neuron, stock)
        content |= {f"layer/{i}/{name}": value for name, value in fields.items()}
    return {name: _array(value) for name, value in content.items()}


def _layer(layer: Layer, stock: bool, path: str) -> dict[str, Any]:
    """The datasets of one layer, but its neurons'."""
    try:
        check_range("scaleBits", layer.scale_bits, *names.SCALE_BITS)
    except FormatError as error:
        raise NetFileError(f"{path}/{error}") from error
    rec = layer.recurrent
    fields = {
        "type": [names.DENSE if rec is None else names.RECURRENT],
        "shape": [layer.size],
        "weight": layer.synapses.weight,
        "bias": layer.bias_mant,
        "weightExp": layer.synapses.exponent,
        "biasExp": layer.bias_exp,
        "scaleBits": layer.scale_bits,
        "readout": bool(layer.readout),
    }
    if rec is not None:
        fields |= {"weight_rec": rec.weight, "weightRecExp": rec.exponent}
    if stock:
        plain = dict(zip(("weight", "weight_rec"), stock_weights(layer) or (), strict=False))
        fields |= {name: np.asarray(x, np.int16) for name, x in (plain | {"bias": stock_bias(layer)}).items()}
    return fields


def _neuron(neuron: Neuron, stock: bool) -> dict[str, Any]:
    """The datasets of a layer's neurons."""
    fields = _FIELDS[type(neuron)](neuron)
    fields["type"] = names.neuron_type(neuron, stock)
    return {f"neuron/{name}": value for name, value in fields.items()}


def _tclif(neuron: TCLIFNeuron) -> dict[str, Any]:
    schedule = slice(None) if neuron.adaptive else 0
    return {
        "alpha1": neuron.a1[schedule],
        "alpha2": neuron.a2[schedule],
        "beta1": neuron.b1,
        "beta2": neuron.b2,
        "vThMant": neuron.vth_mant,
        "gammaMant": neuron.gamma_mant,
        "reset": neuron.reset,
    }


def _lif(neuron: LIFNeuron) -> dict[str, Any]:
    return {
        "iDecay": neuron.i_decay,
        "vDecay": neuron.v_decay,
        "vThMant": neuron.vth_mant,
        "refDelay": 1,
        "gradedSpike": False,
    }


_FIELDS: dict[type, Callable[[Any], dict[str, Any]]] = {TCLIFNeuron: _tclif, LIFNeuron: _lif}


def _array(value: Any) -> Any:
    """The array to be stored: of a number, a text or a list of one; texts are ASCII."""
    array = np.asarray(value)
    return array.astype(bytes) if array.dtype.kind == "U" else array
