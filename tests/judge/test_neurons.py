"""The integer step and its executors against the judge, at every equality and limit."""

from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro import dynamics
from tclif_neuro.compiled import rebind
from tclif_neuro.fixed import step
from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.fixed.simulator import simulate
from tclif_neuro.network import MANT_MAX, InputCoding, Layer, LIFNeuron, QuantizedNetwork, Synapses, TCLIFNeuron
from tests.examples import examples
from tests.judge import neurons as judge
from tests.judge.edges import AROUND, driven, drives
from tests.judge.neurons import LIMIT
from tests.strategies import inputs, networks

# The reference first: it is there at once, the simulator may have to be compiled.
EXECUTORS = pytest.mark.parametrize(
    "execute",
    [lambda net, x: run_reference(net, x, record=True), lambda net, x: simulate(net, x, record=True)],
    ids=["reference", "simulator"],
)

EDGES = (-LIMIT, 1 - LIMIT, -4097, -4096, -4095, -1, 0, 1, 4095, 4096, 4097, LIMIT - 1, LIMIT)
SOME = 23  # every so many of the drives
FACTORS = (0, 1, 2047, 2048, 4095, 4096)
TARGETS = [sign * mark + near for mark in (0, 64, LIMIT) for sign in (-1, 1) for near in AROUND]


def agree(run, records) -> None:
    """A `Run` and the judge's `Record`s, all of them."""
    for ours, judged in zip(run.layers, records, strict=True):
        np.testing.assert_array_equal(ours.spikes.swapaxes(0, 1), judged.spikes)
        np.testing.assert_array_equal(ours.states[0].swapaxes(0, 1), judged.first)
        np.testing.assert_array_equal(ours.states[1].swapaxes(0, 1), judged.second)
        np.testing.assert_array_equal(ours.counts, np.sum(judged.spikes, axis=1))
        np.testing.assert_array_equal(ours.final, [[s[-1] for s in judged.first], [s[-1] for s in judged.second]])
        assert ours.saturations == judged.saturations


def columns(rows) -> list[np.ndarray]:
    return list(np.array(rows, np.int64).T)


def test_the_judge_by_hand():
    """Lines of docs/integers.md, computed on paper."""
    assert [judge.mul(x, k) for x, k in [(3, 2048), (-3, 2048), (3, -2048), (-1, 4095), (LIMIT, 4096)]] == [
        1,
        -1,
        -1,
        0,
        LIMIT,
    ]
    assert [judge.shifted(x, e) for x, e in [(-1, -3), (-9, -3), (7, -3), (-3, 2)]] == [-1, -2, 0, -12]
    sat = judge.Saturating()
    assert [sat(x) for x in (LIMIT, LIMIT + 1, -LIMIT, -LIMIT - 1)] == [LIMIT, LIMIT, -LIMIT, -LIMIT]
    assert sat.count == 2
    delayed, immediate = ((4096, 4096, -4096, 4096, 64, 128, reset) for reset in ("delayed", "immediate"))
    assert judge.tclif(10, 20, 1, 302, delayed, sat) == (228, 120, 0, 120)
    assert judge.tclif(10, 20, 0, 118, immediate, sat) == (44, 0, 1, 128)
    assert judge.lif(0, 0, 64, 0, 0, 0, 64, sat) == (64, 64, 0)
    assert judge.lif(0, 0, 65, 0, 0, 0, 64, sat) == (65, 0, 1)
    assert judge.lif(0, 0, 2**23, 0, 0, 0, 64, sat)[0] == 2**23
    assert judge.lif(0, 0, -(2**23), 0, 0, 0, MANT_MAX << 6, sat)[0] == 2**23


