"""The user's own files: what is read, and what is refused without being executed."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tclif_neuro.data import DataError, load_samples, load_task

X = np.linspace(0, 1, 40, dtype=np.float32).reshape(10, 2, 2)
Y = np.array([0, 1] * 5)


class Bomb:
    """Unpickling it makes the folder `at`."""

    def __init__(self, at: Path) -> None:
        self.at = at

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.at),)


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=3, max_dims=3), elements=st.floats(-100, 100, width=32)))
def test_what_was_saved_is_loaded(tmp_path_factory: pytest.TempPathFactory, x: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("npz") / "own.npz"
    y = np.arange(len(x))
    np.savez(path, x=x, y=y)
    samples = load_samples(path)
    assert (samples.x == x).all()
    assert samples.y is not None and (samples.y == y).all()


def test_labels_may_be_unknown_but_a_task_needs_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=X)
    assert load_samples(tmp_path / "own.npz").y is None
    with pytest.raises(DataError, match="has no array 'y'"):
        load_task(str(tmp_path / "own.npz"))


def test_an_own_file_is_a_task(tmp_path: Path) -> None:
    path = str(tmp_path / "own.npz")
    np.savez(path, x=X, y=Y)
    task = load_task(path, seed=1)
    assert (len(task.x_train), len(task.x_test), task.classes) == (8, 2, ("0", "1"))
    assert sorted(np.concatenate([task.x_train, task.x_test])[:, 0, 0]) == sorted(X[:, 0, 0])
    assert task.digest() == load_task(path, seed=1).digest()


BAD = {
    "x missing": ({"images": X}, r"has no array 'x'; it has \['images'\]"),
    "empty": ({"x": X[:0]}, "x: is empty"),
    "NaN": ({"x": X * np.nan}, "x: nan at sample 0"),
    "flat": ({"x": X[0]}, "expected, got shape"),
    "other inputs": ({"x": np.zeros((1, 2, 3))}, "x has 3 inputs per step, the network 2"),
    "other classes": ({"x": X, "y": Y + 1}, r"label '2' of sample 1 is none of 0, 1"),
    "too many labels": ({"x": X, "y": np.arange(11)}, "one label per sample expected"),
}


@pytest.mark.parametrize(("arrays", "message"), BAD.values(), ids=BAD.keys())
def test_what_does_not_fit_is_refused(tmp_path: Path, arrays: dict, message: str) -> None:
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(DataError, match=f"own.npz: .*{message}|own.npz: {message}"):
        load_samples(tmp_path / "own.npz", inputs=2, classes=2)


def test_objects_in_a_file_are_refused_and_not_executed(tmp_path: Path) -> None:
    bomb = np.array([Bomb(tmp_path / "exploded")], dtype=object)
    np.savez(tmp_path / "own.npz", x=bomb)
    with pytest.raises(DataError, match=r"'x': holds Python objects.*pad them to one and add an array lengths"):
        load_samples(tmp_path / "own.npz")
    assert not (tmp_path / "exploded").exists()


@given(st.integers(0, 10**6), st.integers(0, 255))
def test_a_damaged_file_is_a_data_error_or_the_same_data(
    tmp_path_factory: pytest.TempPathFactory, where: int, byte: int
) -> None:
    path = tmp_path_factory.mktemp("npz") / "own.npz"
    np.savez_compressed(path, x=X, y=Y)
    content = bytearray(path.read_bytes())
    content[where % len(content)] = byte
    path.write_bytes(content)
    try:
        samples = load_samples(path)
    except DataError as error:
        assert "own.npz" in str(error)
    else:
        assert (samples.x == X).all()


@pytest.mark.parametrize("size", [0, 3, 100])
def test_a_file_cut_short_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "own.npz"
    np.savez(path, x=X)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match="own.npz: is not an .npz archive"):
        load_samples(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "single.npy", X)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is a single array"):
        load_samples(tmp_path / "single.npy")
    with pytest.raises(DataError, match="No such file"):
        load_samples(tmp_path / "absent.npz")
    with pytest.raises(DataError, match="is a folder without .npy files"):
        load_samples(tmp_path / "empty")
