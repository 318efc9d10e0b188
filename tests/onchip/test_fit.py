"""The exponentials of the stock engine beside the impulse response that they stand for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.onchip.engine.fit import fit_traces, impulse_response
from tclif_neuro.onchip.rule import equations as rule
from tests.examples import examples


@given(st.floats(0.5, 0.95), st.floats(0.05, 0.4), st.floats(0.2, 1.0))
@examples(30)
def test_two_real_eigenvalues_are_exact(a1, a2, b2) -> None:
    fit = fit_traces(a1, a2, 0.0, b2, steps=20)
    assert fit.error < 1e-9 and np.allclose(fit.response(20), impulse_response(a1, a2, 0.0, b2, 20))
    assert sorted(fit.decay) == pytest.approx(sorted([a1, a2]))


def test_one_compartment_is_one_exponential() -> None:
    fit = fit_traces(0.0, 0.8, 0.0, 1.0, steps=12, traces=1)
    assert fit.error < 1e-12 and fit.decay == (0.8,) and fit.amplitude == pytest.approx((1.0,))


@pytest.mark.parametrize("decay", [0.7, 0.9, 1.0])
def test_an_oscillation_is_not_and_says_so(decay) -> None:
    one, two = (fit_traces(decay, decay, -0.5, 1.0, steps=12, traces=n) for n in (1, 2))
    response = impulse_response(decay, decay, -0.5, 1.0, 12)
    assert 0.1 < two.error <= one.error < 1
    assert two.error == pytest.approx(np.linalg.norm(two.response(12) - response) / np.linalg.norm(response))
    assert max(map(abs, two.amplitude)) <= 4 * np.abs(response).max()
    assert all(0 < d < 1 for d in (*one.decay, *two.decay))


def test_the_response_is_that_of_the_integer_rule() -> None:
    d = e = np.int64(0)
    response = impulse_response(0.9, 0.8, -0.5, 1.0, 10)
    k = [round(c * 4096) for c in (0.9, 0.8, -0.5, 1.0)]
    for t in range(10):
        d, e = rule.eligibility(d, e, np.int64(10000 * (t == 0)), *k)
        assert abs(e / 640000 - response[t]) < 1e-3