def test_the_map_over_the_real_numbers_by_hand():
    assert dynamics.integrate(2.0, 4.0, 1.0, 0.5, 0.25, 0.5, 0.25, -0.5, 2.0) == (-0.5, -0.25, -0.5, -0.25)
    assert [dynamics.fire(soma, 1.0) for soma in (0.99, 1.0, 1.01)] == [0, 1, 1]
    assert dynamics.reset(3.0, 2.0, 1, 0.5, 1.5) == (2.5, 0.5, 2.5) and dynamics.reset(3.0, 2.0, 0, 0.5, 1.5) == (
        3,
        2,
        3,
    )
    assert [dynamics.reset_to_zero(2.0, spike) for spike in (0, 1)] == [2, 0]
    assert dynamics.sat(-(10.0**9)) == -(10.0**9)


def differences(function, entered, to):
    """What one more of each argument adds to `sum(to * function(...))`, which is linear in each: its derivatives."""

    def loss(*arguments):
        return sum(weight * value for weight, value in zip(to, function(*arguments), strict=True))

    moved = [[x + (i == j) for j, x in enumerate(entered)] for i in range(len(entered))]
    return [loss(*arguments) - loss(*entered) for arguments in moved]


def test_the_transpose_is_the_difference_that_one_more_makes():
    """In whole numbers, no two alike, so that no change of a line leaves all of them."""
    entered = d, s, current, drop_d, _, a1, a2, b1, b2 = 2, 3, 5, 7, 11, 13, 17, 19, 23
    after_d, _, to_d, to_s = 13 * d + 19 * s + current - drop_d, 0, 29, 31
    by_d, by_s, before_d, before_s = dynamics.integrate_back(to_d, to_s, a1, a2, b1, b2)
    found = [before_d, before_s, by_d, -by_d, -by_s, by_d * d, by_s * s, by_d * s, by_s * after_d]
    assert found == differences(lambda *x: dynamics.integrate(*x)[:2], entered, (to_d, to_s))

    gamma, vth, to_spike = 5, 7, 11
    by_state_d, by_state_s, by_spike = differences(
        lambda *x: dynamics.reset(*x, gamma, vth)[:2], (d, s, 1), (to_d, to_s)
    )
    assert (by_state_d, by_state_s) == (to_d, to_s)
    assert dynamics.reset_back(to_d, to_s, to_spike, gamma, vth) == to_spike + by_spike

    for spike in (0, 1, 2):  # a surrogate's value may be anything
        by_soma, by_spike = differences(lambda *x: [dynamics.reset_to_zero(*x)], (s, spike), [to_s])
        for kept in (0, 1):
            found = dynamics.reset_to_zero_back(to_s, to_spike, s, spike, kept)
            assert found == (by_soma, to_spike + kept * by_spike)

    assert dynamics.fire_back(to_s, to_spike, 13) == to_s + 13 * to_spike
    assert dynamics.flush(to_s) == to_s
    flushed = rebind(dynamics.integrate_back, flush=lambda x: -x)(to_d, to_s, a1, a2, b1, b2)
    assert flushed == (-by_d, -by_s, -before_d, -before_s)


def test_products_at_every_boundary():
    rows = [(x, sign * k) for x in EDGES for k in FACTORS for sign in (-1, 1)]
    expected = [judge.mul(x, k) for x, k in rows]
    assert step.mul(*columns(rows)).tolist() == expected
    assert [int(step.mul(np.int64(x), np.int64(k))) for x, k in rows] == expected


def test_saturation_and_words_at_every_boundary():
    marks = [sign * 2**bits + near for bits in (22, 23, 24, 31, 32, 33) for sign in (-1, 1) for near in AROUND]
    assert step.sat(np.array(marks)).tolist() == [judge.Saturating()(x) for x in marks]
    assert step.int32(np.array(marks)).tolist() == [(x + 2**31) % 2**32 - 2**31 for x in marks]


