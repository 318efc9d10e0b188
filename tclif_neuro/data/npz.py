"""Arrays from .npz files: an input from outside, read without executing anything in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro import arrays
from tclif_neuro.data.task import DataError, Floats, Labels, check_labels, check_sequences


def read_arrays(path: Path, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, npt.NDArray[Any]]:
    """The named arrays of an .npz file; raises `DataError` if it is none, lacks one, or holds Python objects."""
    try:
        return arrays.read_arrays(path, required, optional).arrays
    except arrays.ArraysError as error:
        raise DataError(f"{path}: {error}") from error


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Sequences to run a network on: x [n, T, M] float32, and their labels y [n] int64, if known."""

    x: Floats
    y: Labels | None


def load_samples(path: str | Path, *, inputs: int | None = None, classes: int | None = None) -> Samples:
    """The samples of an .npz file: `x` [n, T, M], and `y` [n] if it is there.

    inputs, classes: how many the network has (None: any). Raises `DataError` on an empty file, other shapes or types,
    NaN or infinity, or a label outside the classes.
    """
    path = Path(path)
    found = read_arrays(path, ("x",), ("y",))
    x = check_sequences(f"{path}: x", found["x"])
    if inputs is not None and x.shape[2] != inputs:
        raise DataError(f"{path}: x has {x.shape[2]} inputs a step, the network {inputs}")
    if "y" not in found:
        return Samples(x=x, y=None)
    limit = int(np.iinfo(np.int64).max) if classes is None else classes
    return Samples(x=x, y=check_labels(f"{path}: y", found["y"], len(x), limit))
