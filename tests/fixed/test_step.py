"""The integer step against Python's unbounded integers, in both of its arithmetics."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from tclif_neuro.fixed import exact, step
from tclif_neuro.fixed.exact import FLOAT32_INPUT
from tclif_neuro.fixed.intrinsics import TO_NEAREST, TOWARDS_ZERO, set_rounding
from tclif_neuro.network import DECAY_ONE, STATE_MAX

states = st.integers(-STATE_MAX, STATE_MAX) | st.sampled_from([-STATE_MAX, -1, 0, 1, STATE_MAX])
decays = st.integers(0, DECAY_ONE) | st.sampled_from([0, 1, DECAY_ONE - 1, DECAY_ONE])
acts = st.integers(-(2**31) + 2**20, 2**31 - 2**20) | st.integers(-(2**24), 2**24) | st.sampled_from([-(2**23), 2**23])
thresholds = st.integers(1, 2**17 - 1).map(lambda m: m << 6)


@njit
def _every(delayed, immediate, lifs, a, out):
    for i in range(a.shape[0]):
        v = a[i]
        if delayed:
            r = exact.tclif_delayed(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9])
            out[i, 0], out[i, 1], out[i, 2], out[i, 3] = r[0], r[1], r[2], r[3]
        elif immediate:
            r = exact.tclif_immediate(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9])
            out[i, 0], out[i, 1], out[i, 2], out[i, 3] = r[0], r[1], r[2], r[3]
        elif lifs:
            q = exact.lif(v[0], v[1], v[2], v[3], v[4], v[5], v[6])
            out[i, 0], out[i, 1], out[i, 2], out[i, 3] = q[0], q[1], q[2], q[3]


@njit
def _rounded_towards_zero(delayed, immediate, lifs, a, out):
    set_rounding(TOWARDS_ZERO)
    _every(delayed, immediate, lifs, a, out)
    set_rounding(TO_NEAREST)


def compiled(name, *arguments, real):
    """The compiled neuron `name` over `real` arithmetic; arguments are integers, coefficients of 12 fractional bits."""
    scaled = {"lif": (4, 5)}.get(name, (4, 5, 6, 7))
    row = [v / DECAY_ONE if i in scaled else v for i, v in enumerate(arguments)]
    out = np.zeros((1, 4), np.int64)
    _rounded_towards_zero(name == "tclif_delayed", name == "tclif_immediate", name == "lif", np.array([row], real), out)
    return tuple(out[0].tolist())


def arithmetics(act, bias=0):
    """Those that are exact for this input."""
    return (np.float32, np.float64) if abs(act) + abs(bias) <= FLOAT32_INPUT else (np.float64,)


def exact_mul(x, k):
    """Towards zero, in Python's integers."""
    return abs(x * k) // 4096 * (1 if x * k >= 0 else -1)


def exact_sat(x):
    return max(-STATE_MAX, min(STATE_MAX, x))


@given(states, st.integers(-DECAY_ONE, DECAY_ONE))
def test_mul_rounds_towards_zero(x, k):
    assert step.mul(np.int64(x), np.int64(k)) == exact_mul(x, k)
    assert exact._mul(float(x), k / DECAY_ONE) == exact_mul(x, k)


@given(st.integers(-(2**40), 2**40))
def test_sat_and_int32(x):
    assert step.sat(np.int64(x)) == exact_sat(x) == exact._sat(float(x))
    wrapped = (x + 2**31) % 2**32 - 2**31
    assert step.int32(np.int64(x)) == wrapped == exact._int32(float(x))


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
    for name in expected:
        got = getattr(step, name)(*integers)
        assert tuple(int(v) for v in got[:3]) == expected[name]
        for real in arithmetics(act):
            assert compiled(name, *map(int, integers), real=real) == tuple(int(v) for v in got[:4])
        assert got[4] == (delayed_s if name == "tclif_delayed" else immediate_s)


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
    for real in arithmetics(act, bias):
        assert compiled("lif", u, v, act, bias, u_decay, v_decay, vth, real=real) == tuple(int(x) for x in got)


def test_saturations_are_counted():
    full = np.int64(STATE_MAX)
    *_, count, _ = step.tclif_delayed(full, full, 0, np.int64(2**30), 4096, 4096, 0, 4096, 0, full)
    assert count == 2
    *_, none, _ = step.tclif_delayed(np.int64(5), np.int64(5), 0, np.int64(5), 4096, 4096, 0, 4096, 0, full)
    assert none == 0


def test_float32_at_every_boundary():
    """All products of the largest and the smallest states and coefficients; rounded to nearest, they would be wrong."""
    states = [
        sign * v
        for sign in (-1, 1)
        for v in (0, 1, 2, 4095, 4096, 2**22 - 1, 2**22, 2**22 + 1, STATE_MAX - 1, STATE_MAX)
    ]
    factors = [0, 1, 2, 2047, 2048, 2049, 4094, 4095, 4096]
    rows = [(x, y, 1, 0, k, k, -k, k, 64, 64) for x in states for y in states for k in factors]
    out = np.zeros((len(rows), 4), np.int64)
    scaled = np.array(rows, np.float32) / np.where(
        [4 <= i < 8 for i in range(10)], np.float32(DECAY_ONE), np.float32(1)
    )
    columns = np.array(rows, np.int64).T
    expected = np.stack(step.tclif_delayed(*columns)[:4], axis=1)
    _rounded_towards_zero(True, False, False, scaled, out)
    np.testing.assert_array_equal(out, expected)
    _every(True, False, False, scaled, out)
    assert (out != expected).any()
