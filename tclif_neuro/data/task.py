"""What a model is trained on: sequences and their classes, checked once when the object is made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.errors import TclifError

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


class DataError(TclifError, ValueError):
    """A data set that cannot be used. The message names the data, the field, the value and the limit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """A classification task: sequences of T steps of M inputs, sample first, and which class each belongs to.

    x_train, x_test: [n, T, M] float32, finite. y_train, y_test: [n] int64 in [0, len(classes)).
    classes: the name of each class. Raises `DataError` on anything else.
    """

    name: str
    x_train: Floats
    y_train: Labels
    x_test: Floats
    y_test: Labels
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            x, y = getattr(self, f"x_{part}"), getattr(self, f"y_{part}")
            object.__setattr__(self, f"x_{part}", check_sequences(f"{self.name}: x_{part}", x))
            object.__setattr__(self, f"y_{part}", check_labels(f"{self.name}: y_{part}", y, len(x), len(self.classes)))
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise DataError(
                f"{self.name}: a training sample is [T, M] = {list(self.x_train.shape[1:])}, "
                f"a test sample {list(self.x_test.shape[1:])}"
            )

    @property
    def steps(self) -> int:
        """T, the steps of a sample."""
        return self.x_train.shape[1]

    @property
    def inputs(self) -> int:
        """M, the inputs of a step."""
        return self.x_train.shape[2]

    def digest(self) -> str:
        """Identifies the data: equal only for the same arrays in the same split."""
        digest = hashlib.blake2b(digest_size=16)
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def check_sequences(what: str, x: npt.NDArray[Any]) -> Floats:
    """`x` as float32 [n, T, M]; raises `DataError` naming `what` on another shape or type, no samples, NaN or inf."""
    if x.dtype.kind not in "buif":
        raise DataError(f"{what}: numbers expected, got {x.dtype}")
    if x.ndim != 3:
        raise DataError(f"{what}: [samples, steps, inputs] expected, got shape {list(x.shape)}")
    if 0 in x.shape:
        raise DataError(f"{what}: is empty, shape {list(x.shape)}")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is reported below
        x = x.astype(np.float32, copy=False)
    finite = np.isfinite(x)
    if not finite.all():
        sample, step, channel = (int(i) for i in np.argwhere(~finite)[0])
        raise DataError(f"{what}: {x[sample, step, channel]} at sample {sample}, step {step}, input {channel}")
    return x


def check_labels(what: str, y: npt.NDArray[Any], samples: int, classes: int) -> Labels:
    """`y` as int64 [samples]; raises `DataError` naming `what` unless every label is in [0, classes)."""
    if y.dtype.kind not in "ui":
        raise DataError(f"{what}: integers expected, got {y.dtype}")
    if y.shape != (samples,):
        raise DataError(f"{what}: one label a sample expected, shape [{samples}], got {list(y.shape)}")
    outside = np.flatnonzero((y < 0) | (y >= classes))
    if outside.size:
        at = int(outside[0])
        raise DataError(f"{what}: label {y[at]} of sample {at} is outside [0, {classes - 1}], the {classes} classes")
    return y.astype(np.int64, copy=False)
