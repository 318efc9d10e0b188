"""The hub refuses what no chip could hold, and says where."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given

from tclif_neuro.network import FormatError, InputCoding, Layer, LIFNeuron, QuantizedNetwork, Synapses, TCLIFNeuron
from tests.strategies import networks

TCLIF = dict(a1=[[4096]], a2=[[4096]], b1=[-2048], b2=[2048], vth_mant=1024, gamma_mant=512)
STOCK = LIFNeuron(i_decay=4096, v_decay=0, vth_mant=2**17 - 1)


def layer(**changes):
    return Layer(**{"synapses": Synapses(weight=[[2, -2]]), "neuron": TCLIFNeuron(**TCLIF), "bias_mant": [0]} | changes)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Synapses(weight=[[255, -2]]), "weight: 255 at [0, 0] is outside [-256, 254]"),
        (lambda: Synapses(weight=[[3, -2]]), "weight: 3 at [0, 0] is odd"),
        (lambda: Synapses(weight=[[256, 0]]), "weight: 256 at [0, 0] is outside [-255, 255]"),
        (lambda: Synapses(weight=[[0.5]]), "weight: integers expected, got float64"),
        (lambda: Synapses(weight=[1, 2]), "shape [2]"),
        (lambda: Synapses(weight=[[2]], exponent=8), "weight exponent: 8 is outside [-8, 7]"),
        (lambda: TCLIFNeuron(**TCLIF | {"a1": [[4097]]}), "a1: 4097 at [0, 0] is outside [0, 4096]"),
        (lambda: TCLIFNeuron(**TCLIF | {"b1": [4097]}), "b1: 4097 at [0] is outside [-4096, 4096]"),
        (lambda: TCLIFNeuron(**TCLIF | {"b2": [[1]]}), "b2: 1 dimension(s) expected, got shape [1, 1]"),
        (lambda: TCLIFNeuron(**TCLIF | {"vth_mant": 2**17}), "vth_mant: 131072 is outside [1, 131071]"),
        (lambda: TCLIFNeuron(**TCLIF | {"gamma_mant": -1}), "gamma_mant: -1 is outside [0, 131071]"),
        (lambda: TCLIFNeuron(**TCLIF | {"reset": "soon"}), "reset: 'soon'"),
        (lambda: TCLIFNeuron(**TCLIF | {"a1": [[1], [2]]}), "schedules of 2 and 1 steps"),
        (lambda: LIFNeuron(i_decay=0, v_decay=0, vth_mant=1), "i_decay: 0 is outside [1, 4096]"),
        (lambda: layer(bias_mant=[4096]), "bias_mant: 4096 at [0] is outside [-4096, 4095]"),
        (lambda: layer(bias_exp=8), "bias_exp: 8 is outside [0, 7]"),
        (lambda: layer(bias_mant=[1, 2]), "bias_mant: shape [1] expected, got [2]"),
        (lambda: layer(recurrent=Synapses(weight=[[2, 2]])), "recurrent weight: shape [1, 1] expected, got [1, 2]"),
        (lambda: layer(neuron=TCLIFNeuron(**TCLIF | {"b2": [1, 2]})), "b2: 2 coefficients for 1 neurons"),
        (lambda: layer(readout=True), "readout: must be a LIF integrator"),
        (lambda: InputCoding(bits=4), "input bits: 4"),
        (lambda: InputCoding(scale=float("nan")), "input scale: nan"),
        (lambda: InputCoding(signed=True), "binary spikes have no sign"),
        (lambda: InputCoding().encode([np.inf]), "NaN or infinity"),
        (lambda: QuantizedNetwork(layers=()), "has no layer"),
        (lambda: QuantizedNetwork(layers=(layer(), layer())), "layer 1: has 2 inputs, layer 0 has 1 neurons"),
        (lambda: QuantizedNetwork(layers=(layer(),), classes=("a", "b")), "classes: 2 names for 1 outputs"),
        (
            lambda: QuantizedNetwork(
                layers=(layer(neuron=STOCK, readout=True), layer(synapses=Synapses(weight=[[2]])))
            ),
            "layer 0: a readout must be the last layer",
        ),
        (
            lambda: QuantizedNetwork(
                layers=(layer(synapses=Synapses(weight=np.full((1, 9), 255), exponent=7)),), input=InputCoding(bits=8)
            ),
            "layer 0: its summed input can reach 74908800, the limit is 33554431",
        ),
    ],
)
def test_out_of_format(make, says):
    with pytest.raises(FormatError) as caught:
        make()
    assert says in str(caught.value)


@given(networks())
def test_networks_compare_by_content_and_cannot_be_changed(net):
    assert net == dataclasses.replace(net)
    assert net != dataclasses.replace(net, recipe=net.recipe + "x")
    with pytest.raises(dataclasses.FrozenInstanceError):
        net.steps = 3
    with pytest.raises(ValueError, match="read-only"):
        net.layers[0].synapses.weight[0, 0] = 1


def test_encoding_rounds_and_clips():
    coding = InputCoding(bits=8, scale=255.0)
    assert coding.encode([-1.0, 0.0, 0.5, 1.0, 2.0]).tolist() == [0, 0, 128, 255, 255]
    assert InputCoding(bits=8, scale=100.0, signed=True).encode([-2.0, 0.333, 2.0]).tolist() == [-128, 33, 127]
    assert InputCoding().encode([0.0, 1.0]).tolist() == [0, 1]
