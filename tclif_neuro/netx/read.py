"""The content of a .net file as a network."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Literal, cast

from tclif_neuro.files import StrPath
from tclif_neuro.lavadl import why_not_stock
from tclif_neuro.network import InputCoding, Layer, QuantizedNetwork, check_range
from tclif_neuro.netx import format as names
from tclif_neuro.netx.container import Attributes, unpack
from tclif_neuro.netx.files import read_bytes
from tclif_neuro.netx.format import Datasets, NetFileError, check_texts, digest
from tclif_neuro.netx.read_lavadl import decode_stock
from tclif_neuro.netx.read_layer import read_layer
from tclif_neuro.netx.section import Section, connected, fields_named, numbered

# The hub's names of fields -> the file's.
INPUT = {"input bits": "inputBits", "input scale": "inputScale", "input": "inputSigned"}


@dataclass(frozen=True, kw_only=True)
class NetFile:
    """The contents of a file: its format and version (`STOCK_FORMAT` and 0 if lava-dl wrote it), and the network."""

    format: str
    version: int
    net: QuantizedNetwork


def load(path: StrPath) -> QuantizedNetwork:
    """Read the .net file `path`: ours, or one with dense CUBA layers that lava-dl wrote.

    A file that lava-dl wrote says nothing of input coding and classes: binary spikes are assumed, and a last layer that
    never spikes is the readout. Raises `NetFileError` naming the file and the first thing in it that is wrong.
    """
    return load_file(path).net


def load_file(path: StrPath) -> NetFile:
    """`load`, with the file's format and version."""
    try:
        return from_bytes(read_bytes(path))
    except NetFileError as error:
        raise NetFileError(f"{os.fspath(path)}: {error}") from error


def from_bytes(data: bytes) -> NetFile:
    """The network in the bytes of a .net file. Raises `NetFileError` naming the path of what is wrong."""
    attributes, members, datasets = unpack(data, ("tclif", "layer"))
    if "node" in members and "layer" not in members:
        raise NetFileError("is a NIR file (it holds a graph, `node`); a .net file, with layers, is expected")
    if "format" not in attributes and "tclif" not in members:
        return NetFile(format=names.STOCK_FORMAT, version=0, net=decode_stock(datasets))
    _check_attribute(attributes, "format", names.FORMAT.encode())
    _check_attribute(attributes, "version", names.VERSION)
    for name in sorted(set(members) - {"tclif", "layer"}):
        raise NetFileError(f"{name}: is unknown; was the file written by a newer version?")
    net = decode(datasets)
    if attributes.get(names.DIGEST) != digest(datasets).encode():
        raise NetFileError("the content does not match its digest: the file was damaged or edited")
    return NetFile(format=names.FORMAT, version=names.VERSION, net=net)


def _check_attribute(attributes: Attributes, name: str, expected: bytes | int) -> None:
    found = attributes.get(name)
    if found != expected:
        raise NetFileError(f"attribute {name}: {found!r}, but this program reads {expected!r}")


def decode(datasets: Datasets) -> QuantizedNetwork:
    """The network that `write.encode` made these datasets of."""
    common = Section(datasets, "tclif")
    with fields_named("tclif", INPUT):
        coding = InputCoding(
            bits=cast(Literal[0, 8], common.scalar("inputBits")),
            scale=common.scalar("inputScale", "f"),
            signed=common.scalar("inputSigned", "b"),
        )
        steps = common.scalar("steps")
        check_range("steps", steps, 0, 2**31 - 1)
    classes, recipe = _json(common, "classes"), _json(common, "recipe")
    if not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        raise common.fail("classes", "a JSON list of texts expected")
    if not isinstance(recipe, str):
        raise common.fail("recipe", "a JSON text expected")
    check_texts(classes, recipe)
    common.finish()
    first, *sections = numbered(datasets)
    layers = _layers(_inputs(first), sections, coding)
    if classes and len(classes) != layers[-1].size:
        raise common.fail("classes", f"{len(classes)} names for {layers[-1].size} outputs")
    return connected(layers, sections, input=coding, steps=steps, classes=tuple(classes), recipe=recipe)


def _json(section: Section, name: str) -> Any:
    """The value of the JSON text `name`."""
    try:
        return json.loads(section.text(name))
    except (ValueError, RecursionError) as error:
        raise section.fail(name, "is not JSON") from error


def _inputs(section: Section) -> int:
    """The number of inputs."""
    if (kind := section.text("type")) != names.INPUT:
        raise section.fail("type", f"{kind!r}, but layer 0 is the input")
    shape = section.array("shape", 1).tolist()
    if len(shape) != 1 or shape[0] < 1:
        raise section.fail("shape", f"one positive number expected, got {shape}")
    section.finish()
    return int(shape[0])


def _layers(inputs: int, sections: list[Section], coding: InputCoding) -> list[Layer]:
    """The layers in their order, each checked to fit the one before; the first has `inputs`."""
    layers: list[Layer] = []
    for section in sections:
        layer = read_layer(section)
        if layer.inputs != inputs:
            raise section.fail("weight", f"has {layer.inputs} columns, but there are {inputs} inputs")
        why = why_not_stock(layer, None if layers else coding)
        if section.text("neuron/type") == names.CUBA and why:
            raise section.fail("neuron/type", f"{names.CUBA}, but {why}")
        layers.append(layer)
        inputs = layer.size
    if not layers:
        raise NetFileError("layer: has no layer of neurons")
    return layers
