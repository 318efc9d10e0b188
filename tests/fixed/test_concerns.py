"""What a run must say: inputs outside the code, silent layers, saturation; and that good networks say nothing."""

import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tclif_neuro as tn
from tclif_neuro.data import load_task
from tclif_neuro.fixed.concerns import CLIPPED, concerns
from tclif_neuro.fixed.run import ROUNDING, encode
from tclif_neuro.network import MANT_MAX, InputCoding, Layer, LIFNeuron, QuantizedNetwork, Synapses, TCLIFNeuron

MODELS = Path(__file__).parents[2] / "models"
GRADED, SIGNED, BINARY = InputCoding(bits=8, scale=255.0), InputCoding(bits=8, scale=127.0, signed=True), InputCoding()


def layer(weight, vth_mant=1, readout=False, **more):
    neuron = LIFNeuron(i_decay=4096, v_decay=0 if readout else 4096, vth_mant=MANT_MAX if readout else vth_mant)
    n = len(weight)
    return Layer(synapses=Synapses(weight=weight, **more), neuron=neuron, bias_mant=np.zeros(n, int), readout=readout)


def network(*layers, coding=BINARY, steps=0):
    return QuantizedNetwork(layers=layers or (layer([[2, 2]]), layer([[2]], readout=True)), input=coding, steps=steps)


@pytest.fixture
def every_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error", tn.TclifWarning)
        yield


@pytest.mark.parametrize("name", sorted(path.stem for path in MODELS.glob("*.net")))
def test_the_models_run_without_a_warning(name, every_warning):
    net = tn.load(MODELS / f"{name}.net")
    task = name.removesuffix("-online").removesuffix("-lattice").removesuffix("-adaptive")
    if "mnist" in name and not (Path(os.environ.get("TCLIF_DATA", "/nowhere")) / "mnist.npz").exists():
        pytest.skip("mnist.npz is not in $TCLIF_DATA")
    if name.startswith("ecg"):
        task = "ecg"
        if not (Path(os.environ.get("TCLIF_DATA", "/nowhere")) / "ecg").exists():
            pytest.skip("ecg is not in $TCLIF_DATA")
    test = load_task(task).test
    x = test.x.all()[:100].swapaxes(0, 1)
    run = tn.run(net, x, lengths=None if test.lengths is None else test.lengths[:100])
    assert run.input_clipped == 0 or task == "ecg"  # a beat may be higher than any of the training set


@given(
    coding=st.sampled_from([GRADED, SIGNED, BINARY]),
    x=arrays(np.float32, (3, 2, 2), elements=st.floats(-3, 3, width=32)),
)
def test_what_is_outside_is_counted_as_the_code_s_own_rounding_tells(coding, x):
    below, above, between = encode(network(coding=coding), x).outside
    scaled, (low, high) = x.astype(float) * coding.scale, coding.range
    edge = 0.5 if coding.bits else ROUNDING
    inside = [any(abs(v - k) <= edge for k in range(low, high + 1)) for v in scaled.ravel()]
    assert below + above + between == pytest.approx(1 - np.mean(inside))
    assert below == np.mean(scaled < low - edge) and above == np.mean(scaled > high + edge)
    assert between == 0 or not coding.bits


@pytest.mark.parametrize(
    ("coding", "value", "words"),
    [
        (GRADED, 16.0, "25.0% of the inputs are above 1, the largest that this network takes; was it trained on scal"),
        (GRADED, -0.5, "25.0% of the inputs are below 0, the smallest"),
        (SIGNED, -2.0, "25.0% of the inputs are below -1.008, the smallest"),
        (BINARY, 5.0, "25.0% of the inputs are above 1, the largest"),
        (BINARY, 0.3, "25.0% of the inputs are neither 0 nor 1, the spikes"),
    ],
)
@pytest.mark.parametrize("backend", ["simulator", "reference"])
def test_inputs_outside_the_code_are_said(coding, value, words, backend):
    x = np.ones((2, 2, 2)) if not coding.signed else np.ones((2, 2, 2)) / 2
    x[0, 0] = value
    with pytest.warns(tn.TclifWarning, match=words) as caught:
        assert tn.run(network(coding=coding), x, backend).input_clipped == 0.25
    assert caught[0].filename == __file__


def test_up_to_one_per_cent_nothing_is_said(every_warning):
    x = np.ones((100, 1, 2))
    x[: int(200 * CLIPPED), 0, 0] = 1.2
    assert tn.run(network(coding=GRADED), x).input_clipped == CLIPPED


def test_integers_and_booleans_are_inputs_too(every_warning):
    assert tn.run(network(), np.ones((2, 1, 2), bool)).input_clipped == 0
    assert encode(network(), np.full((2, 1, 2), 3)).outside == (0, 1, 0)


def test_a_layer_that_falls_silent_is_named_the_first_of_them():
    net = network(layer([[2, 2]]), layer([[2]], vth_mant=1000), layer([[2]]), layer([[2]], readout=True))
    with pytest.warns(tn.TclifWarning, match="layer 1 is silent: none of its 1 neurons spikes in 3 samples") as caught:
        tn.run(net, np.ones((4, 3, 2)))
    assert len(caught) == 1
    assert concerns(net, tn.run(net, np.zeros((4, 3, 2)))) == ()


def test_a_readout_that_saturates_and_a_layer_that_does_so_often():
    net = network(layer([[2]] * 3), layer([[254, 254, -2]], readout=True, exponent=7))
    x = np.ones((10, 1, 1))
    with pytest.warns(tn.TclifWarning, match="the readout saturates: its states left their 24 bits [0-9] times"):
        assert tn.run(net, x).layers[1].saturations > 0
    wild = TCLIFNeuron(a1=[[4096]], a2=[[4096]], b1=[0], b2=[4096], vth_mant=MANT_MAX, gamma_mant=0)
    net = network(replace(layer([[254, -2]], exponent=7), neuron=wild), layer([[2]], readout=True))
    with pytest.warns(tn.TclifWarning, match="layer 0 saturates"):
        tn.run(net, np.ones((10, 1, 2)))


def test_a_stream_says_each_thing_once_until_it_is_reset():
    chip = tn.Simulator(network(layer([[2]] * 2), layer([[254, 254]], readout=True, exponent=7)))
    with pytest.warns(tn.TclifWarning) as caught:
        for _ in range(30):
            chip.step(np.full((1, 1), 2.0))
    assert [str(w.message).split(" ")[1] for w in caught] == ["of", "readout"]
    chip.reset()
    with pytest.warns(tn.TclifWarning, match="100.0% of the inputs"):
        chip.run(np.full((5, 1, 1), 2.0))
