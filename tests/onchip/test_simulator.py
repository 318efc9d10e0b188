"""The compiled learner and the reference give the same bits: spikes, states, traces, and weights after every sample."""

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.errors import TclifWarning
from tclif_neuro.fixed.run import InputError
from tclif_neuro.onchip import LearningSetup, Plasticity, learn, random_network
from tests.examples import examples
from tests.onchip.setups import NEURON, samples, setups

learn_reference = partial(learn, backend="reference")
FIELDS = ("spikes", "states", "posted", "eligibility", "weight")


def same(a, b):
    """Two runs, all of them."""
    for left, right in zip(a.layers, b.layers, strict=True):
        for name in FIELDS:
            ours, theirs = getattr(left, name), getattr(right, name)
            assert ours.dtype == theirs.dtype, name
            np.testing.assert_array_equal(ours, theirs, name)
    np.testing.assert_array_equal(a.potential, b.potential)
    np.testing.assert_array_equal(a.error, b.error)
    assert a.net == b.net and a.setup.learnt == b.setup.learnt
    assert a.losses == b.losses


@examples(60)
@given(setups().flatmap(lambda setup: st.tuples(st.just(setup), samples(setup))))
def test_any_setup_learns_what_the_reference_learns(case):
    setup, (x, labels) = case
    same(learn(setup, x, labels, record=True), learn_reference(setup, x, labels, record=True))


def digits_like(**changes):
    """A setup that spikes, learns and is wide enough for every vector instruction, and its samples."""
    rng = np.random.default_rng(4)
    rules = Plasticity(rate_shift=8, trace_shift=10, signal_shift=10, surrogate_shift=10)
    values = dict(
        net=random_network(8, NEURON, 37, 10, rng=rng, recurrent=True),
        plasticity=(rules, Plasticity(rate_shift=8, trace_shift=6)),
        target=np.array([200_000]),
        error_shift=11,
    )
    return LearningSetup(**{**values, **changes}), rng.random((12, 20, 8)), rng.integers(0, 10, 20)


@pytest.mark.parametrize("feedback", ["symmetric", "random"])
@pytest.mark.parametrize("epoch", [None, 1, 5])
def test_a_network_that_spikes_and_learns(feedback, epoch):
    setup, x, labels = digits_like(feedback=feedback, update_every=epoch)
    run = learn(setup, x, labels, record=True)
    same(run, learn_reference(setup, x, labels, record=True))
    for layer, trace in zip(setup.net.layers, run.layers, strict=True):
        assert trace.spikes.any() or layer.readout
        start = np.concatenate([layer.synapses.weight, *([layer.recurrent.weight] if layer.recurrent else [])], axis=1)
        assert (trace.weight[-1] != start).mean() > 0.02


def test_it_goes_on_where_it_stopped():
    setup, x, labels = digits_like()
    whole = learn(setup, x, labels)
    first = learn(setup, x[:, :7], labels[:7])
    second = learn(first.setup, x[:, 7:], labels[7:])
    assert second.net == whole.net
    np.testing.assert_array_equal(np.concatenate([first.potential, second.potential]), whole.potential)
    assert whole.layers == () and (whole.setup.learnt, second.setup.learnt) == (20, 20)


def test_what_does_not_fit_is_said():
    setup, x, labels = digits_like()
    with pytest.raises(InputError, match="labels: 10 of sample 3 is outside"):
        learn(setup, x, np.where(np.arange(20) == 3, 10, labels))
    with pytest.raises(InputError, match="input: has 7 channels, the network has 8"):
        learn(setup, x[..., :7], labels)


def test_inputs_outside_the_code_are_said_and_counted():
    setup, x, labels = digits_like()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert learn(setup, x, labels).outside.total == 0
    x[:, 3] = 1e6
    for backend in ("simulator", "reference"):
        with pytest.warns(TclifWarning, match=r"^5.0% of the inputs are above 15.94, the largest"):
            run = learn(setup, x, labels, backend=backend)
        assert run.outside == (0, 0.05, 0)


def test_what_the_limits_took_is_counted():
    setup, x, labels = digits_like()
    run = learn(setup, x, labels, record=True)
    hidden, readout = run.layers
    posted = hidden.posted[1] - hidden.posted[0]
    assert run.losses["clipped_posted_0"] == ((np.abs(posted) == 127).sum(), (posted != 0).sum())
    error = readout.posted[1] - readout.posted[0]
    assert run.losses["clipped_error"] == ((np.abs(error) == 127).sum(), (error != 0).sum())
    wide = np.abs(hidden.eligibility[1, ..., :8]) + 2**9 >> 10
    assert run.losses["clipped_trace_0"] == ((wide >= 127).sum(), (wide > 0).sum())
    assert all(0 <= hits <= of for hits, of in run.losses.values())
    assert {name for name, (hits, _) in run.losses.items() if hits} >= {"lost_0", "lost_1"}
    slow = replace(setup, plasticity=tuple(replace(rule, rate_shift=24) for rule in setup.plasticity))
    lost = learn(replace(slow, rounding="nearest"), x, labels)
    assert lost.net == setup.net and all(h == n for k, (h, n) in lost.losses.items() if k.startswith("lost"))


def test_what_a_backend_does_not_take_is_refused():
    setup, x, labels = digits_like()
    with pytest.raises(InputError, match="backend: 'loihi'; the variant 'exact' learns in 'simulator' or"):
        learn(setup, x, labels, backend="loihi")
    with pytest.raises(InputError, match="timeout, progress: the backend 'simulator' has neither"):
        learn(setup, x, labels, timeout=3)
