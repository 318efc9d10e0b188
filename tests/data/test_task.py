"""The checks that every data set passes, and the digits."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.data import TASKS, DataError, Part, Task, load_task, stratified_split

GOOD = {
    "name": "toy",
    "x_train": np.zeros((4, 3, 2), np.float32),
    "y_train": np.array([0, 1, 1, 0]),
    "x_test": np.ones((2, 3, 2), np.float32),
    "y_test": np.array([1, 0]),
    "classes": ("no", "yes"),
}


def make(**fields: Any) -> Task:
    """A task of two parts from `GOOD`, some of its arrays changed."""
    arrays = {**GOOD, **fields}
    train, test = (Part(x=arrays[f"x_{part}"], y=arrays[f"y_{part}"]) for part in ("train", "test"))
    return Task(name=arrays["name"], train=train, test=test, classes=arrays["classes"])


def with_nan() -> np.ndarray:
    x = np.zeros((4, 3, 2))
    x[1, 2, 0] = np.nan
    return x


BAD = {
    "two axes": (
        {"x_train": np.zeros((4, 3))},
        r"toy: x_train: \[samples, steps, inputs\] expected, got shape \[4, 3\]",
    ),
    "no samples": ({"x_train": np.zeros((0, 3, 2)), "y_train": np.zeros(0, int)}, "x_train: is empty"),
    "no steps": ({"x_test": np.zeros((2, 0, 2))}, "x_test: is empty"),
    "NaN": ({"x_train": with_nan()}, "x_train: nan at sample 1, step 2, input 0"),
    "too large for float32": ({"x_test": np.full((2, 3, 2), 1e300)}, "x_test: inf at sample 0, step 0, input 0"),
    "complex": ({"x_train": np.zeros((4, 3, 2), complex)}, "x_train: numbers expected, got complex128"),
    "text": ({"x_train": np.full((4, 3, 2), "a")}, "x_train: numbers expected"),
    "label too large": ({"y_train": np.array([0, 1, 2, 0])}, r"label 2 of sample 2 is outside \[0, 1\]"),
    "label negative": ({"y_test": np.array([-1, 0])}, "y_test: label -1 of sample 0"),
    "float labels": ({"y_test": np.array([0.0, 1.0])}, "y_test: integers expected, got float64"),
    "too few labels": ({"y_train": np.array([0, 1])}, r"one label per sample expected, shape \[4\], got \[2\]"),
    "other steps in the test set": ({"x_test": np.zeros((2, 5, 2))}, r"a test sample \[5, 2\]"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_task_is_refused_by_name(change: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(**change)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float16, np.float64, bool])
def test_numbers_of_any_type_become_float32(dtype: type) -> None:
    task = make(x_train=GOOD["x_train"].astype(dtype), y_train=GOOD["y_train"].astype(np.uint8))
    assert task.x_train.dtype == np.float32
    assert task.y_train.dtype == np.int64
    assert (task.steps, task.inputs) == (3, 2)


@given(st.sampled_from(["x_train", "y_train", "x_test", "y_test"]), st.integers(0, 5))
def test_the_digest_sees_every_number(field: str, where: int) -> None:
    task = make()
    changed = GOOD[field].copy()
    changed.flat[where % changed.size] = 1 - changed.flat[where % changed.size]
    assert make(**{field: changed}).digest() != task.digest() == make().digest()


def test_digits_by_row_and_by_pixel_are_the_same_digits() -> None:
    rows, pixels = load_task("digits-rows", seed=3), load_task("digits-pixels", seed=3)
    assert rows.x_train.shape == (1437, 8, 8)
    assert pixels.x_test.shape == (360, 64, 1)
    assert (rows.x_test.reshape(360, -1) == pixels.x_test[..., 0]).all()
    assert (rows.y_train == pixels.y_train).all()
    assert (rows.x_train.min(), rows.x_train.max()) == (0, 1)


def test_the_split_is_stratified_and_depends_on_the_seed_alone() -> None:
    task = load_task("digits-rows", seed=0)
    assert task.digest() == "a8914361b64e4e3250f01e4e85a6ed62"  # results quoted anywhere are of this very split
    assert load_task("digits-rows", seed=1).digest() != task.digest()
    share = np.bincount(task.y_test) / np.bincount(np.concatenate([task.y_train, task.y_test]))
    assert np.abs(share - 0.2).max() < 0.01


@given(st.integers(2, 5), st.integers(10, 40), st.integers(0, 2**32 - 1))
def test_a_split_has_every_sample_once(classes: int, each: int, seed: int) -> None:
    y = np.repeat(np.arange(classes), each)
    kept, held_out = stratified_split(y, 0.2, seed)
    assert sorted([*kept, *held_out]) == list(range(len(y)))
    assert set(y[held_out]) == set(range(classes))


def test_a_class_of_one_cannot_be_split() -> None:
    with pytest.raises(DataError, match="3 samples cannot be split, 20% held out, by class"):
        stratified_split(np.array([0, 0, 1]), 0.2, 0)


def test_a_misspelt_task_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(DataError, match="task 'digit-row': did you mean 'digits-rows'") as caught:
        load_task("digit-row")
    assert all(name in str(caught.value) for name in TASKS)
