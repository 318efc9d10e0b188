"""The undamped integer map is a lifting scheme: each half adds a rounded function of the other state, so it inverts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.fixed.step import mul, tclif_delayed
from tclif_neuro.network import STATE_MAX
from tests.examples import examples

ONE = 4096


def forward(d, s, b1, b2):
    """A step of the neuron without input, below a threshold that is never reached."""
    d, s, spike, saturated, _ = tclif_delayed(d, s, 0, 0, ONE, ONE, b1, b2, 0, STATE_MAX)
    assert not np.any(spike) and not np.any(saturated)
    return d, s


def backward(d, s, b1, b2):
    s = s - mul(d, b2)
    return d - mul(s, b1), s


@examples(50)
@given(st.integers(-ONE, 0), st.integers(0, ONE), st.integers(-(2**20), 2**20), st.integers(-(2**20), 2**20))
def test_every_step_can_be_taken_back(b1, b2, dendrite, soma):
    state = np.int64(dendrite), np.int64(soma)
    assert backward(*forward(*state, b1, b2), b1, b2) == state


@pytest.mark.slow
def test_a_hundred_thousand_steps_keep_the_amplitude_and_lead_back_to_the_start():
    b1, b2 = -ONE // 2, ONE // 2
    scales = 1 << np.repeat([9, 17], 8)
    start = d, s = np.random.default_rng(9).integers(-scales, scales, (2, 16))
    peaks = np.zeros((100, 16), np.int64)
    for t in range(100_000):
        d, s = forward(d, s, b1, b2)
        peaks[t // 1000] = np.maximum(peaks[t // 1000], abs(s))
    counts = 0.02 * peaks[0] + 4  # rounding may place the peak of a turn a little off
    assert (abs(peaks[-1] - peaks[0]) <= counts).all()
    for _ in range(100_000):
        d, s = backward(d, s, b1, b2)
    assert (d == start[0]).all() and (s == start[1]).all()
