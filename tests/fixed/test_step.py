"""The integer step against Python's unbounded integers, in both of its arithmetics."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.fixed import kernel, step
from tclif_neuro.network import DECAY_ONE, STATE_MAX

states = st.integers(-STATE_MAX, STATE_MAX) | st.sampled_from([-STATE_MAX, -1, 0, 1, STATE_MAX])
decays = st.integers(0, DECAY_ONE) | st.sampled_from([0, 1, DECAY_ONE - 1, DECAY_ONE])
acts = st.integers(-(2**31) + 2**20, 2**31 - 2**20) | st.integers(-(2**24), 2**24)
thresholds = st.integers(1, 2**17 - 1).map(lambda m: m << 6)


def exact_mul(x, k):
    """Towards zero, in Python's integers."""
    return abs(x * k) // 4096 * (1 if x * k >= 0 else -1)


def exact_sat(x):
    return max(-STATE_MAX, min(STATE_MAX, x))


@given(states, st.integers(-DECAY_ONE, DECAY_ONE))
def test_mul_rounds_towards_zero(x, k):
    assert step.mul(np.int64(x), np.int64(k)) == exact_mul(x, k)
    assert kernel._mul(float(x), k / DECAY_ONE) == exact_mul(x, k)


@given(st.integers(-(2**40), 2**40))
def test_sat_and_int32(x):
    assert step.sat(np.int64(x)) == exact_sat(x) == kernel._sat(float(x))
    wrapped = (x + 2**31) % 2**32 - 2**31
    assert step.int32(np.int64(x)) == wrapped == kernel._int32(float(x))


@given(states, states, st.integers(0, 1), acts, decays, decays, decays, decays, thresholds, thresholds)
def test_two_compartments_in_both_arithmetics(dendrite, soma, fired, act, a1, a2, b1, b2, gamma, vth):
    d = exact_mul(dendrite, a1) + exact_mul(soma, -b1) + act
    delayed_d = exact_sat(d - gamma * fired)
    delayed_s = exact_sat(exact_mul(soma, a2) + exact_mul(delayed_d, b2) - vth * fired)
    immediate_s = exact_sat(exact_mul(soma, a2) + exact_mul(exact_sat(d), b2))
    spike = int(immediate_s >= vth)
    expected = {
        "tclif_delayed": (delayed_d, delayed_s, int(delayed_s >= vth)),
        "tclif_immediate": (exact_sat(exact_sat(d) - gamma * spike), exact_sat(immediate_s - vth * spike), spike),
    }
    integers = [np.int64(v) for v in (dendrite, soma, fired, act, a1, a2, -b1, b2, gamma, vth)]
    floats = [float(v) for v in (dendrite, soma, fired, act)]
    floats += [v / DECAY_ONE for v in (a1, a2, -b1, b2)] + [float(gamma), float(vth)]
    for name, compiled in (("tclif_delayed", kernel._delayed), ("tclif_immediate", kernel._immediate)):
        got = getattr(step, name)(*integers)
        assert tuple(int(v) for v in got[:3]) == expected[name]
        assert tuple(int(v) for v in compiled(*floats)) == tuple(int(v) for v in got)


@given(states, states, acts, st.integers(-(2**19), 2**19), decays, decays, thresholds)
def test_lif_in_both_arithmetics(u, v, act, bias, u_decay, v_decay, vth):
    """Lava's stock model, line by line, in 32-bit integers."""
    current = np.array(exact_mul(u, u_decay) + act).astype(np.int64).astype(np.int32)
    wide = int(current)
    wrapped = wide - 2**24 if wide > 2**23 else wide + 2**24 if wide <= -(2**23) else wide
    potential = exact_sat(int(np.int64(exact_mul(v, v_decay) + wrapped + bias).astype(np.int32)))
    spike = int(potential > vth)
    expected = (wrapped, 0 if spike else potential, spike)
    got = step.lif(*(np.int64(x) for x in (u, v, act, bias, u_decay, v_decay, vth)))
    assert tuple(int(x) for x in got[:3]) == expected
    floats = (float(u), float(v), float(act), float(bias), u_decay / DECAY_ONE, v_decay / DECAY_ONE, float(vth))
    assert tuple(int(x) for x in kernel._lif(*floats)) == tuple(int(x) for x in got)


def test_saturations_are_counted():
    full = np.int64(STATE_MAX)
    *_, count = step.tclif_delayed(full, full, 0, np.int64(2**30), 4096, 4096, 0, 4096, 0, full)
    assert count == 2
    *_, none = step.tclif_delayed(np.int64(5), np.int64(5), 0, np.int64(5), 4096, 4096, 0, 4096, 0, full)
    assert none == 0
