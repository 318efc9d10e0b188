"""A conversion says what it lost, and a good one says nothing."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import tclif_neuro as tn
from tclif_neuro.network import InputCoding
from tclif_neuro.quantization import ConversionError, quantize, report


@pytest.fixture(autouse=True)
def generator():
    torch.manual_seed(3)


def network(inputs, outlier=1.0, **lif):
    model = nn.Sequential(nn.Linear(inputs, 32), tn.LIF(32, reset="zero", **lif), tn.Readout(32, 4))
    with torch.no_grad():
        model[0].weight[0, 0] *= outlier
    return model


def counts(inputs, high=5):
    """Events in bins, [40, 20, inputs], of up to `high` in one."""
    x = torch.poisson(torch.full((40, 20, inputs), 0.1)).clamp(max=high)
    x[0, 0, 0] = high
    return x


def said(model, x, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", tn.TclifWarning)
        quantize(model, x, **options)
    return [str(w.message) for w in caught]


def test_a_good_conversion_says_nothing():
    x = torch.rand(8, 30, 8)
    model = nn.Sequential(nn.Linear(8, 32), tn.TCLIF(32, recurrent=True), tn.Readout(32, 4))
    assert said(model, x) == [] and said(model, x.numpy()) == [], "an array is as good as a tensor"


def test_a_matrix_that_loses_a_fifth_of_its_norm_is_named():
    x = torch.rand(8, 30, 8)
    (sentence,) = (text for text in said(network(8), x, weight_bits=2) if "layer 0" in text and "norm" in text)
    assert sentence.startswith("layer 0 (module 1): its weights lose ")


def test_a_layer_that_fades_is_named():
    """One weight takes all bits: the rest of the matrix is too small to be seen in its norm, but drives the neurons."""
    model = network(8, vth=0.3)
    with torch.no_grad():
        model[0].weight.abs_().mul_(0.2)
        model[0].weight[0, 0] = -1e4
    assert any("fires at" in text or "is silent" in text for text in said(model, torch.rand(8, 60, 8)))


def test_the_warning_points_at_the_user():
    with pytest.warns(tn.TclifWarning) as caught:
        quantize(network(8), torch.rand(8, 30, 8), weight_bits=2)
    assert {w.filename for w in caught} == {__file__}


@pytest.mark.parametrize("inputs", [700, 2000])
def test_a_stock_network_of_counts_keeps_its_weights(inputs):
    """The sum is bounded by what occurs, not by 255 times every weight: else the largest mantissa would be 2."""
    model, x = network(inputs, vth=0.3), counts(inputs)
    net = quantize(model, x, stock=True)
    assert net.input == InputCoding(bits=8, scale=1.0)
    loss = report(model, net, x)
    assert loss.layers[0].weight.error < 0.1 and loss.layers[0].saturations == 0
    assert loss.layers[0].integer_rate == pytest.approx(loss.layers[0].float_rate, rel=0.1)
    assert said(model, x, stock=True) == []


def test_a_stock_network_of_many_graded_inputs_keeps_its_weights():
    model, x = network(700, vth=0.3), torch.rand(10, 20, 700) * (torch.rand(10, 20, 700) < 0.1)
    loss = report(model, quantize(model, x, stock=True), x)
    assert loss.layers[0].weight.error < 0.2 and loss.layers[0].saturations == 0


def test_weights_that_all_become_zero_say_which_rule_broke():
    model, x = network(4000, vth=0.3), torch.rand(4, 3, 4000)
    with pytest.raises(ConversionError, match="all weights are zero once .* what its 4000 inputs .* 24 bits"):
        quantize(model, x, stock=True, input_coding=InputCoding(bits=8, scale=255.0))


def test_the_share_of_clipped_weights_is_that_of_the_grid():
    x, model = torch.rand(8, 30, 8), network(8)
    with torch.no_grad():
        model[0].weight[0, 0] = 40.0
    loss = report(model, quantize(model, x, weight_bits=4), x).layers[0].weight
    assert loss.clipped in (0, 1 / 256) and np.isfinite(loss.error)
