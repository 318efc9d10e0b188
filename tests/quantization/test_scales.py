"""Scales and exponents: every model becomes a valid network, at the largest scale that the formats allow."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from torch import nn

import tclif_neuro as tn
from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.lavadl import why_not_stock
from tclif_neuro.network import ACT_SUM_MAX, STATE_MAX, InputCoding, LIFNeuron
from tclif_neuro.quantization import ConversionError, Options, apply_plan, make_plan, quantize, report
from tclif_neuro.quantization.stages import parse
from tests.examples import examples

KINDS = {
    "tclif": lambda n, **kw: tn.TCLIF(n, per_neuron=True, **kw),
    "immediate": lambda n, **kw: tn.TCLIF(n, reset="immediate", gamma=2.0, **kw),
    "relaxed": lambda n, **kw: tn.RelaxedTCLIF(n, a1=0.999, **kw),
    "adaptive": lambda n, **kw: tn.AdaptiveTCLIF(n, schedule=tn.Schedule(theta=2), **kw),
    "lif": lambda n, **kw: tn.LIF(n, beta=1.0, **kw),
    "lif immediate": lambda n, **kw: tn.LIF(n, beta=0.0, reset="immediate", **kw),
    "zero": lambda n, **kw: tn.LIF(n, reset="zero", **kw),
}
SIZES = st.integers(1, 8)
POWERS = st.sampled_from([0.0, 1e-9, 1e-4, 0.1, 1.0, 10.0, 1e4, 1e9])


@st.composite
def models(draw, kinds=tuple(KINDS)) -> tuple[nn.Sequential, torch.Tensor]:
    """A model of one to three layers with weights of any magnitude, and a calibration of any coding."""
    torch.manual_seed(draw(st.integers(0, 2**31)))
    inputs = before = draw(SIZES)
    modules: list[nn.Module] = []
    for _ in range(draw(st.integers(0, 2))):
        size, kind, recurrent = draw(SIZES), draw(st.sampled_from(kinds)), draw(st.booleans())
        linear = nn.Linear(before, size, bias=draw(st.booleans()))
        neurons = KINDS[kind](size, recurrent=recurrent, vth=draw(st.sampled_from([1e-3, 0.3, 1.0, 700.0])))
        weights = [linear.weight, linear.bias, neurons.recurrent.weight if recurrent else None]
        for weight in weights:
            if weight is not None:
                weight.data = draw(st.sampled_from([weight, weight.abs(), -weight.abs()])) * draw(POWERS)
        modules += [linear, neurons]
        before = size
    readout = tn.Readout(before, draw(SIZES))
    readout.weight.data *= draw(POWERS)
    if not modules or draw(st.booleans()):
        modules.append(readout)
    x = torch.randn(4, 2, inputs)
    x = draw(st.sampled_from([x, x.abs(), 1e-6 * x, 1e6 * x.abs(), (x > 0).float(), torch.zeros_like(x)]))
    return nn.Sequential(*modules), x


@examples(40, suppress_health_check=[HealthCheck.too_slow])
@given(models(), st.integers(2, 8))
def test_every_model_becomes_a_valid_network(drawn: tuple[nn.Sequential, torch.Tensor], weight_bits: int) -> None:
    model, x = drawn
    net = quantize(model, x, weight_bits=weight_bits)  # the network checks every number itself
    assert net.steps == 4
    loss = report(model, net, x)
    json.dumps(loss.to_dict(), allow_nan=False)
    for layer in net.layers:
        coarse = np.concatenate([s.weight.ravel() for s in (layer.synapses, layer.recurrent) if s])
        assert (coarse % 2 ** (8 - weight_bits) == 0).all()


@examples(25, suppress_health_check=[HealthCheck.too_slow])
@given(models(kinds=("zero",)))
def test_stock_networks_are_what_lava_dl_can_hold(drawn: tuple[nn.Sequential, torch.Tensor]) -> None:
    model, x = drawn
    try:
        net = quantize(model, x, stock=True)
    except ConversionError as error:  # what no integers can mend
        assert re.search("issue 372|all weights are zero|of one sign down to", str(error))
        return
    for i, layer in enumerate(net.layers):
        assert isinstance(layer.neuron, LIFNeuron)
        assert layer.bias_exp == 6 and layer.synapses.exponent == 0
        assert layer.recurrent is None or layer.recurrent.exponent == 0
        assert not why_not_stock(layer, net.input if i == 0 else None)


@examples(20)
@given(st.booleans(), st.integers(0, 2**31))
def test_ordinary_stock_networks_always_convert(binary: bool, seed: int) -> None:
    torch.manual_seed(seed)
    recurrent = tn.LIF(8, reset="zero", recurrent=True)
    first = [nn.Linear(4, 8), recurrent] if binary else [nn.Linear(4, 8), tn.LIF(8, reset="zero")]
    model = nn.Sequential(*first, nn.Linear(8, 8), recurrent, tn.Readout(8, 3))
    x = torch.rand(20, 10, 4)
    x = (x > 0.5).float() if binary else x
    net = quantize(model, x, stock=True)
    assert not any(why_not_stock(layer, None if i else net.input) for i, layer in enumerate(net.layers))
    assert all(layer.weight.error < 0.02 for layer in report(model, net, x).layers)


def test_lava_dl_cannot_mix_graded_inputs_and_recurrence() -> None:
    model = nn.Sequential(nn.Linear(2, 3), tn.LIF(3, reset="zero", recurrent=True))
    with pytest.raises(ConversionError, match=r"module 1 \(LIF\): lava-dl gives recurrent.*use stock=False"):
        quantize(model, torch.rand(5, 4, 2), stock=True)


def one_layer(weight: float, neurons: nn.Module | None = None, bias: float = 0.0) -> nn.Sequential:
    neurons = neurons or tn.RelaxedTCLIF(3)
    model = nn.Sequential(nn.Linear(2, 3), neurons)
    model[0].weight.data = torch.tensor([[1.0, -0.6], [0.3, 0.7], [-0.2, -0.9]]) * weight
    model[0].bias.data = torch.full((3,), bias)
    return model


BINARY = torch.ones(6, 1, 2)


@pytest.mark.parametrize(
    ("model", "limit", "scale_bits"),
    [
        (one_layer(1e-3), "threshold", 22),
        (one_layer(1e-3, tn.RelaxedTCLIF(3, gamma=10.0)), "gamma", 19),
        (one_layer(1e-3, bias=0.9), "bias", 19),
        (one_layer(1.0, tn.RelaxedTCLIF(3, vth=300.0, a1=0.01, a2=0.01)), "threshold", 14),
        (one_layer(1e6), "floor", 11),
    ],
)
def test_what_bounds_the_scale(model: nn.Sequential, limit: str, scale_bits: int) -> None:
    (layer,) = make_plan(parse(model), BINARY).layers
    assert (layer.limit, layer.scale_bits) == (limit, scale_bits)


def test_the_current_of_a_stock_lif_cannot_wrap_around() -> None:
    """It is bounded by the weights, whatever the calibration shows: inputs that cancel there may come one by one."""
    model = nn.Sequential(nn.Linear(8, 1, bias=False), tn.LIF(1, reset="zero"))
    sign = torch.tensor([1.0, -1.0] * 4)
    model[0].weight.data = 0.5 * sign[None]
    plan = make_plan(parse(model), torch.ones(6, 1, 8))
    assert (plan.layers[0].limit, plan.layers[0].scale_bits) == ("current", 20)
    x = np.stack([sign > 0, sign < 0])[:, None].astype(float)
    (run,) = run_reference(apply_plan(parse(model), plan), x, record=True).layers
    assert run.dendrite.ravel().tolist() == [2**21, -(2**21)]


@examples(30)
@given(st.floats(0.01, 30), st.sampled_from([1.0, 2.0, 8.0]))
def test_states_keep_their_headroom(weight: float, headroom: float) -> None:
    model = one_layer(weight, tn.TCLIF(3, vth=1000.0, gamma=0.0))
    plan = make_plan(parse(model), BINARY, Options(headroom=headroom))
    (run,) = run_reference(apply_plan(parse(model), plan), BINARY.numpy(), record=True).layers
    used = np.abs(run.states).max() / STATE_MAX
    assert run.saturations == 0
    assert used <= 1.02 / headroom
    if plan.layers[0].limit == "states":
        assert used > 0.48 / headroom


def test_a_scale_may_be_negative() -> None:
    """The integers depend on the ratios of weights, bias and thresholds only: a factor of 2^40 moves f by 40."""
    factor = 2.0**40
    small = one_layer(1.0, tn.RelaxedTCLIF(3, vth=1.0, gamma=0.25), bias=0.5)
    large = one_layer(factor, tn.RelaxedTCLIF(3, vth=factor, gamma=0.25 * factor), bias=0.5 * factor)
    net, scaled = quantize(small, BINARY), quantize(large, BINARY)
    assert scaled.layers[0].scale_bits == net.layers[0].scale_bits - 40 < 0
    assert replace(scaled.layers[0], scale_bits=net.layers[0].scale_bits) == net.layers[0]


@examples(40)
@given(st.integers(0, 2**31), st.floats(1e-6, 1e2), st.sampled_from([0, 8]))
def test_weights_use_their_bits(seed: int, size: float, bits: int) -> None:
    """The error is at most that of the finest power-of-two grid which holds the largest weight, half a 64th of it."""
    generator = torch.Generator().manual_seed(seed)
    model = one_layer(1.0, tn.RelaxedTCLIF(3, vth=size, gamma=size / 2))
    weight = torch.randn(3, 2, generator=generator) * size
    model[0].weight.data = weight
    coding = InputCoding(bits=bits, scale=255.0 if bits else 1.0)
    loss = report(model, quantize(model, BINARY, input_coding=coding), BINARY).layers[0].weight
    assert loss.error * float(weight.norm()) <= float(weight.abs().max()) / 127 * math.sqrt(6)
    assert loss.largest > 60


def test_inputs_are_binary_or_graded() -> None:
    model = one_layer(1.0)
    rand = torch.rand(5, 4, 2) * 3
    assert quantize(model, BINARY).input == InputCoding()
    assert quantize(model, rand).input == InputCoding(bits=8, scale=255 / float(rand.double().max()))
    signed = quantize(model, -rand).input
    assert signed == InputCoding(bits=8, scale=127 / float(rand.double().max()), signed=True)
    coding = InputCoding(bits=8, scale=50.0)
    assert quantize(model, BINARY, input_coding=coding).input == coding


@examples(10)
@given(st.integers(500, 900))
def test_many_graded_inputs_stay_within_the_sum(inputs: int) -> None:
    """With 8-bit inputs, a few hundred channels of full weights would overflow: the exponent takes it back."""
    model = nn.Sequential(nn.Linear(inputs, 2), tn.LIF(2, vth=100.0))
    model[0].weight.data.uniform_(0.5, 1, generator=torch.Generator().manual_seed(inputs))
    net = quantize(model, torch.rand(2, 1, inputs))
    total = net.layers[0].synapses.largest_sum(255)
    assert ACT_SUM_MAX / 16 < total < ACT_SUM_MAX
    loss = report(model, net, torch.rand(2, 1, inputs))
    assert loss.layers[0].weight.error < 0.01


def test_a_sum_that_cannot_fit_is_an_error() -> None:
    model = nn.Sequential(nn.Linear(2000, 2), tn.LIF(2))
    model[0].weight.data.fill_(1e9)
    with pytest.raises(ConversionError, match=r"module 1 \(LIF\): its summed input exceeds"):
        quantize(model, torch.rand(2, 1, 2000))


@pytest.mark.parametrize("weight_bits", [1, 9])
def test_weight_bits_out_of_range(weight_bits: int) -> None:
    with pytest.raises(ConversionError, match="weight_bits"):
        quantize(one_layer(1.0), BINARY, weight_bits=weight_bits)


@pytest.mark.parametrize("headroom", [0.5, math.nan, math.inf])
def test_headroom_out_of_range(headroom: float) -> None:
    with pytest.raises(ConversionError, match="headroom"):
        Options(headroom=headroom)


def test_metadata_is_kept() -> None:
    net = quantize(one_layer(1.0), BINARY, classes=["a", "b", "c"], recipe="seed = 1", steps=0)
    assert (net.classes, net.recipe, net.steps) == (("a", "b", "c"), "seed = 1", 0)


def test_a_plan_for_another_model() -> None:
    plan = make_plan(parse(one_layer(1.0)), BINARY)
    with pytest.raises(ConversionError, match="plan: is for 1 layers, the model has 2"):
        apply_plan(parse(nn.Sequential(*one_layer(1.0), tn.Readout(3, 2))), plan)
    with pytest.raises(ConversionError, match="recurrent in only one"):
        apply_plan(parse(one_layer(1.0, tn.RelaxedTCLIF(3, recurrent=True))), plan)
