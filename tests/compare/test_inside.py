"""Neurons from inside, against their equations in plain Python."""

import numpy as np
import pytest

from tclif_neuro import QuantizedNetwork, TclifError, run_reference
from tclif_neuro.compare.inside import eligibility, path
from tclif_neuro.network import InputCoding, Layer, LIFNeuron, Synapses, TCLIFNeuron

UNIT = 2.0**-14
A1, A2, B1, B2, GAMMA, VTH = 4000 / 4096, 4090 / 4096, -0.5, 0.5, 0.5, 1.0


@pytest.fixture(scope="module", params=["delayed", "immediate"])
def seen(request):
    """A network of two TC-LIF layers, its recorded run, and its reset."""
    rng = np.random.default_rng(3)
    neuron = TCLIFNeuron(
        a1=[[4000]], a2=[[4090]], b1=[-2048], b2=[2048], vth_mant=256, gamma_mant=128, reset=request.param
    )
    layers = tuple(
        Layer(
            synapses=Synapses(weight=rng.integers(-50, 60, (6, m)) * 2, exponent=exponent),
            neuron=neuron,
            bias_mant=np.zeros(6, int),
            scale_bits=14,
        )
        for m, exponent in ((4, -7), (6, 1))
    )
    net = QuantizedNetwork(layers=layers, input=InputCoding(bits=8, scale=255.0))
    return net, run_reference(net, rng.random((40, 2, 4)), record=True), request.param


def test_an_arrow_leads_from_the_state_without_a_reset_to_the_state_with_it(seen):
    net, run, reset = seen
    layer, done = net.layers[0], run.layers[0]
    a_in = (layer.synapses.weight.astype(int) @ run.input[:, 1].T.astype(int)).T >> 7 << 6
    n = int(done.counts[1].argmax())
    found = path(net, run, layer=0, sample=1, neuron=n)
    ud, us = UNIT * done.dendrite[:, 1, n], UNIT * done.soma[:, 1, n]
    steps = [t for t in np.flatnonzero(found.spikes) if t + 1 < len(ud)] if reset == "delayed" else []
    steps = [t + 1 for t in steps] or list(np.flatnonzero(found.spikes))
    assert len(steps) == len(found.resets) > 2
    for t, (start, end) in zip(steps, found.resets, strict=True):
        before = (ud[t - 1], us[t - 1]) if t else (0.0, 0.0)
        dendrite = A1 * before[0] + B1 * before[1] + UNIT * a_in[t, n]
        np.testing.assert_allclose(start, [dendrite, A2 * before[1] + B2 * dendrite], atol=8 * UNIT)
        np.testing.assert_array_equal(end, [ud[t], us[t]])


def test_a_spike_lies_at_or_above_the_threshold_and_nothing_else_does(seen):
    net, run, _ = seen
    for neuron in range(6):
        found = path(net, run, layer=1, sample=0, neuron=neuron)
        assert found.threshold == VTH and (found.crossings[:, 1] >= VTH).all()
        assert len(found.crossings) == found.spikes.sum()
        assert (found.soma[found.spikes == 0] < VTH).all()


@pytest.mark.parametrize("layer", [0, 1])
def test_a_trace_is_what_a_weight_did_to_the_soma(seen, layer):
    """The neuron is linear between resets: the trace is its answer to the input alone, by powers of its matrix."""
    net, run, _ = seen
    found = eligibility(net, run, layer=layer, sample=1, neuron=4)
    x = run.input[:, 1] / 255 if layer == 0 else run.layers[0].spikes[:, 1]
    step = np.array([[A1, B1], [B2 * A1, A2 + B2 * B1]])
    answer = [np.linalg.matrix_power(step, k) @ [1.0, B2] for k in range(len(x))]
    for t in (0, 7, 39):
        for i in range(x.shape[1]):
            d, e = sum(x[s, i] * answer[t - s] for s in range(t + 1))
            assert (found.dendrite[i, t], found.soma[i, t]) == pytest.approx((d, e), abs=1e-9)


def test_psi_is_one_at_the_threshold_and_nought_a_threshold_away(seen):
    net, run, reset = seen
    found = eligibility(net, run, layer=0, sample=0, neuron=1)
    soma = UNIT * run.layers[0].soma[:, 0, 1] + (VTH * found.spikes if reset == "immediate" else 0)
    for value, psi in zip(soma, found.psi, strict=True):
        assert psi == pytest.approx(max(0.0, 1 - abs(value - VTH)), abs=1e-9)
    worth = np.abs(found.psi * found.soma).sum(1)
    assert found.busiest[0] == worth.argmax() and sorted(found.busiest) == list(range(4))


def test_what_is_not_there_is_named(seen):
    net, run, _ = seen
    with pytest.raises(TclifError, match="neuron 6: layer 0 has neurons 0 to 5"):
        path(net, run, layer=0, sample=0, neuron=6)
    with pytest.raises(TclifError, match="layer 2: the network has layers 0 to 1"):
        eligibility(net, run, layer=2, sample=0, neuron=0)
    lif = LIFNeuron(i_decay=4096, v_decay=400, vth_mant=256)
    one = QuantizedNetwork(layers=(Layer(synapses=Synapses(weight=[[2]]), neuron=lif, bias_mant=[0]),))
    with pytest.raises(TclifError, match="layer 0: is a LIF, which has one compartment"):
        path(one, run_reference(one, np.ones((3, 1, 1)), record=True), layer=0, sample=0, neuron=0)
