"""The map and its bindings: each equals, to the bit, the plain functions over Python's own numbers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro import dynamics
from tclif_neuro.compiled import rebind
from tclif_neuro.fixed import step
from tclif_neuro.learning.eprop.equations import Trace, trace_step
from tclif_neuro.network import STATE_MAX
from tclif_neuro.neurons import kernels
from tclif_neuro.neurons.step import LIFParams, LIFState, TCLIFParams, TCLIFState, lif_step, tclif_step
from tclif_neuro.onchip.engine.fit import impulse_response
from tclif_neuro.onchip.rule.equations import eligibility
from tests.examples import examples

LIMIT = 2**23 - 1
states = st.integers(-LIMIT, LIMIT) | st.sampled_from([-LIMIT, -1, 0, 1, LIMIT])
reals = st.floats(-4, 4).filter(lambda x: x == 0 or abs(x) > 1e-3)
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


@examples(20)
@given(*[st.floats(0, 1)] * 4)
def test_an_impulse_response_is_the_map_over_the_real_numbers(a1, a2, b1, b2):
    d = e = 0.0
    for t, found in enumerate(impulse_response(a1, a2, -b1, b2, 20)):
        d, e, *_ = dynamics.integrate(d, e, float(t == 0), 0.0, 0.0, a1, a2, -b1, b2)
        assert found == e


def tensors(*values):
    return [torch.tensor([v], dtype=torch.float64) for v in values]


@examples(40)
@given(*[reals] * 3, st.integers(0, 1), *[reals] * 6, st.sampled_from(["delayed", "immediate"]))
def test_the_float_neuron_is_the_map(d, s, current, fired, a1, a2, b1, b2, gamma, vth, kind):
    delayed = fired if kind == "delayed" else 0
    after_d, after_s, *_ = dynamics.integrate(d, s, current, gamma * delayed, vth * delayed, a1, a2, b1, b2)
    spike = dynamics.fire(after_s, vth)
    if kind == "immediate":
        after_d, after_s, _ = dynamics.reset(after_d, after_s, spike, gamma, vth)
    a1, a2, b1, b2 = tensors(a1, a2, b1, b2)
    p = TCLIFParams(a1=a1, a2=a2, b1=b1, b2=b2, gamma=gamma, vth=vth, reset=kind)
    found = tclif_step(TCLIFState(*tensors(d, s, fired)), tensors(current)[0], p)
    assert [x.item() for x in found] == [after_d, after_s, spike]


@examples(40)
@given(reals, reals, st.integers(0, 1), reals, reals, st.sampled_from(["delayed", "immediate", "zero"]))
def test_a_lif_is_the_map_with_a_passive_dendrite(u, current, fired, beta, vth, kind):
    drop = vth * fired if kind == "delayed" else 0
    _, after, *_ = dynamics.integrate(0.0, u, current, 0.0, drop, 0.0, beta, 0.0, 1.0)
    spike = dynamics.fire(after, vth)
    if kind == "immediate":
        _, after, _ = dynamics.reset(0.0, after, spike, 0.0, vth)
    if kind == "zero":
        after = dynamics.reset_to_zero(after, spike)
    p = LIFParams(beta=tensors(beta)[0], vth=vth, reset=kind)
    found = lif_step(LIFState(*tensors(u, fired)), tensors(current)[0], p)
    assert [x.item() for x in found] == [after, spike]


@examples(40)
@given(*[reals] * 8)
def test_a_float_eligibility_is_the_map(d, e, to_d, to_e, a1, decay, couple, b2):
    found = trace_step(
        Trace(*tensors(d, e)), *tensors(a1, b2), tuple(tensors(couple, decay)), tuple(tensors(to_d, to_e))
    )
    assert tuple(x.item() for x in found) == dynamics.integrate(d, e, to_d, 0.0, -to_e, a1, decay, couple, b2)[:2]


@examples(40)
@given(st.lists(reals, min_size=9, max_size=9))
def test_the_compiled_map_and_its_transpose_are_the_plain_ones(values):
    assert kernels.integrate(*values) == dynamics.integrate(*values)
    assert kernels.integrate_back(*values[:6]) == dynamics.integrate_back(*values[:6])
    assert kernels.fire_back(*values[:3]) == dynamics.fire_back(*values[:3])
    for name in ("reset", "reset_back", "reset_to_zero_back"):
        assert getattr(kernels, name)(*values[:5]) == getattr(dynamics, name)(*values[:5])
    assert kernels.reset_to_zero(*values[:2]) == dynamics.reset_to_zero(*values[:2])


def test_a_compiled_derivative_too_small_to_matter_is_zero():
    assert kernels.integrate_back(1e-31, 1e-31, 1.0, 1.0, 1.0, 1.0) == (0, 0, 0, 0)


@examples(30)
@given(st.lists(reals, min_size=11, max_size=11))
def test_the_transpose_is_the_derivative_that_autograd_finds(values):
    *entered, to_d, to_s = tensors(*values)
    entered = [x.requires_grad_() for x in entered]
    d, s, _, _, _, a1, a2, b1, b2 = entered
    after_d, after_s, *_ = dynamics.integrate(*entered)
    found = torch.autograd.grad((to_d * after_d + to_s * after_s).sum(), entered)
    by_d, by_s, before_d, before_s = dynamics.integrate_back(to_d, to_s, a1, a2, b1, b2)
    expected = [before_d, before_s, by_d, -by_d, -by_s, by_d * d, by_s * s, by_d * s, by_s * after_d]
    torch.testing.assert_close(list(found), [x.detach() for x in expected], rtol=1e-12, atol=1e-12)


@examples(30)
@given(st.lists(reals, min_size=8, max_size=8))
def test_the_resets_and_the_spikes_transpose_is_what_autograd_finds(values):
    d, s, spike, gamma, vth, to_d, to_s, psi = tensors(*values)
    d, s, spike = (x.requires_grad_() for x in (d, s, spike))
    after_d, after_s, _ = dynamics.reset(d, s, spike, gamma, vth)
    found = torch.autograd.grad((to_d * after_d + to_s * after_s).sum(), (d, s, spike))
    by_spike = dynamics.reset_back(to_d, to_s, torch.zeros(1).double(), gamma, vth)
    torch.testing.assert_close(list(found), [to_d, to_s, by_spike], rtol=1e-12, atol=1e-12)

    found = torch.autograd.grad((to_s * dynamics.reset_to_zero(s, spike)).sum(), (s, spike))
    expected = dynamics.reset_to_zero_back(to_s, torch.zeros(1).double(), s, spike, 1)
    torch.testing.assert_close(list(found), [x.detach() for x in expected], rtol=1e-12, atol=1e-12)

    (found,) = torch.autograd.grad((to_s * s + spike.detach() * (psi * s)).sum(), s)
    expected = dynamics.fire_back(to_s, spike, psi)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-12, atol=1e-12)


def test_a_lif_is_a_neuron_with_a_passive_dendrite():
    d, s, *_ = dynamics.integrate(3.0, 5.0, 7.0, 0.0, 2.0, 0.0, 0.5, 0.0, 1.0)
    assert (d, s) == (7.0, 0.5 * 5.0 + 7.0 - 2.0)
    assert [dynamics.reset_to_zero(s, spike) for spike in (0, 1)] == [s, 0]


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_the_plain_arithmetic_neither_rounds_nor_saturates(value):
    assert dynamics.mul(value, 0.3) == value * 0.3 and dynamics.sat(value * 1e30) == value * 1e30
    assert STATE_MAX == LIMIT
