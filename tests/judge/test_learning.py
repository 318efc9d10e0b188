"""The learning rule and its executors against the judge, at every equality and limit."""

from dataclasses import replace
from functools import cache, partial
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from tclif_neuro.onchip import LearningSetup, Plasticity, learn
from tclif_neuro.onchip.rule import equations as rule
from tclif_neuro.onchip.rule import random_bits
from tclif_neuro.onchip.rule.posting import Posting
from tests.examples import examples
from tests.judge import learning as judge
from tests.judge.neurons import LIMIT, Saturating
from tests.onchip.setups import samples, setups

EXECUTORS = pytest.mark.parametrize(
    "execute",
    [partial(learn, backend=backend) for backend in ("reference", "simulator")],
    ids=["reference", "compiled"],
)
SHIFTS = (0, 1, 7, 23)


def agree(run, judged, counted: bool = True) -> None:
    """A recorded `LearningRun` and the judge's network, all of them."""
    np.testing.assert_array_equal(run.potential, judged.potential)
    np.testing.assert_array_equal(run.error, judged.error)
    if counted:
        assert run.losses == judged.losses
    for ours, record in zip(run.layers, judged.records, strict=True):
        np.testing.assert_array_equal(ours.spikes.swapaxes(0, 1), record.spikes)
        for name in ("states", "posted", "eligibility"):
            np.testing.assert_array_equal(getattr(ours, name).transpose(2, 1, 0, 3), getattr(record, name), name)
        np.testing.assert_array_equal(ours.weight, record.weight)
    last = [[c.weight for c in connections] for connections in judged.connections]
    for layer, (weight, *own) in zip(run.net.layers, last, strict=True):
        np.testing.assert_array_equal(layer.synapses.weight, weight)
        assert (layer.recurrent is None) == (own == [])
        if own:
            np.testing.assert_array_equal(layer.recurrent.weight, own[0])


def columns(rows) -> list[np.ndarray]:
    return list(np.array(rows, np.int64).T)


