"""A network laid out for the simulator: made once, freed with the network, exact at the ends of its formats."""

import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.fixed import program
from tclif_neuro.fixed.program import PAIRED, compile_network
from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.fixed.simulator import simulate
from tclif_neuro.network import MANT_MAX, InputCoding, Layer, LIFNeuron, QuantizedNetwork, Synapses


def network(weight):
    layer = Layer(
        synapses=Synapses(weight=weight),
        neuron=LIFNeuron(i_decay=4096, v_decay=4096, vth_mant=MANT_MAX),
        bias_mant=np.zeros(len(weight), int),
    )
    return QuantizedNetwork(layers=(layer,))


def test_a_network_is_laid_out_once_and_forgotten_with_it():
    net, other = network([[1, 2, 3]]), network([[1, 2, 4]])
    before = len(program._programs)
    assert compile_network(net) is compile_network(net)
    assert compile_network(net) is not compile_network(other)
    assert len(program._programs) == before + 2
    del net, other
    gc.collect()
    assert len(program._programs) == before


def test_what_is_laid_out_cannot_change():
    net = network([[1, 2, 3]])
    with pytest.raises(ValueError, match="read-only"):
        net.layers[0].synapses.weight[0, 0] = 5


@given(st.integers(0, 2**32), st.integers(1, 70))
def test_two_weights_in_a_word(seed, neurons):
    """Weights at both ends of 8 bits beside each other, sums at both ends of 16."""
    rng = np.random.default_rng(seed)
    weight = rng.choice([-256, -254, -2, 0, 2, 254], (neurons, 255))
    weight[:: rng.integers(1, 4)] = rng.choice([-256, 254])
    weight[0, 0], weight[-1, 1] = 254, -256
    net = network(weight)
    assert compile_network(net).matrices["kind"][0, 0] == PAIRED
    x = rng.random((6, 1, 255)) < [[[1.0]], [[0.0]], [[0.5]], [[0.02]], [[0.9]], [[1.0]]]
    ours, theirs = simulate(net, x, record=True), run_reference(net, x, record=True)
    np.testing.assert_array_equal(ours.states[0], theirs.states[0])


@given(
    st.sampled_from([np.bool_, np.uint8, np.int8, np.int16, np.uint16, np.int64, np.uint64, np.float32, np.float64]),
    st.sampled_from(
        [InputCoding(), *(InputCoding(bits=8, scale=s, signed=b) for s in (1.0, 7.3) for b in (False, True))]
    ),
    st.integers(0, 2**32),
    st.sampled_from([(), (7,), (3, 2, 5), (0, 4)]),
)
def test_encoding_is_rounding_and_clipping(dtype, coding, seed, shape):
    x = np.random.default_rng(seed).normal(0, 200, shape)
    x = np.rint(2 * x) / 2 if dtype == np.float64 else x
    x = (np.abs(x) if np.dtype(dtype).kind == "u" else x).astype(dtype)
    encoded = coding.encode(x)
    expected = np.clip(np.rint(x.astype(np.float64) * coding.scale), *coding.range)
    assert encoded.dtype == np.int16 and encoded.shape == shape
    np.testing.assert_array_equal(encoded, expected)
