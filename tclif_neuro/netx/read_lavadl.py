"""A file that lava-dl wrote (SLAYER's `export_hdf5`) as a network; what cannot be computed as lava-dl does is refused.

lava-dl stores weights and biases as floats that hold integers, has neither exponents nor readouts, and leaves out the
neuron of a non-leaky integrator. Layers other than dense ones of CUBA neurons are not supported.

An input layer may have neurons, a weight w and a bias b: then every input has a neuron of its own, driven by `w x + b`.
lava-dl leaves it to the user to set that as the neurons' bias, rounded. Here it is a layer like the others, with a
diagonal of synapses, and the input's code is `round(|w| x)` in signed 8 bits: the same integers, from the same x.

The one difference that is left: the potential of a non-leaky readout here saturates at 24 bits, in lava-dl it wraps.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from tclif_neuro.lavadl import STOCK_BIAS_EXP, Ints, why_not_exact
from tclif_neuro.network import (
    DECAY_ONE,
    MANT_MAX,
    MIXED_WEIGHT,
    InputCoding,
    Layer,
    LIFNeuron,
    QuantizedNetwork,
    Synapses,
)
from tclif_neuro.netx import format as names
from tclif_neuro.netx.format import Datasets, NetFileError
from tclif_neuro.netx.section import Section, connected, fields_named, numbered

FIELDS = {"i_decay": "neuron/iDecay", "v_decay": "neuron/vDecay", "vth_mant": "neuron/vThMant", "bias_mant": "bias"}
# The neuron that lava-dl leaves out.
INTEGRATOR = {"i_decay": 0, "v_decay": DECAY_ONE, "vth_mant": MANT_MAX + 1}
LAVA_WEIGHT = 64  # of an input layer that says none
MAX_INPUT_NEURONS = 4096  # their synapses are a matrix
PLAIN = {names.DENSE, names.RECURRENT}
DELAYS, NEURONS = "delays", "neurons other than CUBA"
# Where lava-dl or its older versions keep what we do not have: the only value that changes nothing.
NEUTRAL = {"refDelay": 1, "gradedSpike": 0, "messageBits": 0, "wgtExp": 0, "weight_exp": 0}
# For training alone.
IGNORED = ("inFeatures", "outFeatures", "neuron/scaleRho", "neuron/tauRho", "neuron/theta")


def decode_stock(datasets: Datasets) -> QuantizedNetwork:
    """The network of a stock file, with binary input. Raises `NetFileError` naming what is wrong or not supported."""
    sections = numbered(datasets)
    inputs, coding = None, InputCoding()
    layers: list[Layer] = []
    has_input = sections[0].text("type") == names.INPUT
    _check_supported(sections[has_input:])
    if has_input and any(name.startswith("neuron/") for name in sections[0].datasets):
        coding, layer = _input_neurons(sections[0])
        layers.append(layer)
        inputs = layer.size
    elif has_input:
        inputs = _input(sections.pop(0))
    for section in sections[len(layers) :]:
        layer = _layer(section, last=section is sections[-1])
        if inputs not in (None, layer.inputs):
            raise section.fail("weight", f"has {layer.inputs} columns, but there are {inputs} inputs")
        layers.append(layer)
        inputs = layer.size
    if not layers:
        raise NetFileError("layer: has no layer of neurons")
    return connected(layers, sections, input=coding)


def _input(section: Section) -> int:
    """The number of inputs."""
    inputs = prod(_integers(section, "shape").ravel().tolist())
    section.finish()
    return inputs


def _check_supported(sections: list[Section]) -> None:
    """Raise an error that lists all that is missing here: types of layers, delays, neurons; one alone may wait."""
    missing: dict[str, list[Section]] = {}
    for section in sections:
        for name in _unsupported(section):
            missing.setdefault(name, []).append(section)
    types = [name for name in missing if name not in (DELAYS, NEURONS)]
    if types or len(missing) > 1:
        listed = [f"{name} ({len(where)} layer{'s'[: len(where) > 1]})" for name, where in missing.items()]
        first = min((where[0] for where in missing.values()), key=sections.index)
        what = "dense and dense_rec layers of CUBA neurons without delays are"
        raise first.fail("type", f"not supported: {', '.join(listed)}; {what}")


def _unsupported(section: Section) -> Iterator[str]:
    """Yield each unsupported feature of a layer, in a word or two."""
    kind = section.text("type")
    if kind not in PLAIN:
        yield kind
    if "delay" in section and _integers(section, "delay").any():
        yield DELAYS
    if "neuron/type" in section and section.text("neuron/type") not in (names.CUBA, names.LOIHI):
        yield NEURONS


def _input_neurons(section: Section) -> tuple[InputCoding, Layer]:
    """The code of the input and the layer of its neurons, `w x + b` to each."""
    n = prod(_integers(section, "shape").ravel().tolist())
    if n < 1:
        raise section.fail("shape", "has no input")
    if n > MAX_INPUT_NEURONS:
        raise section.fail("shape", f"{n} input neurons; up to {MAX_INPUT_NEURONS} are supported")
    weight = _integer(section, "weight") if "weight" in section else LAVA_WEIGHT
    bias = _integer(section, "bias") if "bias" in section else 0
    if weight == 0:
        raise section.fail("weight", "0; the input would have no effect")
    neuron = LIFNeuron(**_cuba(section))
    if neuron.i_decay != DECAY_ONE:
        raise section.fail(
            FIELDS["i_decay"], f"{neuron.i_decay}; in lava-dl the input is no current, it takes {DECAY_ONE} alone"
        )
    section.ignore(*IGNORED)
    section.finish()
    with fields_named(section.path, FIELDS):
        layer = Layer(
            synapses=Synapses(weight=np.diag(np.full(n, np.sign(weight)))),
            neuron=neuron,
            bias_mant=np.full(n, bias),
            bias_exp=STOCK_BIAS_EXP,
        )
    return InputCoding(bits=8, scale=float(abs(weight)), signed=True), layer


def _layer(section: Section, last: bool) -> Layer:
    """A dense layer of CUBA neurons."""
    kind = section.text("type")
    n = prod(_integers(section, "shape").ravel().tolist())
    weights = [_matrix(section, name, n) for name in ("weight", "weight_rec")[: 1 + (kind == names.RECURRENT)]]
    if any(w.any() for w in weights) and (why := why_not_exact(weights)):
        raise section.fail("weight", f"lava-dl itself would not compute with these: {why}")
    bias = _integers(section, "bias") if "bias" in section else np.zeros(n, np.int64)
    _check_delay(section, kind)
    neuron = _neuron(section, last, biased=bool(bias.any()))
    section.ignore(*IGNORED)
    section.finish()
    synapses = [_synapses(section, w, name) for w, name in zip(weights, ("weight", "weight_rec"), strict=False)]
    with fields_named(section.path, FIELDS | {"recurrent weight": "weight_rec"}):
        return Layer(
            synapses=synapses[0],
            recurrent=synapses[1] if len(synapses) > 1 else None,
            neuron=neuron,
            bias_mant=bias,
            bias_exp=STOCK_BIAS_EXP,
            readout=last and neuron.vth_mant == MANT_MAX,
        )


def _integers(section: Section, name: str) -> Ints:
    """The integers `name`, which lava-dl may have stored as floats."""
    array = section.take(name)
    if array.dtype.kind not in "biuf":
        raise section.fail(name, f"integers expected, got {array.dtype}")
    wide = array.astype(np.float64)
    wrong = ~(np.abs(wide) < 2**31) | (wide != np.rint(wide))
    if wrong.any():
        raise section.fail(name, f"{wide[wrong][0]:g} is not an integer of 32 bits")
    return wide.astype(np.int64)


def _integer(section: Section, name: str) -> int:
    """The single integer `name`."""
    array = _integers(section, name)
    if array.size != 1:
        raise section.fail(name, f"has the shape {list(array.shape)}; only one value for the whole layer is supported")
    return int(array.ravel()[0])


def _matrix(section: Section, name: str, n: int) -> Ints:
    """The weights of n neurons; lava-dl may have flattened them."""
    weight = _integers(section, name)
    if weight.ndim == 1 and n > 0 and weight.size % n == 0:
        weight = weight.reshape(n, -1)
    if weight.ndim != 2 or len(weight) != n or not weight.size:
        raise section.fail(name, f"has the shape {list(weight.shape)}, the layer has {n} neurons")
    return weight


def _synapses(section: Section, weight: Ints, name: str) -> Synapses:
    """Synapses that deliver `weight @ s`: odd weights of mixed sign as twice the weight, shifted back."""
    low, high = weight.min(), weight.max()
    odd = low < 0 < high and (weight & 1).any()
    double = odd and MIXED_WEIGHT[0] <= 2 * low and 2 * high <= MIXED_WEIGHT[1]
    with fields_named(section.path, {"weight": name}):
        return Synapses(weight=2 * weight, exponent=-1) if double else Synapses(weight=weight)


def _check_delay(section: Section, kind: str) -> None:
    """Delays are not supported, but trained ones may be zero."""
    if "delay" not in section:
        return
    if kind == names.RECURRENT:
        raise section.fail("delay", "is not supported: with it, lava-dl computes a recurrent layer with other weights")
    if (longest := _integers(section, "delay").max(initial=0)) != 0:
        raise section.fail("delay", f"delays of up to {longest} steps are not supported; all must be 0")


def _neuron(section: Section, last: bool, biased: bool) -> LIFNeuron:
    """The neurons of a layer, the last one or not, with a bias or without."""
    fields = _cuba(section) if "neuron/type" in section else INTEGRATOR
    if last and fields["vth_mant"] >= MANT_MAX:
        fields = _readout(fields, biased)
    if fields["i_decay"] == 0:
        raise section.fail("neuron/iDecay", "0 (the current never decays) is supported only for a readout without bias")
    with fields_named(section.path, FIELDS):
        return LIFNeuron(**fields)


def _readout(fields: dict[str, int], biased: bool) -> dict[str, int]:
    """The readout's neurons: no threshold above ours is ever reached, and a perfect memory may be the potential's.

    Without a bias, a potential that copies its current (`u += act; v = u`) is one that sums it (`u = act; v += u`).
    """
    fields = fields | {"vth_mant": min(fields["vth_mant"], MANT_MAX)}
    if fields["i_decay"] == 0 and fields["v_decay"] == DECAY_ONE and not biased:
        fields |= {"i_decay": DECAY_ONE, "v_decay": 0}
    return fields


def _cuba(section: Section) -> dict[str, int]:
    """Return the arguments that `LIFNeuron` takes."""
    kind = section.text("neuron/type")
    if kind not in (names.CUBA, names.LOIHI):
        raise section.fail("neuron/type", f"{kind!r} is not supported; {names.CUBA} is")
    for name, neutral in NEUTRAL.items():
        path = f"neuron/{name}"
        if path in section and (value := _integer(section, path)) != neutral:
            raise section.fail(path, f"{value} is not supported; {neutral} is")
    return {hub: _integer(section, FIELDS[hub]) for hub in INTEGRATOR}