def test_the_judge_by_hand() -> None:
    """Lines of docs/onchip.md, computed on paper."""
    assert [judge.narrow(x, 2, 127) for x in (1, 2, 5, 6, -1, -2, 506, 510, -5000)] == [
        0,
        1,
        1,
        2,
        0,
        -1,
        127,
        127,
        -127,
    ]
    assert [judge.surrogate(soma, 64, 2, 127) for soma in (64, 67, 68, 60, 64 + 508, 0)] == [127, 127, 126, 126, 0, 111]
    assert judge.posted(-5) == (0, 5) and judge.posted(7) == (7, 0)
    assert [judge.updated(5, change, 3, 4, 127) for change in (3, 4, -4, -5, 8, 10_000)] == [5, 6, 5, 4, 6, 127]
    assert judge.eligibility(64, 64, 2, 2048, 4096, -4096, 4096, Saturating()) == (96, 160)
    assert len({judge.random_bits(1, 2, 3, 4, s) for s in range(100)}) == 100


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("limit", [1, 127])
def test_narrow_at_every_boundary(shift, limit) -> None:
    marks = [
        m * 2**shift // 2 + near for m in (0, 1, 2, 3, 2 * limit - 1, 2 * limit, 2 * limit + 1) for near in (-1, 0, 1)
    ]
    xs = [sign * mark for mark in (*marks, 2**40) for sign in (-1, 1)]
    expected = [judge.narrow(x, shift, limit) for x in xs]
    assert rule.narrow(np.array(xs), shift, limit).tolist() == expected
    assert [int(rule.narrow(np.int64(x), shift, limit)) for x in xs] == expected


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("limit", [1, 127])
def test_the_surrogate_at_every_boundary(shift, limit) -> None:
    for vth in (64, MANT_MAX * 64):
        steps = (0, 1, limit - 1, limit, limit + 1)
        somas = [vth + sign * (k << shift) + near for k in steps for sign in (-1, 1) for near in (-1, 0, 1)]
        expected = [judge.surrogate(soma, vth, shift, limit) for soma in somas]
        assert rule.surrogate(np.array(somas), vth, shift, limit).tolist() == expected
        assert max(expected) == limit and min(expected) == 0


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("limit", [1, 127])
def test_what_is_posted_at_every_boundary(shift, limit) -> None:
    marks = {
        sign * (k * 2**shift // 2 + near) for k in range(0, 2 * limit + 3) for near in (-1, 0, 1) for sign in (-1, 1)
    }
    for psi, signal in product((0, 1, limit), sorted(marks)):
        expected = judge.posted(judge.narrow(psi * signal, shift, limit))
        assert tuple(int(y) for y in rule.posted(np.int64(psi), np.int64(signal), shift, limit)) == expected


@pytest.mark.parametrize("shift", [0, 1, 5, 24])
@pytest.mark.parametrize("limit", [1, 127])
def test_updates_at_every_boundary(shift, limit) -> None:
    dithers = {min(dither, 2**shift - 1) for dither in (0, 1, 2**shift // 2, 2**shift - 1)}
    weights = [-limit, 1 - limit, 0, limit - 1, limit]
    changes = [sign * (k * 2**shift) + near for k in (0, 1, 2 * limit) for sign in (-1, 1) for near in (-1, 0, 1)]
    for weight, change, dither in product(weights, changes, dithers):
        expected = judge.updated(weight, change, shift, dither, limit)
        assert int(rule.update(np.int64(weight), np.int64(change), shift, dither, -limit, limit)) == expected


def test_the_eligibility_at_every_boundary() -> None:
    states = (-LIMIT, 1 - LIMIT, -4097, -1, 0, 1, 4096, LIMIT)
    factors = [(0, 0, 0, 0), (4096, 4096, 0, 4096), (4095, 1, -4096, 4096), (2048, 4095, -1, 2047)]
    rows = [(d, e, x, *f) for d in states for e in states for x in (-128, -1, 0, 1, 255) for f in factors]
    expected = [judge.eligibility(*row, Saturating()) for row in rows]
    np.testing.assert_array_equal(np.stack(rule.eligibility(*columns(rows)), axis=1), expected)


def test_random_bits() -> None:
    numbers = (0, 1, 2**16 - 1, 2**31, 2**32 - 1)
    for seed, matrix, sample, step in product(numbers, (0, 1, 5, 2**32 - 1), numbers, (0, 1, 62, 2**32 - 1)):
        key = random_bits.key(seed, matrix, sample, step)
        for synapse in (0, 1, 12_345, 2**32 - 1):
            assert int(random_bits.bits(key, synapse)) == judge.random_bits(seed, matrix, sample, step, synapse)


HIDDEN = Plasticity(rate_shift=8, trace_shift=5, signal_shift=13, surrogate_shift=9)
OWN = replace(HIDDEN, recurrent_rate_shift=5, recurrent_trace_shift=2)
LEARNS = (OWN, HIDDEN, Plasticity(rate_shift=7, trace_shift=4))


def busy(**changes):
    """Two hidden layers that spike and learn, one recurrent, and a readout with a leak; and 3 samples of 11 steps."""
    rng = np.random.default_rng(3)

    def synapses(n, m, exponent):
        return Synapses(weight=2 * rng.integers(-127, 128, (n, m)), exponent=exponent)

    def neuron(reset, rows):
        a1, a2 = rng.integers(3000, 4097, (2, rows, 1))
        return TCLIFNeuron(a1=a1, a2=a2, b1=[-1500], b2=[3000], vth_mant=900, gamma_mant=500, reset=reset)

    layers = (
        Layer(
            synapses=synapses(5, 4, -5), recurrent=synapses(5, 5, 1), neuron=neuron("delayed", 4), bias_mant=[40] * 5
        ),
        Layer(synapses=synapses(4, 5, 2), neuron=neuron("immediate", 1), bias_mant=[9, -9, 90, 0], bias_exp=4),
        Layer(
            synapses=synapses(3, 4, -1),
            neuron=LIFNeuron(i_decay=DECAY_ONE, v_decay=300, vth_mant=MANT_MAX),
            bias_mant=[5, 0, -5],
            readout=True,
        ),
    )
    given = dict(
        net=QuantizedNetwork(layers=layers, input=InputCoding(bits=8, signed=True)),
        plasticity=LEARNS,
        target=[2**15, -(2**14), 2**16],
        target_others=-(2**12),
        error_shift=9,
        feedback="random",
        seed=7,
    )
    x = rng.integers(-128, 128, (11, 3, 4))
    return LearningSetup(**{**given, **changes}), x, np.array([0, 2, 1])


BUSY = [
    {},
    {"update_every": 1},
    {"plasticity": (HIDDEN, *LEARNS[1:])},
    {"plasticity": (replace(OWN, recurrent=False), *LEARNS[1:])},
    {"update_every": 4, "learnt": 2**20},
    {"rounding": "nearest"},
    {"trace_bits": 6},
    {"seed": 2**31 - 1},
]


@cache
def judged_busy(index: int):
    setup, x, labels = busy(**BUSY[index])
    return setup, x, labels, judge.run(setup, x, labels)


@EXECUTORS
@pytest.mark.parametrize("index", range(len(BUSY)))
def test_a_busy_network(execute, index) -> None:
    setup, x, labels, judged = judged_busy(index)
    agree(execute(setup, x, labels, record=True), judged)
    for layer, record in zip(setup.net.layers, judged.records, strict=True):
        moved = np.array(record.weight[-1])[:, : layer.inputs] != layer.synapses.weight
        assert moved.any() and np.array(record.posted).any()
        assert layer.readout or 0.02 < np.mean(record.spikes) < 0.95


@EXECUTORS
def test_symmetric_feedback_is_that_of_the_samples_start(execute) -> None:
    setup, x, labels = busy()
    setup = replace(setup, plasticity=(None, *setup.plasticity[1:]), feedback="symmetric", update_every=2)
    agree(execute(setup, x, labels, record=True), judge.run(setup, x, labels))


@EXECUTORS
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_weights_at_their_limits(execute, bits) -> None:
    """Large steps take the weights to both limits, of any width, and no further."""
    setup, x, labels = busy()
    unit, most = 2 ** (9 - bits), 2 ** (bits - 1) - 1

    def narrower(synapses):
        return synapses and replace(synapses, weight=np.clip(synapses.weight // unit, -most, most) * unit)

    layers = tuple(
        replace(layer, synapses=narrower(layer.synapses), recurrent=narrower(layer.recurrent))
        for layer in setup.net.layers
    )
    rules = tuple(replace(r, rate_shift=0, recurrent_rate_shift=0) for r in setup.plasticity)
    setup = replace(setup, net=replace(setup.net, layers=layers), plasticity=rules, weight_bits=bits)
    judged = judge.run(setup, x, labels)
    for record in judged.records:
        assert np.min(record.weight) == -most * unit and np.max(record.weight) == most * unit
    agree(execute(setup, x, labels, record=True), judged)


@EXECUTORS
def test_eligibilities_at_their_limits(execute) -> None:
    """Inputs that never decay fill the 24 bits of a trace."""
    setup, _, _ = busy()
    keep = TCLIFNeuron(a1=[[4096]], a2=[[4096]], b1=[0], b2=[4096], vth_mant=900, gamma_mant=500)
    layers = (replace(setup.net.layers[0], neuron=keep), *setup.net.layers[1:])
    setup = replace(setup, net=replace(setup.net, layers=layers))
    x = np.full((60, 1, 4), [[[127, -128, 100, -100]]])
    judged = judge.run(setup, x, [1])
    e = np.array(judged.records[0].eligibility)[:, :, 1]
    assert e.max() == LIMIT and e.min() == -LIMIT
    agree(execute(setup, x, np.array([1]), record=True), judged)


@EXECUTORS
def test_a_readout_alone(execute) -> None:
    """Large inputs, whose trace is that of one compartment: nothing of the dendrite is left after a step."""
    setup, x, labels = busy()
    readout = replace(setup.net.layers[2], synapses=Synapses(weight=2 * np.arange(-6, 6).reshape(3, 4)))
    net = replace(setup.net, layers=(readout,))
    setup = replace(setup, net=net, plasticity=(Plasticity(rate_shift=11, trace_shift=9),), error_shift=12)
    x = np.abs(x)
    judged = judge.run(setup, x, labels)
    assert np.max(judged.records[0].eligibility) > 2**15
    agree(execute(setup, x, labels, record=True), judged)


@EXECUTORS
@examples(40)
@given(setups().flatmap(lambda setup: st.tuples(st.just(setup), samples(setup, 9))))
def test_any_setup(execute, case) -> None:
    setup, (x, labels) = case
    agree(execute(setup, x, labels, record=True), judge.run(setup, x, labels))


def test_random_feedback() -> None:
    setup, _, _ = busy()
    for index in (0, 1):
        weight = setup.feedback_weights(index)
        assert weight.tolist() == judge.random_feedback(setup, index)
        assert np.abs(weight).max() <= 254 and not (weight & 1).any() and len(np.unique(weight)) > 5


@pytest.mark.parametrize("layer", [0, 1])
def test_surrogates_wait_for_their_signal(layer) -> None:
    """What is posted about a step D steps later is that step's, whatever came between."""
    setup, _, _ = busy()
    posting, delay, limit = Posting(setup, layer), setup.delay(layer), 127
    neuron, shifts = setup.net.layers[layer].neuron, setup.plasticity[layer]
    n, signal = len(setup.net.layers[layer].synapses.weight), 1000
    somas = [[neuron.vth + ((5 * t + j) << shifts.surrogate_shift) for j in range(n)] for t in range(9)]
    for t, soma in enumerate(somas):
        posting.remember(np.array(soma), t)
        if t >= delay:
            expected = [
                judge.posted(
                    judge.narrow(judge.surrogate(s, neuron.vth, shifts.surrogate_shift, limit) * signal, 13, limit)
                )
                for s in somas[t - delay]
            ]
            assert list(zip(*map(list, posting.post(np.full(n, signal), t - delay)), strict=True)) == expected


def test_time() -> None:
    """What a chip's layers know of time: when a learning signal comes home, and how long that takes after a sample."""
    setup, _, _ = busy()
    assert [setup.delay(layer) for layer in range(3)] == [3, 2, 0] and setup.idle_steps == 4
    assert setup.targets(2, 5).tolist() == [
        [setup.target_others, setup.target_others, t] for t in (2**15, -(2**14), *[2**16] * 3)
    ]