def aimed(reset: str):
    """Steps whose dendrite, before it saturates, is each target, and whose soma is each target and each threshold."""
    states = [(0, 0), (LIMIT, -LIMIT), (-LIMIT, LIMIT), (4097, -4095), (-1, 1)]
    decays = [(4096, 4096, 0, 4096), (4095, 1, -4096, 4096), (0, 2048, -2049, 4096), (4096, 4095, -1, 4095)]
    for (d, s), fired, factors, (gamma, vth) in product(
        states, (0, 1), decays, [(0, 64), (64, 128), (640, 64), (MANT_MAX * 64, MANT_MAX * 64)]
    ):
        a1, a2, b1, _ = factors
        taken = fired * (reset == "delayed")
        base = judge.mul(d, a1) + judge.mul(s, b1) - gamma * taken
        kept = judge.mul(s, a2) - vth * taken
        for target in {*TARGETS, *(vth + near for near in AROUND), *(gamma - LIMIT + near for near in AROUND)}:
            for act in (target - base, target - kept - base):
                yield d, s, fired, act, *factors, gamma, vth


@pytest.mark.parametrize("reset", ["delayed", "immediate"])
def test_two_compartments_at_every_boundary(reset):
    rows, expected = list(aimed(reset)), []
    for d, s, fired, act, *rest in rows:
        sat = judge.Saturating()
        expected.append((*judge.tclif(d, s, fired, act, (*rest, reset), sat)[:3], sat.count))
    got = np.stack(getattr(step, f"tclif_{reset}")(*columns(rows))[:4], axis=1)
    np.testing.assert_array_equal(got, expected)
    spikes, counts = np.array(expected)[:, 2], np.array(expected)[:, 3]
    assert 0.1 < spikes.mean() < 0.9 and set(counts.tolist()) >= {0, 1, 2}


def test_the_stock_neuron_at_every_boundary():
    rows, expected = [], []
    vth = [64, 640, MANT_MAX * 64]
    for u, v, u_keep, v_keep, bias, threshold in product(EDGES, EDGES, (0, 4095), (0, 4096), (-640, 0, 63), vth):
        kept_u, kept_v = judge.mul(u, u_keep), judge.mul(v, v_keep)
        targets = [
            -(2**23),
            2**23,
            -(2**31),
            2**31,
            threshold - kept_v - bias,
            LIMIT - kept_v - bias,
            -LIMIT - kept_v - bias,
        ]
        for near, target in product((-1, 0, 1), targets):
            rows.append((u, v, target + near - kept_u, bias, u_keep, v_keep, threshold))
    for row in rows:
        sat = judge.Saturating()
        expected.append((*judge.lif(*row, sat), sat.count))
    np.testing.assert_array_equal(np.stack(step.lif(*columns(rows)), axis=1), expected)


TCLIFS = [
    ([[4096]], [[4096]], [0], [4096], 0, 1),
    ([[4096]], [[4096]], [-4096], [4096], 1000, 2000),
    ([[4095]], [[4093]], [-2049], [4091], MANT_MAX, MANT_MAX),
    ([[0]], [[4096]], [0], [4096], 0, 700),
    ([[4096], [1], [0]], [[2048], [4095], [4096]], [-1], [2047], 500, 300),
]


@cache
def driven_cases(reset: str, bias: int, inputs: int):
    """Networks, their inputs, and the judge's records of them."""
    cases = []
    for a1, a2, b1, b2, gamma, vth in TCLIFS:
        neuron = TCLIFNeuron(a1=a1, a2=a2, b1=b1, b2=b2, vth_mant=vth, gamma_mant=gamma, reset=reset)
        net, x = driven(neuron, bias, inputs), drives(neuron.vth, neuron.gamma, inputs)[:, ::SOME]
        cases.append((net, x, judge.run(net, x)))
    return cases


@EXECUTORS
@pytest.mark.parametrize("reset", ["delayed", "immediate"])
@pytest.mark.parametrize("bias", [0, 1, 63])
@pytest.mark.parametrize("inputs", [4, 6])  # in the simulator's float32, and in its float64
def test_driven_to_every_boundary(execute, reset, bias, inputs):
    for net, x, records in driven_cases(reset, bias, inputs):
        agree(execute(net, x), records)


