"""Learning in Lava gives the reference's weights, traces and spikes, to the bit."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tclif_neuro.data.digits import digits_rows
from tclif_neuro.network import (
    DECAY_ONE,
    MANT_MAX,
    InputCoding,
    Layer,
    LIFNeuron,
    QuantizedNetwork,
    Synapses,
    TCLIFNeuron,
)
from tclif_neuro.onchip import learn
from tclif_neuro.onchip.random_network import random_network
from tclif_neuro.onchip.rule.setup import LearningSetup, Plasticity

in_lava = partial(learn, backend="lava")
pytestmark = [pytest.mark.slow, pytest.mark.lava]

HIDDEN = Plasticity(
    rate_shift=8, trace_shift=8, signal_shift=12, surrogate_shift=10, recurrent_rate_shift=8, recurrent_trace_shift=1
)
READOUT = Plasticity(rate_shift=9, trace_shift=6)
FIELDS = ("spikes", "states", "posted", "eligibility", "weight")
ADAPTIVE = np.array([[4096], [3700], [3400]])


def neuron(decay=ADAPTIVE, reset="delayed") -> TCLIFNeuron:
    one = np.array([DECAY_ONE])
    return TCLIFNeuron(a1=decay, a2=decay, b1=-one // 2, b2=one, vth_mant=1024, gamma_mant=512, reset=reset)


def layer(rng, size, inputs, neuron, *, recurrent=False, **more) -> Layer:
    own = Synapses(weight=2 * rng.integers(-30, 31, (size, size)), exponent=1) if recurrent else None
    bias = rng.integers(-50, 50, size)
    synapses = Synapses(weight=2 * rng.integers(-60, 61, (size, inputs)), exponent=int(rng.integers(-1, 4)))
    return Layer(synapses=synapses, recurrent=own, neuron=neuron, bias_mant=bias, bias_exp=3, **more)


def deep() -> QuantizedNetwork:
    """Binary input; an Adaptive recurrent layer, LIF neurons, a layer that resets at once; a leaky readout."""
    rng = np.random.default_rng(5)
    lif = LIFNeuron(i_decay=4096, v_decay=500, vth_mant=300)
    leaky = LIFNeuron(i_decay=DECAY_ONE, v_decay=300, vth_mant=MANT_MAX)
    return QuantizedNetwork(
        layers=(
            layer(rng, 12, 5, neuron(), recurrent=True),
            layer(rng, 9, 12, lif),
            layer(rng, 11, 9, neuron(ADAPTIVE[1:2], "immediate"), recurrent=True),
            layer(rng, 3, 11, leaky, readout=True),
        ),
        input=InputCoding(),
    )


def digit_rows(hidden: int, **changes) -> LearningSetup:
    net = random_network(8, neuron(), hidden, 10, rng=np.random.default_rng(0), recurrent=True)
    rule = {"plasticity": (HIDDEN, READOUT), "target": 2**16 * np.arange(1, 9), "error_shift": 12}
    return LearningSetup(net=net, **{**rule, **changes})


def assert_equal(ours, reference) -> None:
    """Every recorded number is the same, and something was learnt."""
    for i, (a, b) in enumerate(zip(ours.layers, reference.layers, strict=True)):
        for field in FIELDS:
            left, right = getattr(a, field), getattr(b, field)
            assert left.dtype == right.dtype and np.array_equal(left, right), f"layer {i}: {field}"
    assert ours.setup.net == reference.setup.net and ours.setup.learnt == reference.setup.learnt
    assert np.array_equal(ours.potential, reference.potential) and np.array_equal(ours.error, reference.error)


@pytest.mark.parametrize(
    "changes",
    [
        {"update_every": 1},
        {"update_every": 3, "feedback": "random", "rounding": "nearest", "learnt": 7},
        {"plasticity": (replace(HIDDEN, recurrent=False), None), "trace_bits": 5},
    ],
)
def test_every_step_is_the_references(changes) -> None:
    task = digits_rows("digits", 0)
    setup = digit_rows(16, **changes)
    x, y = task.x_train[:6].transpose(1, 0, 2), task.y_train[:6]
    reference = learn(setup, x, y, backend="reference", record=True)
    assert reference.net.layers[0] != setup.net.layers[0]
    assert_equal(in_lava(setup, x, y, record=True), reference)


def test_several_layers_learn_by_random_feedback() -> None:
    rng = np.random.default_rng(1)
    rules = (replace(HIDDEN, recurrent_rate_shift=4, rate_shift=4, trace_shift=2, signal_shift=8), None) * 2
    setup = LearningSetup(
        net=deep(),
        plasticity=(*rules[:3], READOUT),
        target=np.array([2**16, 2**17]),
        target_others=-(2**15),
        error_shift=11,
        feedback="random",
        update_every=2,
    )
    x, y = rng.integers(0, 2, (7, 8, 5)), rng.integers(0, 3, 8)
    reference = learn(setup, x, y, backend="reference", record=True)
    for before, after, rule in zip(setup.net.layers, reference.net.layers, setup.plasticity, strict=True):
        assert (before != after) == (rule is not None)
    assert all(run.spikes.any() for run in reference.layers[:3])
    assert_equal(in_lava(setup, x, y, record=True), reference)


def test_two_hundred_digits() -> None:
    task = digits_rows("digits", 0)
    setup = digit_rows(64, update_every=4)
    x, y = task.x_train[:200].transpose(1, 0, 2), task.y_train[:200]
    steps: list[int] = []
    ours = in_lava(setup, x, y, progress=lambda done, of: steps.append(done))
    reference = learn(setup, x, y, backend="reference")
    assert_equal(ours, reference)
    assert steps[-1] >= 200 * 8
