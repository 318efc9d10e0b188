"""Which layers are written for lava-dl, and how; checked against lava-dl's own functions where it is installed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tclif_neuro.lavadl import scaled, why_not_exact, why_not_stock
from tclif_neuro.network import InputCoding, Layer, LIFNeuron, QuantizedNetwork, Synapses, TCLIFNeuron
from tclif_neuro.netx.write import encode
from tests.strategies import networks

LIF = LIFNeuron(i_decay=1024, v_decay=128, vth_mant=100)


def layer(weight, exponent=0, recurrent=None, bias=0, bias_exp=6, neuron=LIF):
    weight = np.asarray(weight)
    return Layer(
        synapses=Synapses(weight=weight, exponent=exponent),
        recurrent=None if recurrent is None else Synapses(weight=np.asarray(recurrent[0]), exponent=recurrent[1]),
        neuron=neuron,
        bias_mant=np.full(len(weight), bias),
        bias_exp=bias_exp,
    )


def written(*layers, **fields):
    return encode(QuantizedNetwork(layers=layers, **fields))


@given(arrays(np.int16, 4, elements=st.integers(-256, 255)), st.integers(-8, 8))
def test_scaling_multiplies_by_a_power_of_two_and_can_be_undone(x, exponent):
    y = scaled(x, exponent)
    exact = x * 2.0**exponent
    if y is None:
        assert (exact != np.rint(exact)).any()
    else:
        assert np.array_equal(y, exact)
        assert np.array_equal(scaled(y, -exponent), x)


@given(networks(neurons=("LIF",)))
def test_stock_layers_hold_what_is_computed_and_the_others_mantissas(net):
    datasets = encode(net)
    for i, hub in enumerate(net.layers, start=1):
        weight, bias = datasets[f"layer/{i}/weight"], datasets[f"layer/{i}/bias"]
        if datasets[f"layer/{i}/neuron/type"][()] == b"CUBA":
            assert np.array_equal(weight, hub.synapses.weight * 2.0**hub.synapses.exponent)
            assert np.array_equal(bias * 64.0, hub.bias)
        else:
            assert np.array_equal(weight, hub.synapses.weight)
            assert np.array_equal(bias, hub.bias_mant)


def test_exponents_of_weights_and_bias_vanish_into_a_stock_layer():
    datasets = written(layer([[10, -20]], exponent=1, recurrent=([[8]], -2), bias=24, bias_exp=4))
    assert datasets["layer/1/neuron/type"][()] == b"CUBA"
    assert datasets["layer/1/weight"].tolist() == [[20, -40]]
    assert datasets["layer/1/weight_rec"].tolist() == [[2]]
    assert datasets["layer/1/bias"].tolist() == [6]


TCLIF = TCLIFNeuron(a1=[[1]], a2=[[1]], b1=[0], b2=[1], vth_mant=1, gamma_mant=0)


@pytest.mark.parametrize(
    ("hub", "reason"),
    [
        (layer([[2]], neuron=TCLIF), "two-compartment"),
        (layer([[2]], bias=1, bias_exp=5), "bias has the exponent 5"),
        (layer([[2]], bias=4095, bias_exp=7), "bias has the exponent 7"),
        (layer([[2, 3]], exponent=-1), "not whole"),
        (layer([[254, -2]], exponent=1), "8 bits"),
        (layer([[0, 0]]), "zero"),
        (layer([[-128, -2]]), "clips them at -127.5"),
        (layer([[-255, 0]]), "odd"),
        (layer([[255]], recurrent=([[-255]], 0)), "8 bits"),
        (layer([[131]], recurrent=([[-3]], 0)), "odd"),
        (layer([[1] * 2**17]), None),
    ],
)
def test_what_lava_dl_would_compute_otherwise_is_not_written_for_it(hub, reason):
    why = why_not_stock(hub, InputCoding())
    if reason is None:
        assert why == ""
    else:
        assert reason in why
        assert written(hub)["layer/1/neuron/type"][()] != b"CUBA"


def test_graded_input_into_recurrent_layers_is_not_written_for_lava_dl():
    recurrent, plain = layer([[2]], recurrent=([[4]], 0)), layer([[2]])
    graded = InputCoding(bits=8)
    assert "message bits" in why_not_stock(recurrent, graded)
    assert why_not_stock(plain, graded) == ""
    assert why_not_stock(recurrent, InputCoding()) == ""
    assert why_not_stock(recurrent, None) == ""


def test_sums_beyond_lava_dls_integers_are_not_written_for_it():
    wide = layer(np.ones((1, 100_000), int))
    assert why_not_stock(wide, InputCoding(bits=8)) == "the summed input could exceed lava-dl's 32 bits"
    assert why_not_stock(wide, InputCoding()) == ""


@st.composite
def matrices(draw):
    """One or two matrices of any integers near lava-dl's limits; often of one sign, even, or small."""
    limit = draw(st.sampled_from([3, 16, 130, 257]))
    step = draw(st.sampled_from([1, 1, 2, 4, 64]))
    low, high = draw(st.sampled_from([(-1, 1), (0, 1), (-1, 0), (-1, 1)]))
    elements = st.integers(low * limit // step, high * limit // step).map(lambda k: k * step)
    edge = st.sampled_from([-256, -255, -128, -127, -64, 127, 128, 254, 255])
    pool = elements | edge if draw(st.booleans()) else elements
    n = draw(st.integers(1, 3))
    first = draw(arrays(np.int64, (n, draw(st.integers(1, 3))), elements=pool))
    second = draw(st.none() | arrays(np.int64, (n, n), elements=pool))
    return [first] if second is None else [first, second]


def lava_computes_exactly(weights):
    """Whether lava-dl's functions, called as `netx.hdf5` and `Dense` call them, leave the weights what they are."""
    from lava.lib.dl.netx.utils import optimize_weight_bits
    from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights

    with np.errstate(all="ignore"):
        try:
            together, bits, exponent, _ = optimize_weight_bits(np.hstack(weights))
        except OverflowError:  # all zero
            return False
        columns = np.cumsum([w.shape[1] for w in weights])[:-1]
        for weight, part in zip(weights, np.split(together, columns, axis=1), strict=True):
            mode = determine_sign_mode(part)
            used = truncate_weights(clip_weights(part, mode, num_bits=8), mode, bits)
            result = np.left_shift(used, exponent) if exponent > 0 else np.right_shift(used, -exponent)
            if (used != weight << -exponent if exponent <= 0 else result != weight).any():
                return False
    return True


@pytest.mark.slow  # to import lava-dl takes seconds
@pytest.mark.lava
@given(matrices())
def test_the_rules_are_those_of_lava_dl(weights):
    assert (why_not_exact(weights) == "") == lava_computes_exactly(weights)
