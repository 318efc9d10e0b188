"""MNIST's sequences, from generated files of its format; with $TCLIF_DATA also from the real one."""

import gzip
import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from tclif_neuro.data import DataError, load_task
from tclif_neuro.data.mnist import permutation

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5], np.uint8)
ARRAYS = {"x_train": IMAGES[:3], "y_train": LABELS[:3], "x_test": IMAGES[3:], "y_test": LABELS[3:]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.savez(tmp_path / "mnist.npz", **ARRAYS)
    return tmp_path


def test_rows_pixels_and_permuted_pixels_are_the_same_images(folder: Path) -> None:
    rows, pixels, permuted = (load_task(name, 7, folder) for name in ("smnist-rows", "smnist", "psmnist"))
    assert (rows.x_train == IMAGES[:3] / np.float32(255)).all()
    assert rows.x_train.dtype == np.float32
    assert (pixels.x_test == rows.x_test.reshape(2, 784, 1)).all()
    assert (permuted.x_test == pixels.x_test[:, permutation(7)]).all()
    assert not (permuted.x_test == pixels.x_test).all()
    assert (permuted.y_train == LABELS[:3]).all()
    of_rows = load_task("psmnist-rows", 7, folder)
    assert of_rows.x_test.shape == rows.x_test.shape
    assert (of_rows.x_test.reshape(permuted.x_test.shape) == permuted.x_test).all()


def test_the_permutation_is_fixed_by_its_seed() -> None:
    assert sorted(permutation(0)) == list(range(784))
    assert permutation(0)[:5].tolist() == [318, 2, 606, 446, 758]  # quoted results are of this very permutation
    assert (permutation(0) != permutation(1)).any()


def test_the_folder_may_be_named_by_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCLIF_DATA", str(folder))
    assert len(load_task("smnist-rows").x_test) == 2


BAD = {
    "float images": (
        {"x_train": IMAGES[:3] / 255},
        r"x_train: \[n, 28, 28\] uint8 expected, got \[3, 28, 28\] float64",
    ),
    "flat images": ({"x_test": IMAGES[3:].reshape(2, 784)}, r"x_test: \[n, 28, 28\] uint8 expected, got \[2, 784\]"),
    "no images": ({"x_test": IMAGES[:0], "y_test": LABELS[:0]}, "x_test: "),
    "too few labels": ({"y_train": LABELS[:2]}, r"y_train: \[3\] integers expected, got \[2\]"),
    "float labels": ({"y_test": LABELS[3:] / 2}, r"y_test: \[2\] integers expected"),
    "label 10": ({"y_test": np.array([3, 10])}, r"label 10 of sample 1 is outside \[0, 9\]"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD.keys())
def test_a_wrong_file_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    np.savez(tmp_path / "mnist.npz", **{**ARRAYS, **change})
    with pytest.raises(DataError, match=message):
        load_task("smnist-rows", data_dir=tmp_path)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", **{key: ARRAYS[key] for key in ("x_train", "y_train", "x_test")})
    with pytest.raises(DataError, match="has no array 'y_test'"):
        load_task("smnist", data_dir=tmp_path)


def test_without_file_and_torchvision_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(DataError, match=r"pip install 'tclif-neuro\[vision\]', or set TCLIF_DATA"):
        load_task("smnist", data_dir=tmp_path)


def test_without_a_network_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])  # nobody listens there
    with pytest.raises(DataError, match="MNIST: could not be downloaded to .*Check the network"):
        load_task("smnist", data_dir=tmp_path)


def test_what_torchvision_downloaded_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torchvision")
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, prefix in (("train", "train"), ("test", "t10k")):
        x, y = ARRAYS[f"x_{part}"], ARRAYS[f"y_{part}"]
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 0x803, *x.shape) + x.tobytes())
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, len(y)) + y.tobytes())
    task = load_task("smnist-rows", data_dir=tmp_path)
    assert (task.x_test == IMAGES[3:] / np.float32(255)).all()
    assert task.y_train.tolist() == [3, 1, 4]
    assert capsys.readouterr().out == ""


def test_a_download_cut_short_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("torchvision")
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{name}-ubyte").write_bytes(gzip.compress(b"")[:7])
    with pytest.raises(DataError, match="MNIST: could not be"):
        load_task("smnist-rows", data_dir=tmp_path)


def test_the_real_file() -> None:
    folder = os.environ.get("TCLIF_DATA", "")
    if not (Path(folder) / "mnist.npz").is_file() or not folder:
        pytest.skip("set TCLIF_DATA to the folder of the real mnist.npz")
    task = load_task("smnist-rows")
    assert (task.x_train.shape, task.x_test.shape) == ((60000, 28, 28), (10000, 28, 28))
    assert np.bincount(task.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
