"""A calibrated setup fits its data: little is clipped, a new network learns, a trained one keeps what it knows."""

from pathlib import Path

import numpy as np
import pytest

import tclif_neuro as tn
from tclif_neuro.data.digits import digits_rows
from tclif_neuro.network import FormatError
from tclif_neuro.onchip import calibrate, learn, random_network
from tclif_neuro.onchip.rule.losses import shares
from tests.onchip.engine_setups import setup_of

TRAINED = Path(__file__).resolve().parents[2] / "models" / "digits-rows.net"


@pytest.fixture(scope="module")
def digits():
    task = digits_rows("digits", 0)
    return task.x_train.transpose(1, 0, 2), task.y_train, task.x_test.transpose(1, 0, 2), task.y_test


def accuracy(net, digits) -> float:
    return float((tn.simulate(net, digits[2]).predictions == digits[3]).mean())


def test_a_new_network_learns_and_little_is_clipped(digits):
    x, y, *_ = digits
    net = random_network(
        8, setup_of("native").net.layers[0].neuron, 64, 10, rng=np.random.default_rng(1), recurrent=True
    )
    setup = calibrate(net, x, y, seed=3)
    assert setup.seed == 3 and np.all(np.diff(setup.target) > 0)
    run = learn(setup, x, y)
    clipped = {name: share for name, share in shares(run.losses).items() if name.startswith("clipped")}
    assert len(clipped) == 6 and max(clipped.values()) < 0.1
    assert accuracy(run.net, digits) > 0.4 > 2 * accuracy(net, digits)


def test_a_trained_network_is_not_destroyed(digits):
    x, y, *_ = digits
    net = tn.load(TRAINED)
    setup = calibrate(net, x, y)
    run = learn(setup, x, y)
    assert run.net != setup.net
    assert accuracy(run.net, digits) > accuracy(net, digits) - 0.08
    assert setup.plasticity[0] is None and None not in setup.plasticity[1:]  # symmetric feedback reaches no further


def test_what_cannot_be_calibrated_is_refused(digits):
    x, y, *_ = digits
    net = setup_of("native").net
    with pytest.raises(FormatError, match=r"x, y: samples \[T, S, M\] and \[S\] expected, got \[8, 5, 8\] and \[4\]"):
        calibrate(net, x[:, :5], y[:4])
    with pytest.raises(FormatError, match="no readout"):
        calibrate(tn.QuantizedNetwork(layers=net.layers[:1], input=net.input), x, y)
