"""The variants on a learning engine, compiled: they teach what the exact rule does, as far as 7 bits let them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.network import FormatError, InputCoding
from tclif_neuro.onchip import EngineState, Matrix, Plasticity, learn, potentials
from tclif_neuro.onchip.engine import arithmetic as engine
from tclif_neuro.onchip.engine.program import engine_rules
from tclif_neuro.onchip.rule.matrices import matrices, synapses_of
from tests.onchip.engine_setups import HIDDEN, READOUT, digits, setup_of

unit = st.floats(0, 1, exclude_max=True)


def cosine(a, b) -> float:
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def same(a, b) -> None:
    assert a.setup.engine.epochs == b.setup.engine.epochs and a.setup.learnt == b.setup.learnt
    for kind in ("weights", "traces"):
        ours, theirs = getattr(a.setup.engine, kind), getattr(b.setup.engine, kind)
        assert ours.keys() == theirs.keys()
        for matrix, array in ours.items():
            np.testing.assert_array_equal(array, theirs[matrix])


@given(st.integers(0, 254))
def test_half_a_payload_is_rounded_to_the_even(payload) -> None:
    assert engine.halved(payload) == np.round(payload / 2)


@given(st.integers(0, 127), st.floats(0, 1), unit)
def test_a_trace_decays_to_one_of_two_integers(trace, keep, random) -> None:
    whole = np.floor(keep * trace)
    assert engine.decayed(trace, keep, random) == whole + (random < (keep * trace) % 1)
    assert engine.decayed(trace, float(engine.decay_factors((engine.FOREVER,))[0]), random) == trace


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
    setup = setup_of(variant, leak, idle=idle)
    run = learn(setup, x, y)
    exact = learn(replace(setup, variant="exact", idle=None), x, y, backend="reference")
    for matrix, least in zip(matrices(setup.net), (hidden, None, readout), strict=True):
        before, after = (synapses_of(net, matrix).weight.astype(float) for net in (setup.net, exact.net))
        weight = run.weights[matrix].astype(float)
        assert np.abs(weight).max() <= 256
        if weight.shape != before.shape:  # the positive and the negative part of each trace
            half = before.shape[1]
            weight = before + (weight[:, :half] - before) - (weight[:, half:] + before)
        assert (weight != before).any()
        if least is not None:
            assert cosine(weight - before, after - before) > least
    assert run.error.shape == (8,) and run.potential.shape == (8, 10) and run.predictions.shape == (8,)


@pytest.mark.parametrize(("variant", "leak", "idle"), [("prefiltered", 0, None), ("native", 1200, 2), ("native", 0, 1)])
@pytest.mark.parametrize("recurrent", [False, True])
def test_learning_in_parts_is_learning_at_once(variant, leak, idle, recurrent) -> None:
    x, y = digits(9)
    setup = setup_of(variant, leak, recurrent, idle=idle)
    whole = learn(setup, x, y, record=True)
    first = learn(setup, x[:, :4], y[:4])
    second = learn(first.setup, x[:, 4:], y[4:], record=True)
    same(whole, second)
    assert whole.setup.learnt == 9 and whole.setup.engine.epochs == 9 * (8 + (idle or 1))
    np.testing.assert_array_equal(np.concatenate([first.potential, second.potential]), whole.potential)
    for all_of_it, rest in zip(whole.layers, second.layers, strict=True):
        for name in ("spikes", "states", "posted"):
            np.testing.assert_array_equal(getattr(all_of_it, name)[..., 4:, :], getattr(rest, name))
        np.testing.assert_array_equal(all_of_it.weight[4:], rest.weight)
    with pytest.raises(AssertionError):
        same(whole, learn(replace(setup, seed=1), x, y))


def test_what_is_recorded_is_consistent() -> None:
    x, y = digits(5)
    for setup in (setup_of("prefiltered"), setup_of("native", 1200, recurrent=False)):
        run = learn(setup, x, y, record=True)
        hidden, readout = run.layers
        np.testing.assert_array_equal(hidden.spikes, hidden.soma >= setup.net.layers[0].neuron.vth)
        np.testing.assert_array_equal(readout.soma[-1], run.potential)
        assert hidden.dendrite.shape == (8, 5, 20) and hidden.posted.any() and not readout.spikes.any()
        errors = setup.error(readout.soma.astype(np.int64), np.stack([setup.targets(k, 8) for k in y], axis=1))
        np.testing.assert_array_equal(readout.posted[0] - readout.posted[1], errors)
        np.testing.assert_array_equal(run.error, (errors**2).sum((0, 2)))
        last = np.concatenate([run.weights[m] for m in matrices(setup.net) if m.layer == 0], axis=1)
        np.testing.assert_array_equal(hidden.weight[-1], last)


def test_without_learning_the_native_network_is_the_network() -> None:
    x, y = digits(5)
    setup = setup_of("native", 1200)
    still = Plasticity(rate_shift=24, trace_shift=20)
    exact = replace(setup, variant="exact", plasticity=(still, still), rounding="nearest")
    unlearnt = potentials(setup, x)
    np.testing.assert_array_equal(unlearnt, learn(exact, x, y, backend="reference").potential)
    np.testing.assert_array_equal(unlearnt, potentials(exact, x))


def first_step(setup, x):
    """The readout's potentials after one step of the first sample."""
    return potentials(setup, x[:1, :1])[0]


