"""Arrays from .npz files: an input from outside, read without executing anything in it."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.data.task import DataError, Floats, Labels, check_labels, check_sequences


def read_arrays(path: Path, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, npt.NDArray[Any]]:
    """The named arrays of an .npz file; raises `DataError` if it is none, lacks one, or holds Python objects."""
    try:
        with open(path, "rb") as file:  # opened here: np.load leaves a damaged file open
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path}: is a single array, not an .npz archive of named arrays")
            missing = [key for key in required if key not in archive.files]
            if missing:
                raise DataError(f"{path}: has no array {missing[0]!r}; it has {sorted(archive.files)}")
            return {key: archive[key] for key in (*required, *optional) if key in archive.files}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: is not an .npz file of plain arrays: {error}") from error


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
    arrays = read_arrays(path, ("x",), ("y",))
    x = check_sequences(f"{path}: x", arrays["x"])
    if inputs is not None and x.shape[2] != inputs:
        raise DataError(f"{path}: x has {x.shape[2]} inputs a step, the network {inputs}")
    if "y" not in arrays:
        return Samples(x=x, y=None)
    limit = int(np.iinfo(np.int64).max) if classes is None else classes
    return Samples(x=x, y=check_labels(f"{path}: y", arrays["y"], len(x), limit))
