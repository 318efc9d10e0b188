"""The tasks by name."""

from __future__ import annotations

import difflib
from pathlib import Path

import numpy as np

from tclif_neuro.data.digits import TEST_FRACTION, digits_pixels, digits_rows
from tclif_neuro.data.mnist import mnist_permuted, mnist_pixels, mnist_rows
from tclif_neuro.data.npz import load_samples
from tclif_neuro.data.spec import TaskSpec
from tclif_neuro.data.split import stratified_split
from tclif_neuro.data.task import DataError, Task

_DIGITS = {"digits-rows": digits_rows, "digits-pixels": digits_pixels}
_MNIST = {"smnist-rows": mnist_rows, "smnist": mnist_pixels, "psmnist": mnist_permuted}
TASKS = (*_DIGITS, *_MNIST)


def load_task(task: str | TaskSpec, seed: int = 0, data_dir: str | Path | None = None) -> Task:
    """The task of that name, or one made of the user's own file.

    task: one of `TASKS`, or the path of an .npz file with `x` [n, T, M] and `y` [n], of which a fifth becomes the test
    set, stratified; or the [task] of a recipe, which has a seed of its own and may have a code. seed: of the split
    (digits, .npz) or of the permutation (psmnist). data_dir: where MNIST is, see `load_mnist`. Raises `DataError`.
    """
    if isinstance(task, str):
        return _plain_task(task, seed, None if data_dir is None else Path(data_dir))
    plain = _plain_task(task.name, task.seed, None if data_dir is None else Path(data_dir))
    if task.encoding is None:
        return plain
    from tclif_neuro.data.encode import encode_task  # imports torch

    return encode_task(plain, task)


def _plain_task(name: str, seed: int, data_dir: Path | None) -> Task:
    if name in _DIGITS:
        return _DIGITS[name](name, seed)
    if name in _MNIST:
        return _MNIST[name](name, seed, data_dir)
    if name.endswith(".npz"):
        return _own_task(name, seed)
    near = difflib.get_close_matches(name, TASKS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise DataError(f"task {name!r}: {hint}There are {', '.join(TASKS)}, or the path of an .npz file")


def _own_task(path: str, seed: int) -> Task:
    samples = load_samples(path)
    if samples.y is None:
        raise DataError(f"{path}: has no array 'y'; a task needs the classes of its samples")
    classes = int(samples.y.max()) + 1
    train, test = stratified_split(samples.y, TEST_FRACTION, seed)
    return Task(
        name=path,
        x_train=samples.x[train],
        y_train=samples.y[train],
        x_test=samples.x[test],
        y_test=samples.y[test],
        classes=tuple(str(c) for c in np.arange(classes)),
    )
