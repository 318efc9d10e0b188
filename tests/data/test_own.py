"""Own data as people have them: their own splits, groups, lengths, labels; what is odd is said."""

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.data import DataError, Task, TaskSpec, load_samples, load_task
from tclif_neuro.data.labels import classes_of, numbered
from tclif_neuro.data.task import UNLABELLED
from tclif_neuro.errors import TclifWarning, unsaid

N, STEPS, INPUTS = 20, 4, 3
X = np.linspace(0, 1, N * STEPS * INPUTS, dtype=np.float32).reshape(N, STEPS, INPUTS)
Y = np.arange(N) % 2


def task_of(folder: Path, **arrays: Any) -> Task:
    np.savez(folder / "own.npz", **{"x": X, **arrays})
    return load_task(str(folder / "own.npz"))


def test_an_own_test_set_is_used_and_said(tmp_path: Path) -> None:
    task = task_of(tmp_path, y=Y, x_test=X[:5], y_test=Y[:5], x_validation=X[5:9], y_validation=Y[5:9])
    assert (task.x_train == X).all() and (task.x_test == X[:5]).all()
    assert task.validation is not None and (task.validation.x.all() == X[5:9]).all()
    assert task.test.source == f"x_test of {tmp_path / 'own.npz'}"


def test_lengths_of_any_width_are_counted_in_the_same_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=X, y=Y, lengths=np.full(N, 3, np.uint8))
    lengths = (load_samples(tmp_path / "own.npz").lengths, load_task(str(tmp_path / "own.npz")).train.lengths)
    assert all(found is not None and found.dtype == np.int64 and set(found) == {3} for found in lengths)


@pytest.mark.parametrize("kind", ["U3", "i8", "f4"])
def test_labels_of_three_dimensions_are_one_hot_or_refused(tmp_path: Path, kind: str) -> None:
    y = np.full((N, STEPS, 2), 2).astype(kind)
    np.savez(tmp_path / "own.npz", x=X, y=y)
    if kind == "f4":
        assert load_task(str(tmp_path / "own.npz")).kind == "values"
        return
    for read in (load_task, load_samples):
        with pytest.raises(DataError, match="one 1 among zeros per step"):
            read(str(tmp_path / "own.npz"))


def test_the_names_of_a_published_split_are_understood(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x_train=X, y_train=Y, x_test=X[:3], y_test=Y[:3])
    assert (load_task(str(tmp_path / "own.npz")).x_train == X).all()


def test_without_one_a_fifth_is_held_out_and_said(tmp_path: Path) -> None:
    task = task_of(tmp_path, y=Y)
    assert (len(task.train), len(task.test)) == (16, 4)
    assert task.test.source == f"a random fifth of {tmp_path / 'own.npz'}, stratified"


def test_another_file_may_be_the_test_set(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=X, y=Y)
    np.savez(tmp_path / "other.npz", x=X[::-1], y=Y[::-1])
    task = load_task(TaskSpec(name="own.npz", test="other.npz").placed(tmp_path))
    assert (task.x_test == X[::-1]).all() and len(task.train) == N
    assert task.test.source == str(tmp_path / "other.npz")
    np.savez(tmp_path / "own.npz", x=X, y=Y, x_test=X, y_test=Y)
    with pytest.raises(DataError, match="has a test set of its own, and .task. test"):
        load_task(TaskSpec(name="own.npz", test="other.npz").placed(tmp_path))


@given(st.lists(st.sampled_from("abcde"), min_size=N, max_size=N).filter(lambda g: len(set(g)) > 1), st.integers(0, 99))
def test_no_group_is_in_two_splits(tmp_path_factory: pytest.TempPathFactory, groups: list[str], seed: int) -> None:
    path = tmp_path_factory.mktemp("groups") / "own.npz"
    np.savez(path, x=X, y=np.zeros(N, int), groups=np.array(groups))
    task = load_task(str(path), seed)
    assert task.train.groups is not None and task.test.groups is not None
    assert not set(task.train.groups) & set(task.test.groups)
    assert {*task.train.groups} | {*task.test.groups} == set(groups)
    assert "groups whole" in task.test.source


def test_one_group_cannot_be_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="own.npz: all 20 samples are of one group, 7"):
        task_of(tmp_path, y=Y, groups=np.full(N, 7))


def test_a_group_of_its_own_class_is_missed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is in the held out groups alone"):
        task_of(tmp_path, y=Y, groups=Y)