@cache
def driven_lifs(inputs: int):
    cases = []
    for (i_decay, v_decay), (vth, bias, exponent) in product(
        [(4096, 4096), (4096, 0), (1, 4095), (2049, 1)], [(1, 0, 0), (700, -64, 3), (MANT_MAX, 4095, 7)]
    ):
        neuron = LIFNeuron(i_decay=i_decay, v_decay=v_decay, vth_mant=vth)
        net, x = driven(neuron, bias, inputs, exponent), drives(neuron.vth, 0, inputs)[:, ::SOME]
        cases.append((net, x, judge.run(net, x)))
    return cases


@EXECUTORS
@pytest.mark.parametrize("inputs", [4, 6])
def test_stock_neurons_driven_to_every_boundary(execute, inputs):
    for net, x, records in driven_lifs(inputs):
        agree(execute(net, x), records)


@EXECUTORS
def test_what_saturates_is_counted(execute):
    """Exactly at the limit nothing is lost; one beyond, one saturation a state and step."""
    neuron = TCLIFNeuron(a1=[[0]], a2=[[0]], b1=[0], b2=[4096], vth_mant=MANT_MAX, gamma_mant=0)
    at_limit = np.array([[[127, 127, 127, 127, 6, 1]]])
    for bias, saturations, soma in [(63, 0, LIMIT), (64, 1, LIMIT)]:
        layer = Layer(
            synapses=Synapses(weight=np.array([[255, 255, 255, 255, 255, 1]])), neuron=neuron, bias_mant=[bias]
        )
        net = QuantizedNetwork(layers=(layer,), input=InputCoding(bits=8, signed=True))
        assert 255 * (4 * 127 + 6) + 1 == 2**17 - 1
        run = execute(net, at_limit)
        agree(run, judge.run(net, at_limit))
        assert (run.layers[0].saturations, int(run.layers[0].final[1, 0, 0])) == (saturations, soma)
        assert run.layers[0].counts.tolist() == [[1]]  # and the soma is above this threshold


@EXECUTORS
@pytest.mark.parametrize(("source", "exponent"), [(-1, -3), (1, -3), (-9, -8), (9, 2)])
def test_a_negative_exponent_shifts_the_sum(execute, source, exponent):
    """Each matrix shifts its own sum, rounding down: minus one stays minus one."""
    layer = Layer(
        synapses=Synapses(weight=np.array([[1, 1], [3, 2]]), exponent=exponent),
        recurrent=Synapses(weight=np.array([[-1, 0], [-1, -5]]), exponent=-2),
        neuron=TCLIFNeuron(a1=[[4096]], a2=[[4096]], b1=[0], b2=[4096], vth_mant=1, gamma_mant=0),
        bias_mant=[64, 64],
    )
    net, x = QuantizedNetwork(layers=(layer,), input=InputCoding(bits=8, signed=True)), np.full((6, 1, 2), source)
    run = execute(net, x)
    agree(run, judge.run(net, x))
    first = (source * 2) >> -exponent if exponent < 0 else source * 2 << exponent
    assert run.layers[0].states[0, 0, 0, 0] == first * 64 + 64


@EXECUTORS
def test_a_schedule_keeps_its_last_row(execute):
    neuron = TCLIFNeuron(
        a1=[[4096], [2048], [1024]], a2=[[0], [4096], [2048]], b1=[0], b2=[0], vth_mant=MANT_MAX, gamma_mant=0
    )
    net, x = driven(neuron), np.zeros((6, 2, 5))
    x[0, :, 4] = 64
    run = execute(net, x)
    agree(run, judge.run(net, x))
    assert run.layers[0].states[0, :, 0, 0].tolist() == [4096, 2048, 512, 128, 32, 8]


@EXECUTORS
@examples(40)
@given(networks().flatmap(lambda net: st.tuples(st.just(net), inputs(net, 9))))
def test_random_networks(execute, case):
    net, x = case
    agree(execute(net, x), judge.run(net, x))
