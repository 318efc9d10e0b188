"""Lava's stock learning engine and its compiled model give the same bits."""

import numpy as np
import pytest

from tclif_neuro.lava.learning.engine import learn_stock
from tclif_neuro.lava.learning.exact import learn
from tclif_neuro.network import FormatError
from tclif_neuro.onchip.engine import simulator as stock_simulator
from tests.onchip.stock_setups import digits, setup_of

pytestmark = [pytest.mark.lava]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "leak", "recurrent", "idle"),
    [("prefiltered", 0, True, 1), ("prefiltered", 0, False, 2), ("native", 1200, True, 3)],
)
def test_lava_and_the_compiled_engine_are_equal_after_every_sample(variant, leak, recurrent, idle) -> None:
    setup = setup_of(variant, leak, recurrent, seed=5, samples=3)
    there = learn_stock(setup, *digits(2), idle=idle, record=True, timeout=300)
    here = stock_simulator.learn_stock(setup, *digits(2), idle=idle, record=True)
    assert there.weights.keys() == here.weights.keys() and there.fit_error == here.fit_error
    for which, history in there.history.items():
        assert (history[0] != history[1]).any()
        np.testing.assert_array_equal(history, here.history[which])
        np.testing.assert_array_equal(there.weights[which], here.weights[which])
    assert there.spikes.any()
    np.testing.assert_array_equal(there.spikes, here.spikes)
    np.testing.assert_array_equal(there.potential, here.potential)
    np.testing.assert_array_equal(there.error, here.error)
    assert there.setup.samples == here.setup.samples == 5


def test_a_setup_that_the_engine_cannot_run_is_refused() -> None:
    with pytest.raises(FormatError, match="copy weights"):
        learn_stock(setup_of("prefiltered", feedback="symmetric"), *digits(1))


def test_the_exact_runner_refuses_the_others() -> None:
    with pytest.raises(FormatError, match="variant: 'native'"):
        learn(setup_of("native"), *digits(1))