@pytest.mark.parametrize(
    ("y", "classes", "says"),
    [
        (Y + 1, ("1", "2"), "the labels start at 1; the 2 classes are those that occur: 1, 2"),
        (Y - 1, ("-1", "0"), "the labels start at -1"),
        (Y * 100_000, ("0", "100000"), "the labels have gaps, from 0; the 2 classes are those that occur: 0, 100000"),
        (Y * 2_000_000_000, ("0", "2000000000"), "have gaps"),
    ],
)
def test_classes_are_the_labels_that_occur(tmp_path: Path, y: np.ndarray, classes: tuple[str, ...], says: str) -> None:
    with pytest.warns(TclifWarning, match=says):
        task = task_of(tmp_path, y=y)
    assert task.classes == classes
    assert set(task.y_train) == {0, 1}


@pytest.mark.parametrize("kind", ["U", "S"])
def test_labels_may_be_text(tmp_path: Path, kind: str) -> None:
    words = np.array(["up", "left"])[Y].astype(kind)
    task = task_of(tmp_path, y=words, x_test=X, y_test=words)
    assert task.classes == ("left", "up")
    assert (task.y_test == 1 - Y).all()
    ordered = task_of(tmp_path, y=words, x_test=X, y_test=words, classes=np.array(["up", "left", "down"]))
    assert ordered.classes == ("up", "left", "down")
    assert (ordered.y_test == Y).all()


def test_integers_may_have_names(tmp_path: Path) -> None:
    task = task_of(tmp_path, y=Y, x_test=X, y_test=Y, classes=np.array(["left", "up", "down"]))
    assert task.classes == ("left", "up", "down")
    assert (task.y_test == Y).all()


@given(st.lists(st.integers(-5, 5) | st.sampled_from([-(2**62), 2**62]), min_size=1, max_size=12))
def test_every_label_gets_its_class_back(labels: list[int]) -> None:
    y = np.array(labels)
    with unsaid():
        classes = classes_of("y", [y], None)
    assert [int(classes.names[i]) for i in numbered("y", y, classes)] == labels
    assert len(classes.names) == len(set(labels))


def test_a_label_per_step_may_be_missing(tmp_path: Path) -> None:
    y = np.tile([0, 1, 2, -1], (N, 1))
    task = task_of(tmp_path, y=y)
    assert (task.kind, task.classes) == ("class per step", ("0", "1", "2"))
    assert task.y_train[0].tolist() == [0, 1, 2, UNLABELLED]
    one_hot = np.eye(5, dtype=np.uint8)[y % 5]
    one_hot[:, 3] = 0
    same = task_of(tmp_path, y=one_hot)
    assert same.classes == tuple("01234") and (same.y_train == task.y_train).all()


def test_padding_has_no_labels(tmp_path: Path) -> None:
    y, lengths = np.ones((N, STEPS), int), np.arange(N) % STEPS + 1
    y[:, 0] = 0
    by_length = task_of(tmp_path, y=y, lengths=lengths, x_test=X[:2], y_test=y[:2], lengths_test=[1, 3])
    assert by_length.y_test.tolist() == [[0, -100, -100, -100], [0, 1, 1, -100]]
    mask = np.arange(STEPS) < lengths[:, None]
    by_mask = task_of(tmp_path, y=y, mask=mask, x_test=X[:2], y_test=y[:2])
    assert (by_mask.y_train == by_length.y_train).all()


def test_lengths_and_a_mask_of_the_first_steps_are_one(tmp_path: Path) -> None:
    lengths = np.arange(N) % STEPS + 1
    mask = np.arange(STEPS) < lengths[:, None]
    assert task_of(tmp_path, y=Y, mask=mask).digest() == task_of(tmp_path, y=Y, lengths=lengths).digest()
    with pytest.raises(DataError, match="mask: with one target per sample, its steps must be its first"):
        task_of(tmp_path, y=Y, mask=mask[:, ::-1])


