"""MNIST as sequences: from a file `mnist.npz`, or downloaded through torchvision."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.data.npz import read_arrays
from tclif_neuro.data.paths import data_folder
from tclif_neuro.data.sequences import DataError, Dense
from tclif_neuro.data.task import Part, Task

KEYS = ("x_train", "y_train", "x_test", "y_test")
SIDE = 28  # pixels
WHITE = 255
CLASSES = tuple("0123456789")
DOWNLOAD_TIMEOUT = 60.0  # seconds without a byte

Arrays = dict[str, npt.NDArray[Any]]


def mnist_rows(name: str, seed: int, data_dir: Path | None) -> Task:
    """One row of an image a step: T = 28, 28 inputs in [0, 1]. The set's own split: the seed changes nothing."""
    return _task(name, load_mnist(data_dir), steps=SIDE)


def mnist_pixels(name: str, seed: int, data_dir: Path | None) -> Task:
    """Sequential MNIST: one pixel a step, row by row: T = 784, 1 input in [0, 1]. The seed changes nothing."""
    return _task(name, load_mnist(data_dir), steps=SIDE * SIDE)


def mnist_permuted(name: str, seed: int, data_dir: Path | None) -> Task:
    """Permuted sequential MNIST: as `mnist_pixels`, step t showing pixel `permutation(seed)[t]` of every image."""
    return _task(name, _permuted(load_mnist(data_dir), seed), steps=SIDE * SIDE)


def mnist_permuted_rows(name: str, seed: int, data_dir: Path | None) -> Task:
    """The pixels of `mnist_permuted`, in the same order, 28 of them a step: T = 28, 28 inputs in [0, 1]."""
    return _task(name, _permuted(load_mnist(data_dir), seed), steps=SIDE)


def _permuted(arrays: Arrays, seed: int) -> Arrays:
    order = permutation(seed)
    return {**arrays, **{key: arrays[key].reshape(-1, SIDE * SIDE)[:, order] for key in ("x_train", "x_test")}}


def permutation(seed: int) -> npt.NDArray[np.int64]:
    """The order in which `psmnist` shows the 784 pixels."""
    return np.random.default_rng(seed).permutation(SIDE * SIDE)


def load_mnist(data_dir: Path | None) -> Arrays:
    """MNIST's x_train, y_train, x_test, y_test: images [n, 28, 28] uint8 and labels [n].

    data_dir: where `mnist.npz` is looked for, and where a download is kept; None: $TCLIF_DATA, else a cache folder.
    Raises `DataError` if the file is not what it should be, or there is none and it cannot be downloaded.
    """
    folder = data_folder(data_dir)
    path = folder / "mnist.npz"
    if path.exists():
        return _checked(path, read_arrays(path, KEYS, ()))
    return _checked(folder, _download(folder))


def _checked(source: Path, arrays: Arrays) -> Arrays:
    for part in ("train", "test"):
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if x.dtype != np.uint8 or x.ndim != 3 or x.shape[1:] != (SIDE, SIDE) or not len(x):
            raise DataError(f"{source}: x_{part}: [n, 28, 28] uint8 expected, got {list(x.shape)} {x.dtype}")
        if y.shape != (len(x),) or y.dtype.kind not in "ui":
            raise DataError(f"{source}: y_{part}: [{len(x)}] integers expected, got {list(y.shape)} {y.dtype}")
    return arrays


def _task(name: str, arrays: Arrays, steps: int) -> Task:
    def part(key: str) -> Part:
        images = arrays[f"x_{key}"]
        x = Dense(images.reshape(len(images), steps, -1), scale=WHITE)
        return Part(x=x, y=arrays[f"y_{key}"], source=f"MNIST's own {key} set")

    return Task(name=name, train=part("train"), test=part("test"), classes=CLASSES)


def _download(folder: Path) -> Arrays:
    """MNIST through torchvision, which keeps it in `folder` and checks its digests."""
    try:
        from torchvision.datasets import MNIST
    except ImportError:
        raise DataError(
            f"MNIST: there is no {folder / 'mnist.npz'}, and torchvision, which downloads it, is not installed: "
            "pip install 'tclif-neuro[vision]', or set TCLIF_DATA to the folder of mnist.npz"
        ) from None
    try:
        with _download_manners():
            train, test = (MNIST(root=str(folder), train=train, download=True) for train in (True, False))
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        raise DataError(
            f"MNIST: could not be downloaded to {folder}: {error}. Check the network and the folder, "
            "or set TCLIF_DATA to the folder of mnist.npz"
        ) from error
    return {
        "x_train": train.data.numpy(),
        "y_train": train.targets.numpy(),
        "x_test": test.data.numpy(),
        "y_test": test.targets.numpy(),
    }


@contextlib.contextmanager
def _download_manners() -> Iterator[None]:
    """torchvision waits without end and prints to the standard output, which belongs to the results."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        socket.setdefaulttimeout(before)