def test_what_is_learnt_is_what_runs() -> None:
    x, y = digits(6)
    run = learn(setup_of("prefiltered"), x, y)
    again = learn(run.setup, x[:, :1], y[:1], record=True)
    np.testing.assert_array_equal(again.layers[1].soma[0, 0], first_step(run.setup, x))  # before the first update
    assert (potentials(run.setup, x) != potentials(replace(run.setup, engine=None), x)).any()
    with pytest.raises(FormatError, match="net: no network can hold the weights of the variant 'prefiltered'"):
        _ = run.net


def test_the_fit_is_reported() -> None:
    native = engine_rules(setup_of("native", 1200), 8)
    inputs, own, out = (native[matrix] for matrix in (Matrix(0), Matrix(0, True), Matrix(1)))
    assert inputs.fit_error > own.fit_error > 0.1 > out.fit_error
    assert "x2" in own.products and "x2" not in inputs.products  # payloads reach x1 alone
    assert all(0 <= impulse <= 127 for rule in native.values() for impulse in rule.impulse)
    run = learn(setup_of("native", 1200), *digits(1))
    assert run.fit_error == {matrix: rule.fit_error for matrix, rule in native.items()}
    assert engine_rules(setup_of("prefiltered"), 8)[Matrix(0)].fit_error == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feedback": "symmetric"}, "copy weights"),
        ({"update_every": None}, "update_every: None"),
        ({"rounding": "nearest"}, "rounds stochastically"),
        ({"plasticity": (HIDDEN, None)}, "every layer must learn"),
        ({"plasticity": (replace(HIDDEN, rate_shift=12), READOUT)}, r"rate_shift 12 is outside the engine's \[4, 11\]"),
        ({"plasticity": (replace(HIDDEN, recurrent=False), READOUT)}, "recurrent synapses must learn"),
        ({"trace_bits": 5}, "trace_bits: 5"),
    ],
)
def test_what_the_engine_cannot_do_is_refused(changes, message) -> None:
    with pytest.raises(FormatError, match=message):
        learn(setup_of(**{"variant": "prefiltered", **changes}), *digits(1))


def test_a_state_that_does_not_fit_is_refused() -> None:
    x, y = digits(1)
    setup = learn(setup_of("prefiltered"), x, y).setup

    def changed(kind: str, array: np.ndarray) -> EngineState:
        return replace(setup.engine, **{kind: {**getattr(setup.engine, kind), Matrix(0): array}})

    wrong = {
        r"matrix 0: weight of shape \[20, 16\] expected, got \[20, 8\]": changed("weights", np.zeros((20, 8), int)),
        r"engine: matrix 0: trace of shape \[2, 16\] expected": changed("traces", np.zeros((2, 15), int)),
        r"matrix 0: weight: 256 at \[0, 0\] is outside \[-256, 255\]": changed("weights", np.full((20, 16), 256)),
        r"engine: matrix 0: trace: -1": changed("traces", np.full((2, 16), -1)),
        "integers expected": changed("weights", np.zeros((20, 16))),
        "engine: epochs: -1": replace(setup.engine, epochs=-1),
    }
    for message, state in wrong.items():
        with pytest.raises(FormatError, match=message):
            learn(replace(setup, engine=state), x, y)


def test_an_input_without_a_sign_is_refused_one() -> None:
    native = setup_of("native", 1200)
    signed = replace(native, net=replace(native.net, input=InputCoding(bits=8, signed=True)))
    with pytest.raises(FormatError, match="no sign"):
        learn(signed, *digits(1))