def test_real_numbers_are_targets(tmp_path: Path) -> None:
    task = task_of(tmp_path, y=np.zeros((N, STEPS, 2), np.float64))
    assert (task.kind, task.classes, task.y_train.dtype) == ("values", ("0", "1"), np.float32)
    assert task_of(tmp_path, y=np.zeros((N, 3), np.float32), classes=np.array(["a", "b", "c"])).classes == tuple("abc")


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"y": Y, "labels": Y}, "has an array 'labels', which nothing uses"),
    "misspelt": ({"y": Y, "x_tests": X}, "array 'x_tests', which nothing uses; did you mean 'x_test'"),
    "two dimensions": ({"x": X[:, :, 0], "y": Y}, r"x: \[samples, steps, inputs\] expected, got shape \[20, 4\]"),
    "both": ({"y": Y, "x_train": X}, "has both 'x' and 'x_train'"),
    "no y_test": ({"y": Y, "x_test": X}, "has no array 'y_test'"),
    "no x_test": ({"y": Y, "y_test": Y}, "has y_test, but no array 'x_test'"),
    "float labels": ({"y": Y.astype(float)}, r"integers or text are classes, y.astype\(int\); real .* y\[:, None\]"),
    "time first": ({"x": X.swapaxes(0, 1), "y": Y}, r"20 for 4 samples; x is \[samples, steps, inputs\], here"),
    "kinds differ": ({"y": Y, "x_test": X, "y_test": np.zeros((N, STEPS), int)}, "of different kinds"),
    "too many names": ({"y": Y, "classes": np.array(["a", "a"])}, "a name occurs twice"),
    "too few names": ({"y": Y * 2, "classes": np.array(["a", "b"])}, "label 2 has no name; there are 2 classes"),
    "strange text": ({"y": np.array(["a", "b"])[Y], "classes": np.array(["a"])}, "label 'b' is none of"),
    "groups of others": ({"y": Y, "groups": Y[:3]}, "groups: 3 for 20 samples"),
    "length 0": ({"y": Y, "lengths": Y}, r"lengths: 0 of sample 0 is outside \[1, 4\]"),
    "real lengths": ({"y": Y, "lengths": Y + 1.0}, r"lengths: integers \[20\] expected, got float64"),
    "lengths of others": ({"y": X[:, :, 0] > 0, "lengths": Y[:, None] + 1}, r"lengths: integers \[20\] expected"),
    "whole values": ({"y": np.ones((N, 2), int)}, r"\[samples, 4 steps\]; real numbers \(y.astype\(float\)\) are"),
    "mask and lengths": ({"y": Y, "lengths": Y + 1, "mask": np.ones((N, STEPS))}, "lengths too; leave one out"),
    "two ones": ({"y": np.ones((N, STEPS, 2), int)}, "one 1 among zeros per step expected"),
    "other steps": ({"y": Y, "x_test": X[:, :2], "y_test": Y}, r"a test sample \[2, 3\]"),
    "text and numbers": ({"y": Y, "x_test": X, "y_test": np.array(["a", "b"])[Y]}, "text in one part and numbers in"),
    "infinite targets": ({"y": np.full((N, 1), np.inf)}, "infinite targets"),
}


@pytest.mark.parametrize(("arrays", "message"), BAD.values(), ids=BAD.keys())
def test_what_does_not_fit_is_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        task_of(tmp_path, **arrays)
    assert "own.npz" in str(caught.value)


def test_hdf5_and_folders_hold_the_same(tmp_path: Path) -> None:
    arrays = {"x": X, "y": Y, "groups": np.array([f"g{i % 5}" for i in range(N)])}
    expected = task_of(tmp_path, **arrays).digest()
    with h5py.File(tmp_path / "own.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array.astype(object) if array.dtype.kind == "U" else array
    (tmp_path / "folder").mkdir()
    for name, array in arrays.items():
        np.save(tmp_path / "folder" / name, array)
    assert load_task(str(tmp_path / "own.h5")).digest() == expected
    assert load_task(str(tmp_path / "folder")).digest() == expected


def test_a_link_in_hdf5_is_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = X
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["x"] = h5py.ExternalLink("secret.h5", "x")
    with pytest.raises(DataError, match="'x' is a link"):
        load_task(str(tmp_path / "own.h5"))
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["train/x"] = X
    with pytest.raises(DataError, match="'train' is a group; arrays stand in the root"):
        load_task(str(tmp_path / "own.h5"))
    with h5py.File(tmp_path / "own.h5", "w") as file:  # a kilobyte that says it is a million gigabytes
        file.create_dataset("x", (10**6, 10**6, 10**3), "u1", chunks=(1, 1, 1000))
    with pytest.raises(DataError, match="own.h5: is too large for the memory; a folder of .npy files"):
        load_task(str(tmp_path / "own.h5"))
    (tmp_path / "bad.h5").write_bytes(b"no")
    with pytest.raises(DataError, match=r"bad.h5: is not an HDF5 file"):
        load_task(str(tmp_path / "bad.h5"))


def test_paths_are_relative_to_the_recipe_then_here_then_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("recipe", "here", "data"):
        (tmp_path / place).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    spec = TaskSpec(name="own.npz").placed(tmp_path / "recipe")
    with pytest.raises(DataError, match="own.npz: no such file; looked in .*recipe, .*here, .*data"):
        load_task(spec, data_dir=tmp_path / "data")
    for shift, place in enumerate(("data", "here", "recipe")):
        np.savez(tmp_path / place / "own.npz", x=X + shift, y=Y)
        assert load_task(spec, data_dir=tmp_path / "data").x_train.max() <= 1 + shift
        assert load_task(spec, data_dir=tmp_path / "data").x_train.min() >= shift


def test_the_home_folder_and_capitals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "own.npz", x=X, y=Y)
    os.rename(tmp_path / "own.npz", tmp_path / "OWN.NPZ")
    assert len(load_task("~/OWN.NPZ").train) == 16


