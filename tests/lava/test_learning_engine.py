"""Lava's learning engine and its compiled model give the same bits."""

import numpy as np
import pytest

from tclif_neuro.network import FormatError
from tclif_neuro.onchip import learn
from tests.onchip.engine_setups import digits, setup_of

pytestmark = [pytest.mark.lava]


def assert_equal(there, here) -> None:
    """Every recorded number is the same, and where the engine stopped."""
    for a, b in zip(there.layers, here.layers, strict=True):
        for field in ("spikes", "states", "posted", "eligibility", "weight"):
            ours, theirs = getattr(a, field), getattr(b, field)
            assert ours.dtype == theirs.dtype, field
            np.testing.assert_array_equal(ours, theirs, field)
    for field in ("weights", "traces"):
        for matrix, array in getattr(here.setup.engine, field).items():
            np.testing.assert_array_equal(getattr(there.setup.engine, field)[matrix], array, field)
    assert there.setup.engine.epochs == here.setup.engine.epochs and there.setup.learnt == here.setup.learnt
    assert there.fit_error == here.fit_error
    np.testing.assert_array_equal(there.potential, here.potential)
    np.testing.assert_array_equal(there.error, here.error)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "leak", "recurrent", "idle"),
    [("prefiltered", 0, True, 1), ("prefiltered", 0, False, 2), ("native", 1200, True, 3)],
)
def test_lava_and_the_compiled_engine_are_equal_and_go_on_alike(variant, leak, recurrent, idle) -> None:
    x, y = digits(4)
    setup = setup_of(variant, leak, recurrent, seed=5, idle=idle)
    whole = learn(setup, x, y, record=True)
    first = learn(setup, x[:, :2], y[:2], backend="lava", record=True, timeout=300)
    assert_equal(first, learn(setup, x[:, :2], y[:2], record=True))
    assert (first.layers[0].weight[0] != first.layers[0].weight[1]).any() and first.layers[0].spikes.any()
    second = learn(first.setup, x[:, 2:], y[2:], backend="lava", record=True, timeout=300)
    assert_equal(second, learn(first.setup, x[:, 2:], y[2:], record=True))
    for field in ("weights", "traces"):
        for matrix, array in getattr(whole.setup.engine, field).items():
            np.testing.assert_array_equal(getattr(second.setup.engine, field)[matrix], array)


def test_a_setup_that_the_engine_cannot_run_is_refused() -> None:
    with pytest.raises(FormatError, match="copy weights"):
        learn(setup_of("prefiltered", feedback="symmetric"), *digits(1), backend="lava")
