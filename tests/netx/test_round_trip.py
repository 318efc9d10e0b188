"""What is written is read again, to the bit; and what a file says of itself."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.errors import TclifError
from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.network import (
    MANT_MAX,
    InputCoding,
    Layer,
    LIFNeuron,
    QuantizedNetwork,
    Synapses,
    TCLIFNeuron,
)
from tclif_neuro.netx import NetFileError, describe, load, save
from tclif_neuro.netx.read import from_bytes
from tclif_neuro.netx.write import encode, to_bytes
from tests.examples import examples
from tests.strategies import ANY_STEPS, inputs, networks


def lif(weight, **fields):
    """A LIF layer with the given weights."""
    weight = np.asarray(weight)
    defaults = {
        "synapses": Synapses(weight=weight),
        "neuron": LIFNeuron(i_decay=4096, v_decay=128, vth_mant=100),
        "bias_mant": np.zeros(len(weight), int),
    }
    return Layer(**(defaults | fields))


@examples(40)
@given(networks(steps=ANY_STEPS))
def test_a_network_is_the_same_after_writing_and_reading(net):
    assert from_bytes(to_bytes(net)).net == net


@examples(40)
@given(networks(steps=ANY_STEPS))
def test_the_same_network_gives_the_same_bytes(net):
    data = to_bytes(net)
    assert to_bytes(from_bytes(data).net) == data


@examples(40)
@given(networks().flatmap(lambda net: st.tuples(st.just(net), inputs(net))))
def test_a_network_computes_the_same_after_writing_and_reading(case):
    net, x = case
    before, after = run_reference(net, x, record=True), run_reference(from_bytes(to_bytes(net)).net, x, record=True)
    for a, b in zip(before.layers, after.layers, strict=True):
        assert np.array_equal(a.states, b.states)


@examples(40)
@given(networks(steps=ANY_STEPS))
def test_a_summary_is_json_and_counts_what_is_there(net):
    summary = describe(net)
    assert json.loads(json.dumps(summary.to_dict()))["outputs"] == net.outputs
    assert [layer.neurons for layer in summary.layers] == [layer.size for layer in net.layers]
    assert summary.synapses == sum(
        layer.inputs * layer.size + (layer.size**2 if layer.recurrent else 0) for layer in net.layers
    )
    types = [bytes(encode(net)[f"{layer.path}/neuron/type"][()]).decode() for layer in summary.layers]
    assert types == [layer.neuron for layer in summary.layers]


def test_files_are_described_as_the_networks_in_them(tmp_path):
    coding = InputCoding(bits=8, scale=255.0)
    net = QuantizedNetwork(
        layers=(lif([[2, -4], [6, 0]]),), input=coding, classes=("no", "yes"), steps=7, recipe="a = 1\n"
    )
    save(net, tmp_path / "a.net")
    assert load(tmp_path / "a.net") == net
    summary = describe(tmp_path / "a.net")
    assert summary == replace(describe(net), file=str(tmp_path / "a.net"))
    assert (summary.format, summary.version, summary.stock, summary.input_bits) == ("tclif-neuro-net", 1, True, 8)
    layer = summary.layers[0]
    assert (layer.synapses.low, layer.synapses.high, layer.synapses.sparsity) == (-4, 6, 0.25)
    assert layer.threshold == 6400
    assert {c.name: c.low_decimal for c in layer.coefficients} == {"iDecay": 1.0, "vDecay": 1 / 32}
    assert layer.parameters == 4 + 2 + 2  # weights, biases, coefficients
    assert layer.memory_bytes == 4 * 1 + 2 * 8 + 2 * 2


def test_two_compartments_are_described_in_integers_and_decimals():
    neuron = TCLIFNeuron(
        a1=[[4096], [2048]],
        a2=[[4096, 0], [0, 0]],
        b1=[-2048],
        b2=[4096],
        vth_mant=512,
        gamma_mant=256,
        reset="immediate",
    )
    net = QuantizedNetwork(layers=(lif([[2], [3]], neuron=neuron, scale_bits=15),))
    layer = describe(net).layers[0]
    assert (layer.neuron, layer.reset, layer.threshold_decimal, layer.gamma_decimal) == (
        "ATCLIF",
        "immediate",
        1.0,
        0.5,
    )
    shapes = {c.name: (c.low, c.high, c.low_decimal, c.steps, c.neurons) for c in layer.coefficients}
    assert shapes["alpha1"] == (2048, 4096, 0.5, 2, 1)
    assert shapes["alpha2"] == (0, 4096, 0.0, 2, 2)
    assert shapes["beta1"] == (-2048, -2048, -0.5, 1, 1)
    assert not describe(net).stock
    assert "two-compartment" in layer.why_not_stock


@pytest.mark.parametrize("scale_bits", [-65, 65, 2**40])
def test_a_scale_beyond_all_bounds_is_not_written(tmp_path, scale_bits):
    net = QuantizedNetwork(layers=(lif([[2]], scale_bits=scale_bits),))
    with pytest.raises(NetFileError, match=rf"a.net: layer/1/scaleBits: {scale_bits} is outside \[-64, 64\]"):
        save(net, tmp_path / "a.net")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["\x1b[2J", "a\0", "\ud800"])
def test_texts_for_a_terminal_hold_no_control_characters(tmp_path, text):
    net = QuantizedNetwork(layers=(lif([[2]]),), classes=(text,))
    with pytest.raises(NetFileError, match="tclif/classes: holds the control character"):
        save(net, tmp_path / "a.net")


def test_the_error_is_one_that_a_user_can_mend():
    assert issubclass(NetFileError, TclifError)


def test_readouts_keep_their_threshold():
    neuron = LIFNeuron(i_decay=4096, v_decay=0, vth_mant=MANT_MAX)
    net = QuantizedNetwork(layers=(lif([[2]], neuron=neuron, readout=True),))
    assert from_bytes(to_bytes(net)).net == net
