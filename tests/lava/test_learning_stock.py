"""The variants on Lava's stock learning engine: they teach what the exact rule teaches, as far as 7 bits let them."""

from dataclasses import replace

import numpy as np
import pytest

from tclif_neuro.data.digits import digits_rows
from tclif_neuro.lava.learning import learn
from tclif_neuro.lava.learning_variants import learn_stock, matrices, stock_rule
from tclif_neuro.network import DECAY_ONE, MANT_MAX, FormatError, LIFNeuron, TCLIFNeuron
from tclif_neuro.onchip.reference import learn_reference
from tclif_neuro.onchip.setup import LearningSetup, Plasticity
from tclif_neuro.onchip.start import random_network

pytestmark = [pytest.mark.lava]

HIDDEN = Plasticity(
    rate_shift=9, trace_shift=8, signal_shift=13, surrogate_shift=10, recurrent_rate_shift=10, recurrent_trace_shift=0
)
READOUT = Plasticity(rate_shift=10, trace_shift=6)
ONE = np.array([DECAY_ONE])


def setup_of(variant: str, leak: int = 0, **changes) -> LearningSetup:
    decay = np.array([[3686]])
    neuron = TCLIFNeuron(a1=decay, a2=decay, b1=-ONE // 2, b2=ONE, vth_mant=1024, gamma_mant=512)
    net = random_network(8, neuron, 20, 10, rng=np.random.default_rng(0), recurrent=True)
    leaky = LIFNeuron(i_decay=DECAY_ONE, v_decay=leak, vth_mant=MANT_MAX)
    net = replace(net, layers=(net.layers[0], replace(net.layers[1], neuron=leaky)))
    given = {"net": net, "rules": (HIDDEN, READOUT), "target": 2**16 * np.arange(1, 9), "error_shift": 12}
    return LearningSetup(**{**given, "feedback": "random", "epoch": 1, "variant": variant, **changes})


def cosine(a, b) -> float:
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


@pytest.fixture(scope="module")
def digits():
    task = digits_rows("digits", 0)
    return task.x_train[:8].transpose(1, 0, 2), task.y_train[:8]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "leak", "idle", "hidden", "readout"), [("prefiltered", 0, 1, 0.7, 0.7), ("native", 1200, 12, 0.4, 0.5)]
)
def test_it_teaches_what_the_exact_rule_does(digits, variant, leak, idle, hidden, readout) -> None:
    x, y = digits
    setup = setup_of(variant, leak)
    run = learn_stock(setup, x, y, idle=idle)
    exact = learn_reference(replace(setup, variant="exact"), x, y)
    for (layer, recurrent), least in zip(matrices(setup), (hidden, None, readout), strict=True):
        which = "recurrent" if recurrent else "synapses"
        before, after = (getattr(net.layers[layer], which).weight.astype(float) for net in (setup.net, exact.net))
        weight = run.weights[layer, recurrent].astype(float)
        assert np.abs(weight).max() <= 256
        if weight.shape != before.shape:  # the positive and the negative part of each trace
            half = before.shape[1]
            weight = before + (weight[:, :half] - before) - (weight[:, half:] + before)
        assert (weight != before).any()
        if least is not None:
            assert cosine(weight - before, after - before) > least
    assert run.error.shape == (8,) and run.potential.shape == (8, 8, 10)


def test_the_fit_is_reported() -> None:
    native = {
        which: stock_rule(setup_of("native", 1200), *which, 4, 8) for which in [(0, False), (0, True), (1, False)]
    }
    assert native[0, False].fit_error > native[0, True].fit_error > 0.1 > native[1, False].fit_error
    assert "x2" in native[0, True].products and "x2" not in native[0, False].products  # payloads reach x1 alone
    assert all(0 <= impulse <= 127 for rule in native.values() for impulse in rule.impulse)
    assert stock_rule(setup_of("prefiltered"), 0, False, 4, 8).fit_error == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feedback": "symmetric"}, "copy weights"),
        ({"epoch": None}, "epoch: None"),
        ({"rounding": "nearest"}, "rounds stochastically"),
        ({"rules": (HIDDEN, None)}, "every layer must learn"),
        ({"rules": (replace(HIDDEN, rate_shift=12), READOUT)}, r"rate_shift 12 is outside the engine's \[4, 11\]"),
        ({"rules": (replace(HIDDEN, recurrent=False), READOUT)}, "recurrent synapses must learn"),
        ({"trace_bits": 5}, "trace_bits: 5"),
        ({"variant": "exact"}, "variant: 'exact'"),
    ],
)
def test_what_the_engine_cannot_do_is_refused(digits, changes, message) -> None:
    with pytest.raises(FormatError, match=message):
        learn_stock(setup_of(**{"variant": "prefiltered", **changes}), *digits)


def test_the_exact_runner_refuses_the_others(digits) -> None:
    with pytest.raises(FormatError, match="variant: 'native'"):
        learn(setup_of("native"), *digits)
