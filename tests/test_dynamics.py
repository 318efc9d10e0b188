"""The map and its bindings: each equals, to the bit, the plain functions over Python's own numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tclif_neuro import dynamics
from tclif_neuro.compiled import rebind
from tclif_neuro.fixed import step
from tclif_neuro.network import STATE_MAX
from tclif_neuro.onchip.engine.fit import impulse_response
from tclif_neuro.onchip.rule.equations import eligibility

LIMIT = 2**23 - 1
states = st.integers(-LIMIT, LIMIT) | st.sampled_from([-LIMIT, -1, 0, 1, LIMIT])
coefficients = st.integers(0, 4096) | st.sampled_from([0, 1, 4095, 4096])


def mul(x: int, k: int) -> int:
    return abs(x * k) // 4096 * (1 if x * k >= 0 else -1)


def sat(x: int) -> int:
    return min(max(x, -LIMIT), LIMIT)


integrate = rebind(dynamics.integrate, mul=mul, sat=sat)
reset = rebind(dynamics.reset, sat=sat)


@given(
    states, states, st.integers(0, 1), st.integers(-(2**30), 2**30), *[coefficients] * 4, *[st.integers(1, LIMIT)] * 2
)
def test_the_integers_are_the_map_over_their_arithmetic(d, s, fired, act, a1, a2, b1, b2, gamma, vth):
    delayed = [int(v) for v in step.tclif_delayed(*np.array([d, s, fired, act, a1, a2, -b1, b2, gamma, vth]))]
    after = integrate(d, s, act, gamma * fired, vth * fired, a1, a2, -b1, b2)
    assert delayed[:3] == [*after[:2], dynamics.fire(after[1], vth)] and delayed[4] == after[1]

    immediate = [int(v) for v in step.tclif_immediate(*np.array([d, s, fired, act, a1, a2, -b1, b2, gamma, vth]))]
    d, s, *_ = integrate(d, s, act, 0, 0, a1, a2, -b1, b2)
    spike = dynamics.fire(s, vth)
    assert immediate[:3] == [*reset(d, s, spike, gamma, vth)[:2], spike] and immediate[4] == s


@given(states, states, st.integers(-128, 255), *[coefficients] * 4)
def test_an_eligibility_is_the_neuron_that_never_fires(d, e, x, a1, a2, b1, b2):
    ours = eligibility(*np.array([d, e, x, a1, a2, -b1, b2]))
    neuron = step.tclif_delayed(*np.array([d, e, 0, x << 6, a1, a2, -b1, b2, 0, LIMIT]))
    assert ours == neuron[:2]


@settings(max_examples=20)
@given(*[st.floats(0, 1)] * 4)
def test_an_impulse_response_is_the_map_over_the_real_numbers(a1, a2, b1, b2):
    d = e = 0.0
    for t, found in enumerate(impulse_response(a1, a2, -b1, b2, 20)):
        d, e, *_ = dynamics.integrate(d, e, float(t == 0), 0.0, 0.0, a1, a2, -b1, b2)
        assert found == e


def test_a_lif_is_a_neuron_with_a_passive_dendrite():
    d, s, *_ = dynamics.integrate(3.0, 5.0, 7.0, 0.0, 2.0, 0.0, 0.5, 0.0, 1.0)
    assert (d, s) == (7.0, 0.5 * 5.0 + 7.0 - 2.0)
    assert [dynamics.reset_to_zero(s, spike) for spike in (0, 1)] == [s, 0]


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_the_plain_arithmetic_neither_rounds_nor_saturates(value):
    assert dynamics.mul(value, 0.3) == value * 0.3 and dynamics.sat(value * 1e30) == value * 1e30
    assert STATE_MAX == LIMIT