def test_samples_to_run_are_those_of_the_test_set_by_the_networks_names(tmp_path: Path) -> None:
    words = np.array(["up", "left"])[Y]
    np.savez(tmp_path / "own.npz", x=X, y=words, x_test=X[:4], y_test=words[:4])
    samples = load_samples(tmp_path / "own.npz", classes=("left", "right", "up"))
    assert samples.y is not None and samples.y.tolist() == [2, 0, 2, 0]
    assert samples.source == f"x_test of {tmp_path / 'own.npz'}"
    with pytest.raises(DataError, match="label 'up' of sample 0 is none of left, right"):
        load_samples(tmp_path / "own.npz", classes=("left", "right"))
    np.savez(tmp_path / "own.npz", x=X, y=Y + 1)
    assert load_samples(tmp_path / "own.npz", classes=("1", "2")).y.tolist() == Y.tolist()  # type: ignore[union-attr]


def test_the_names_of_another_file_are_kept(tmp_path: Path) -> None:
    """0 is "up" in one file and "left" in the other: as a test set of a task refused, to run a network translated."""
    names = np.array(["up", "left"])
    np.savez(tmp_path / "own.npz", x=X, y=Y, classes=names)
    spec = TaskSpec(name="own.npz", test="other.npz").placed(tmp_path)
    for theirs, says in ((names[::-1], "its classes are left, up; those of .*own.npz: up, left"), (names, "")):
        np.savez(tmp_path / "other.npz", x=X, y=Y, classes=theirs)
        if says:
            with pytest.raises(DataError, match=says):
                load_task(spec)
        else:
            assert (load_task(spec).y_test == Y).all()
    np.savez(tmp_path / "other.npz", x=X, y=names[Y], classes=names[::-1])  # text says what it is by itself
    assert (load_task(spec).y_test == Y).all()
    np.savez(tmp_path / "own.npz", x=X, y=Y)
    np.savez(tmp_path / "other.npz", x=X, y=Y, classes=names)
    with pytest.raises(DataError, match="its classes are up, left; those of .*own.npz: none"):
        load_task(spec)
    samples = load_samples(tmp_path / "other.npz", classes=("left", "right", "up"))
    assert samples.y is not None and samples.y.tolist() == [2, 0] * (N // 2)
    with pytest.raises(DataError, match="label 'left' of sample 1 is none of right, up"):
        load_samples(tmp_path / "other.npz", classes=("right", "up"))
    np.savez(tmp_path / "other.npz", x=X, y=Y * 2, classes=names)
    with pytest.raises(DataError, match="label 2 has no name; there are 2 classes, 0 to 1"):
        load_samples(tmp_path / "other.npz", classes=("left", "up"))
    steps = np.tile([0, 1, -1, 1], (N, 1))
    np.savez(tmp_path / "other.npz", x=X, y=steps, classes=names)
    samples = load_samples(tmp_path / "other.npz", classes=("left", "up"))
    assert samples.y is not None and samples.y[0].tolist() == [1, 0, UNLABELLED, 0]
    samples = load_samples(tmp_path / "other.npz", classes=("0", "1"))  # a network that was trained without names
    assert samples.y is not None and samples.y[0].tolist() == [0, 1, UNLABELLED, 1]


def test_rows_of_different_lengths_in_hdf5_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "own.h5", "w") as file:
        rows = file.create_dataset("x", (3,), h5py.vlen_dtype(np.float32))
        for i in range(3):
            rows[i] = np.zeros(i + 2, np.float32)
        file["y"] = [0, 1, 0]
    with pytest.raises(DataError, match="own.h5: 'x' holds rows of different lengths; .* pad them to one and add"):
        load_task(str(tmp_path / "own.h5"))
