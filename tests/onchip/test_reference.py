"""The reference's samples, time and weights; the setups that are refused."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import Phase, given

from tclif_neuro.data.digits import digits_rows
from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.fixed.run import InputError
from tclif_neuro.network import STATE_MAX, FormatError, TCLIFNeuron
from tclif_neuro.onchip import EngineState, LearningSetup, Plasticity, learn, random_network
from tests.examples import examples
from tests.onchip.setups import setups

learn_reference = partial(learn, backend="reference")
ONE = np.array([4096])
NEURON = TCLIFNeuron(a1=[[3686]], a2=[[3686]], b1=[-2048], b2=ONE, vth_mant=1024, gamma_mant=512)
HIDDEN = Plasticity(
    rate_shift=10, trace_shift=8, signal_shift=12, surrogate_shift=10, recurrent_rate_shift=12, recurrent_trace_shift=0
)
READOUT = Plasticity(rate_shift=10, trace_shift=6)
RAMP = 2**19 * np.arange(1, 9) // 8


def digits_setup(hidden: int = 24, **changes) -> LearningSetup:
    net = random_network(8, NEURON, hidden, 10, rng=np.random.default_rng(0), recurrent=True)
    return LearningSetup(net=net, plasticity=(HIDDEN, READOUT), target=RAMP, error_shift=12, **changes)


@pytest.fixture(scope="module")
def digits():
    task = digits_rows("digits", 0)
    return task.x_train[:60].transpose(1, 0, 2), task.y_train[:60]


def same_run(a, b) -> bool:
    return a.net == b.net and np.array_equal(a.potential, b.potential) and np.array_equal(a.error, b.error)


@pytest.mark.parametrize(
    "changes", [{}, {"update_every": 1}, {"update_every": 3, "feedback": "random"}, {"rounding": "nearest"}]
)
def test_it_can_be_continued(digits, changes) -> None:
    x, y = digits
    setup = digits_setup(**changes)
    whole = learn_reference(setup, x[:, :6], y[:6])
    half = learn_reference(setup, x[:, :3], y[:3])
    rest = learn_reference(half.setup, x[:, 3:6], y[3:6])
    assert rest.net == whole.net != setup.net
    assert np.array_equal(np.concatenate([half.potential, rest.potential]), whole.potential)


def test_a_sample_depends_on_those_before_by_the_weights_alone(digits) -> None:
    x, y = digits
    setup = digits_setup(update_every=2)
    slow = tuple(replace(rule, rate_shift=24, recurrent_rate_shift=24) for rule in setup.plasticity)
    frozen = replace(setup, plasticity=slow, rounding="nearest")
    run = learn_reference(frozen, x[:, :8], y[:8])
    assert run.net == setup.net
    assert np.array_equal(run.potential, run_reference(setup.net, x[:, :8]).logits)


def test_the_epoch_decides_when_and_not_what(digits) -> None:
    """Without rounding (k = 0) one sample of a frozen readout-to-be teaches the readout the same in any epochs."""
    x, y = digits
    setup = digits_setup()
    sums = []
    for epoch in (None, 8):
        one = replace(setup, plasticity=(None, replace(READOUT, rate_shift=9)), update_every=epoch)
        sums.append(learn_reference(one, x[:, :1], y[:1]).net)
    assert sums[0] == sums[1]
    assert (
        learn_reference(replace(setup, update_every=1), x[:, :4], y[:4]).net
        != learn_reference(setup, x[:, :4], y[:4]).net
    )


def test_the_seed_is_all_that_is_random(digits) -> None:
    x, y = digits
    runs = [learn_reference(digits_setup(seed=seed), x[:, :4], y[:4]) for seed in (0, 0, 1)]
    assert same_run(runs[0], runs[1]) and runs[0].net != runs[2].net


def test_it_learns(digits) -> None:
    """The errors of the same twenty samples get smaller, whether the layers learn together or one alone."""
    x, y = digits[0][:, :20], digits[1][:20]
    for rules in ((HIDDEN, READOUT), (HIDDEN, None), (None, READOUT)):
        setup, errors = replace(digits_setup(), plasticity=rules), []
        for _ in range(4):
            run = learn_reference(setup, x, y)
            setup = run.setup
            errors.append(run.error.sum())
        assert errors[-1] < 0.95 * errors[0], rules
        changed = [a != b for a, b in zip(run.net.layers, digits_setup().net.layers, strict=True)]
        assert changed == [rule is not None for rule in rules]


@given(setups())
@examples(10, phases=(Phase.generate,))
def test_weights_stay_in_their_range(setup) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(*setup.net.input.range, (5, 3, setup.net.inputs), endpoint=True) / setup.net.input.scale
    run = learn_reference(setup, x, rng.integers(0, setup.net.outputs, 3), record=True)
    for rule, layer, trace in zip(setup.plasticity, run.net.layers, run.layers, strict=True):
        weight = trace.weight.astype(int) >> setup.weight_shift
        assert np.array_equal(weight[-1][:, : layer.inputs] << setup.weight_shift, layer.synapses.weight)
        if rule:
            assert weight.min() >= setup.weight_range[0] and weight.max() <= setup.weight_range[1]
            assert trace.posted.min() >= 0 and trace.posted.max() <= setup.trace_max
        else:
            assert not trace.posted.any() and layer in setup.net.layers


LIMITS = [
    ({"update_every": 64}, r"update_every: 64 is outside \[1, 63\]"),
    ({"update_every": 0}, "update_every: 0"),
    ({"trace_bits": 8}, r"trace_bits: 8 is outside \[1, 7\]"),
    ({"weight_bits": 9}, r"weight_bits: 9 is outside \[2, 8\]"),
    ({"weight_bits": 4}, "multiples of 32, a step of 4 bits"),
    ({"error_shift": 24}, r"error_shift: 24 is outside \[0, 23\]"),
    ({"target": np.array([2**23])}, "target: 8388608"),
    ({"target": np.array([0.5])}, "target: integers expected"),
    ({"target": np.zeros((2, 2), int)}, "target: one value per step"),
    ({"target_others": -(2**23)}, "target_others: -8388608"),
    ({"seed": -1}, "seed: -1"),
    ({"target": []}, "target: one value per step"),
    ({"seed": 2**31}, "seed: 2147483648"),
    ({"learnt": 2**31}, "learnt: 2147483648"),
    ({"idle": 0, "variant": "native"}, "idle: 0"),
    ({"idle": 2**16 + 1, "variant": "native"}, "idle: 65537"),
    ({"trace_bits": 0}, "trace_bits: 0"),
    ({"weight_bits": 1}, "weight_bits: 1"),
    ({"error_shift": -1}, "error_shift: -1"),
    ({"plasticity": (HIDDEN,)}, "plasticity: 1 for 2 layers"),
    ({"plasticity": (None, None)}, "no layer learns"),
    ({"variant": "quick"}, "variant: 'quick'"),
    ({"rounding": "up"}, "rounding: 'up'"),
    ({"feedback": "none"}, "feedback: 'none'"),
]


@pytest.mark.parametrize(("change", "message"), LIMITS, ids=lambda v: str(v)[:30])
def test_what_does_not_fit_is_refused(change, message) -> None:
    with pytest.raises(FormatError, match=message):
        replace(digits_setup(), **change)


@pytest.mark.parametrize(
    "change",
    [
        {"target": 5},
        {"target": [STATE_MAX, -STATE_MAX], "target_others": -STATE_MAX},
        {"seed": 2**31 - 1, "learnt": 2**31 - 1},
        {"idle": 2**16, "variant": "native"},
        {"idle": 1, "variant": "native"},
        {"error_shift": 23, "update_every": 63, "trace_bits": 1},
        {"error_shift": 0, "update_every": 1, "trace_bits": 7},
    ],
    ids=str,
)
def test_what_just_fits_is_taken(change) -> None:
    setup = replace(digits_setup(), **change)
    assert np.array_equal(setup.target, np.ravel(change.get("target", RAMP)))
    assert setup.target.ndim == 1 and not setup.target.flags.writeable


def test_shifts_reach_their_limits() -> None:
    assert replace(HIDDEN, rate_shift=24, recurrent_rate_shift=24).of_recurrent.rate_shift == 24
    assert replace(HIDDEN, trace_shift=23, signal_shift=23, surrogate_shift=23).of_recurrent.signal_shift == 23
    assert replace(HIDDEN, rate_shift=0, trace_shift=0, recurrent_rate_shift=None).of_recurrent.rate_shift == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rate_shift", 25),
        ("rate_shift", -1),
        ("trace_shift", -1),
        ("signal_shift", 24),
        ("surrogate_shift", -1),
        ("recurrent_rate_shift", 25),
        ("recurrent_trace_shift", 24),
    ],
)
def test_shifts_are_checked(field, value) -> None:
    with pytest.raises(FormatError, match=f"{field}: {value}"):
        replace(HIDDEN, **{field: value})


def test_traces_of_a_neuron_each_are_refused() -> None:
    own = replace(NEURON, b1=np.full(24, -2048))
    net = random_network(8, own, 24, 10, rng=np.random.default_rng(0))
    with pytest.raises(FormatError, match="layer 0: 24 values of b1"):
        replace(digits_setup(), net=net)


def test_the_other_variants_have_no_reference_but_lavas(digits) -> None:
    with pytest.raises(InputError, match="backend: 'reference'; the variant 'native' learns in 'simulator' or 'lava'"):
        learn_reference(digits_setup(variant="native"), digits[0][:, :2], digits[1][:2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"idle": 2}, "idle: 2; the exact variant takes 3; leave it out"),
        ({"variant": "native", "idle": 0}, r"idle: 0 is outside \[1,"),
        ({"engine": EngineState(weights={}, traces={}, epochs=0)}, "engine: given for the variant"),
    ],
)
def test_what_is_an_engines_is_refused_elsewhere(change, message) -> None:
    with pytest.raises(FormatError, match=message):
        replace(digits_setup(), **change)


@pytest.mark.parametrize("labels", [[10, 0], [-1, 0], [0], [0.0, 1.0]])
def test_labels_are_checked(digits, labels) -> None:
    with pytest.raises(InputError, match="labels"):
        learn_reference(digits_setup(), digits[0][:, :2], labels)
