"""Codes: shapes, what a spike means, where randomness is from, and what is refused."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from tclif_neuro.data import DataError, EncodingSpec, Part, Task, TaskSpec, load_task
from tclif_neuro.data.encode import MAX_VALUES, delta, encode_task, latency, rate
from tclif_neuro.data.sequences import Dense
from tests.examples import examples

sequences = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(0, 1, width=32))
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(sequences, st.integers(1, 5), st.integers(0, 99))
@examples(30)
def test_rate_draws_each_step_from_the_generator_alone(x: np.ndarray, steps: int, seed: int) -> None:
    x, generator, same = torch.from_numpy(x), seeded(seed), seeded(seed)
    before = torch.get_rng_state()
    spikes = rate(x, steps, generator=generator)
    assert torch.equal(spikes, torch.bernoulli(x.repeat_interleave(steps, 0), generator=same))
    assert torch.equal(generator.get_state(), same.get_state())
    assert torch.equal(torch.get_rng_state(), before)


def test_rate_spikes_as_often_as_the_value_says() -> None:
    x = torch.tensor([[[0.0, 0.25, 1.0]], [[1.0, 0.5, 0.0]]])
    spikes = rate(x, 10_000, generator=seeded())
    assert spikes.shape == (20_000, 1, 3)
    means = spikes.unflatten(0, (2, 10_000)).mean(1)
    torch.testing.assert_close(means, x, atol=0.02, rtol=0)
    assert not torch.equal(rate(x, 50, generator=seeded(1)), rate(x, 50, generator=seeded(2)))


@given(sequences, st.integers(2, 9), st.sampled_from(["linear", "log"]), st.floats(0.001, 0.9))
@examples(50)
def test_latency_is_one_spike_in_each_window(x: np.ndarray, steps: int, curve: str, threshold: float) -> None:
    x = torch.from_numpy(x)
    spikes = latency(x, steps, threshold=threshold, curve=curve)
    assert spikes.shape == (steps * len(x), *x.shape[1:])
    assert spikes.dtype == x.dtype
    windows = spikes.unflatten(0, (len(x), steps))
    assert torch.equal(windows.sum(1), (x.double() >= threshold).to(x.dtype))
    time = windows.argmax(1)
    later = x[..., :, None] < x[..., None, :]
    reached = x.double() >= threshold  # as `latency` compares: float32 would round the threshold
    both = reached[..., :, None] & reached[..., None, :]
    assert (time[..., :, None] >= time[..., None, :])[later & both].all(), "the larger, the sooner"


@pytest.mark.parametrize("curve", ["linear", "log"])
def test_a_latency_does_not_depend_on_the_rest_of_the_batch(curve: str) -> None:
    x = torch.rand(3, 6, 4, generator=seeded()) * 0.5 + 0.4
    one_by_one = [latency(x[:, i : i + 1], 9, curve=curve) for i in range(6)]
    assert torch.equal(latency(x, 9, curve=curve), torch.cat(one_by_one, 1))


@pytest.mark.parametrize("threshold", [0.01, 0.1, 0.3])
@pytest.mark.parametrize(("curve", "bits"), [("linear", 2.5), ("log", 1.4)])
def test_the_time_of_a_spike_tells_much_of_the_input(curve: str, bits: float, threshold: float) -> None:
    """The entropy of the step, of 3 bits in 8 steps, for inputs that are equally likely above the threshold."""
    x = torch.linspace(threshold, 1, 4001, dtype=torch.float64)[None, None]
    share = latency(x, 8, threshold=threshold, curve=curve).mean((1, 2))
    assert -(share * share.clamp(min=1e-12).log2()).sum() > bits


def test_the_time_constant_may_be_chosen() -> None:
    x = torch.tensor([[[0.5, 0.2, 0.101]]], dtype=torch.float64)
    steps = latency(x, 21, threshold=0.1, curve="log", tau=10.0).argmax(0)[0].tolist()
    assert steps == [round(10 * math.log(0.5 / 0.4)), round(10 * math.log(2)), 20]  # 46 is beyond the window


def times(curve: str, *values: float) -> list[int]:
    return latency(torch.tensor([[values]], dtype=torch.float64), 21, threshold=0.1, curve=curve).argmax(0)[0].tolist()


def test_latencies_follow_their_curves() -> None:
    assert times("linear", 1.0, 0.75, 0.5, 0.1) == [0, 5, 10, 18]
    tau, last = 20 / math.log(1 / (1 - math.sqrt(0.1))), math.sqrt(0.1)
    values = (1.0, 0.2, 0.11, 0.1001, 0.1)
    expected = [round(tau * math.log(max(v, last) / (max(v, last) - 0.1))) for v in values]
    assert times("log", *values) == expected
    assert expected[-1] == 20


def test_delta_marks_rises_and_falls() -> None:
    x = torch.tensor([0.0, 0.5, 0.55, 1.0, 0.2, 0.2])[:, None, None]
    up, down = torch.tensor([0.0, 1, 0, 1, 0, 0]), torch.tensor([0.0, 0, 0, 0, 1, 0])
    assert torch.equal(delta(x, threshold=0.25)[:, 0], torch.stack((up, down), 1))
    assert torch.equal(delta(x, threshold=0.25, off="signed")[:, 0, 0], up - down)
    assert torch.equal(delta(x, threshold=0.25, off="none")[:, 0, 0], up)


@given(sequences, st.floats(0.01, 1))
@examples(30)
def test_delta_channels_are_rises_then_falls(x: np.ndarray, threshold: float) -> None:
    x = torch.from_numpy(x)
    channels, signed = delta(x, threshold=threshold), delta(x, threshold=threshold, off="signed")
    rises, falls = channels.chunk(2, -1)
    assert channels.shape == (*x.shape[:2], 2 * x.shape[2])
    assert torch.equal(rises - falls, signed)
    assert torch.equal(rises, delta(x, threshold=threshold, off="none"))
    assert (rises * falls).sum() == 0
    assert set(channels.unique().tolist()) <= {0.0, 1.0}


X = torch.full((3, 2, 4), 0.5)
BAD: dict[str, tuple[object, str]] = {
    "no sequence": (lambda: rate(X[0], generator=seeded()), r"rate: floats \[T, B, M\] expected, got .* \[2, 4\]"),
    "integers": (lambda: delta(X.long()), "delta: floats"),
    "empty": (lambda: latency(X[:0]), r"latency: floats .* \[0, 2, 4\]"),
    "above 1": (lambda: rate(3 * X, generator=seeded()), r"rate: values in \[0, 1\] expected, got 1.5 to 1.5; scale"),
    "below 0": (lambda: latency(-X), r"latency: values in \[0, 1\] expected, got -0.5"),
    "no steps": (lambda: rate(X, 0, generator=seeded()), "rate: 0 steps; at least 1"),
    "one step": (lambda: latency(X, 1), "latency: 1 steps; at least 2"),
    "threshold 1": (lambda: latency(X, threshold=1.0), r"latency: threshold 1.0 is outside \(0, 1\)"),
    "tau of a line": (lambda: latency(X, tau=3.0), "latency: tau 3.0: .* of the log curve alone"),
    "no such curve": (lambda: latency(X, curve="exp"), "latency: curve 'exp'"),  # type: ignore[arg-type]
    "threshold 0": (lambda: delta(X, threshold=0.0), "delta: threshold 0.0 is not positive"),
    "no such off": (lambda: delta(X, off="both"), "delta: off 'both'"),  # type: ignore[arg-type]
    "nan": (lambda: delta(X * math.nan), "delta: the sequence contains NaN"),
}


@pytest.mark.parametrize(("make", "says"), BAD.values(), ids=BAD.keys())
def test_errors_name_the_value(make, says: str) -> None:
    with pytest.raises(DataError, match=says):
        make()


def test_gradients_are_not_needed_through_a_code() -> None:
    spikes: Tensor = rate(X, generator=seeded())
    assert not spikes.requires_grad


def test_a_task_in_spikes_is_drawn_from_its_seed_and_keeps_its_classes() -> None:
    task = load_task("digits-rows")
    code = EncodingSpec(type="rate", steps=3)
    a, b, c = (encode_task(task, TaskSpec(name="digits-rows", seed=seed, encoding=code)) for seed in (5, 5, 6))
    assert (a.steps, a.inputs, a.classes) == (24, 8, task.classes)
    assert a.digest() == b.digest() != c.digest()
    assert set(np.unique(a.x_test)) == {0.0, 1.0}
    np.testing.assert_allclose(a.x_train.mean(), task.x_train.mean(), atol=0.01)
    np.testing.assert_array_equal(a.y_test, task.y_test)


def test_training_spikes_are_drawn_anew_and_test_spikes_once() -> None:
    task = load_task(TaskSpec(name="digits-rows", encoding=EncodingSpec(type="rate", steps=2)))
    some, generator = np.arange(50), seeded()
    first, second = task.train.x.batch(some, generator), task.train.x.batch(some, generator)
    assert (first != second).any()
    assert (task.train.x.batch(some, seeded()) == first).all(), "the generator's state brings them back"
    assert (task.test.x.batch(some, generator) == task.test.x.batch(some, generator)).all()
    once = load_task(TaskSpec(name="digits-rows", encoding=EncodingSpec(type="rate", steps=2, fresh=False)))
    assert (once.train.x.batch(some, generator) == once.train.x.batch(some, generator)).all()
    assert once.digest() != task.digest()


def test_targets_per_step_and_lengths_follow_the_steps_that_a_step_becomes() -> None:
    x = Dense(np.full((2, 3, 1), 0.5, np.float32))
    part = Part(x=x, y=np.array([[0, 1, 1], [1, 0, -100]]), lengths=np.array([3, 2]))
    task = Task(name="toy", train=part, test=part, classes=("a", "b"), kind="class per step")
    coded = encode_task(task, TaskSpec(name="toy", encoding=EncodingSpec(type="rate", steps=2)))
    assert coded.steps == 6
    assert coded.y_train.tolist() == [[0, 0, 1, 1, 1, 1], [1, 1, 0, 0, -100, -100]]
    assert coded.train.lengths is not None and coded.train.lengths.tolist() == [6, 4]


@pytest.mark.parametrize("code", [lambda x, n: rate(x, n, generator=torch.Generator()), latency])
@pytest.mark.parametrize("steps", [MAX_VALUES // 60 + 1, 2 * 10**9, 10**30])
def test_more_values_than_the_limit_are_refused_before_they_are_made(code, steps):
    with pytest.raises(DataError, match=rf"{steps} steps for each of 60 values make \d+; the limit is {MAX_VALUES}"):
        code(torch.zeros(5, 4, 3), steps)
