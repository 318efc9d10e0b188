"""The variants on a stock learning engine, compiled: they teach what the exact rule does, as far as 7 bits let them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.fixed.run import InputError
from tclif_neuro.network import FormatError, InputCoding
from tclif_neuro.onchip import Plasticity, learn_reference, learn_stock, run_stock
from tclif_neuro.onchip.engine import arithmetic as engine
from tclif_neuro.onchip.engine.program import matrices, stock_rule
from tests.onchip.stock_setups import HIDDEN, READOUT, digits, setup_of

unit = st.floats(0, 1, exclude_max=True)


def cosine(a, b) -> float:
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def same(a, b) -> None:
    assert a.weights.keys() == b.weights.keys()
    for which, weight in a.weights.items():
        np.testing.assert_array_equal(weight, b.weights[which])


@given(st.integers(0, 254))
def test_half_a_payload_is_rounded_to_the_even(payload) -> None:
    assert engine.halved(payload) == np.round(payload / 2)


@given(st.integers(0, 127), st.floats(0, 1), unit)
def test_a_trace_decays_to_one_of_two_integers(trace, keep, random) -> None:
    whole = np.floor(keep * trace)
    assert engine.decayed(trace, keep, random) == whole + (random < (keep * trace) % 1)
    assert engine.decayed(trace, float(engine.keeps((engine.FOREVER,))[0]), random) == trace


@given(st.integers(-256, 255), st.integers(-127, 127), st.integers(0, 127), st.integers(0, 7), unit)
def test_a_product_moves_a_weight_up_to_the_rounding(weight, x, y, shift, random) -> None:
    total = engine.accumulated(weight << 7, x, y, shift)
    wanted = np.clip(np.floor(x * y / 8) * 2**shift, -(2**15) - 1, 2**15 - 1) + weight * 128
    assert total == np.clip(wanted, -(2**15) - 1, 2**15 - 1)
    moved = engine.rounded(total, 127 - int(128 * random))
    assert moved == np.clip(np.floor(total / 128) + (random < total / 128 % 1), -256, 255)


@given(st.integers(0, 2**31 - 1), st.integers(0, 2), st.integers(0, 9))
def test_numbers_go_on_where_a_run_has_stopped(seed, matrix, before) -> None:
    whole = engine.draws(seed, matrix, 0, before + 5, 4)
    np.testing.assert_array_equal(whole[before:], engine.draws(seed, matrix, before, 5, 4))
    assert (whole != engine.draws(seed, matrix + 1, 0, before + 5, 4)).any()
    assert ((whole[:, [0, 2]] >= 0) & (whole[:, [0, 2]] < 128)).all() and len(np.unique(whole)) > 15


@pytest.mark.parametrize(
    ("variant", "leak", "idle", "hidden", "readout"), [("prefiltered", 0, 1, 0.7, 0.7), ("native", 1200, 12, 0.4, 0.5)]
)
def test_it_teaches_what_the_exact_rule_does(variant, leak, idle, hidden, readout) -> None:
    x, y = digits(8)
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
    assert run.error.shape == (8,) and run.potential.shape == (8, 8, 10) and run.predictions.shape == (8,)


@pytest.mark.parametrize("recurrent", [False, True])
def test_learning_in_parts_is_learning_at_once(recurrent) -> None:
    x, y = digits(9)
    setup = setup_of("prefiltered", recurrent=recurrent)
    whole = learn_stock(setup, x, y, record=True)
    first = learn_stock(setup, x[:, :4], y[:4])
    second = learn_stock(first.setup, x[:, 4:], y[4:], weights=first.weights)
    same(whole, second)
    assert whole.setup.samples == second.setup.samples == 9
    for which, history in whole.history.items():
        np.testing.assert_array_equal(history[3], first.weights[which])
    with pytest.raises(AssertionError):
        same(whole, learn_stock(replace(setup, seed=1), x, y))


def test_without_learning_the_native_network_is_the_network() -> None:
    x, y = digits(5)
    setup = setup_of("native", 1200)
    still = Plasticity(rate_shift=24, trace_shift=20)
    exact = replace(setup, variant="exact", rules=(still, still), rounding="nearest")
    potential = run_stock(setup, x)
    np.testing.assert_array_equal(potential[-1], learn_reference(exact, x, y).potential)


def test_what_is_learnt_is_what_runs() -> None:
    x, y = digits(6)
    run = learn_stock(setup_of("prefiltered"), x, y)
    again = learn_stock(run.setup, x[:, :1], y[:1], weights=run.weights)
    potential = run_stock(run.setup, x, run.weights)
    np.testing.assert_array_equal(potential[0, 0], again.potential[0, 0])  # before the first update
    assert (potential != run_stock(run.setup, x)).any()


def test_the_fit_is_reported() -> None:
    native = {which: stock_rule(setup_of("native", 1200), *which, 8) for which in [(0, False), (0, True), (1, False)]}
    assert native[0, False].fit_error > native[0, True].fit_error > 0.1 > native[1, False].fit_error
    assert "x2" in native[0, True].products and "x2" not in native[0, False].products  # payloads reach x1 alone
    assert all(0 <= impulse <= 127 for rule in native.values() for impulse in rule.impulse)
    assert stock_rule(setup_of("prefiltered"), 0, False, 8).fit_error == 0


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
def test_what_the_engine_cannot_do_is_refused(changes, message) -> None:
    with pytest.raises(FormatError, match=message):
        learn_stock(setup_of(**{"variant": "prefiltered", **changes}), *digits(1))


def test_what_does_not_fit_is_refused() -> None:
    setup, (x, y) = setup_of("prefiltered"), digits(1)
    with pytest.raises(InputError, match=r"weights: of matrix \(0, False\), \[20, 16\] expected, got \[20, 8\]"):
        learn_stock(setup, x, y, weights={(0, False): np.zeros((20, 8), int)})
    with pytest.raises(FormatError, match="idle: 0"):
        learn_stock(setup, x, y, idle=0)
    native = setup_of("native", 1200)
    signed = replace(native, net=replace(native.net, input=InputCoding(bits=8, signed=True)))
    with pytest.raises(FormatError, match="no sign"):
        learn_stock(signed, x, y)
