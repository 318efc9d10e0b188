"""Arrays from .npz files: an input from outside, read without executing anything in it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy.typing as npt

from tclif_neuro import arrays
from tclif_neuro.data.sequences import DataError

RAGGED = "; samples of different lengths: pad them to one and add an array lengths; text: y.astype(str)"


def read_arrays(
    path: Path, required: Collection[str] = (), optional: Collection[str] | None = None
) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an .npz file; raises `DataError` if it is none, lacks one of `required`, or holds Python objects.

    optional: others that are read if they are there; None: all.
    """
    try:
        return arrays.read_arrays(path, required, optional).arrays
    except arrays.ArraysError as error:
        hint = RAGGED if "Python objects" in str(error) else ""
        raise DataError(f"{path}: {error}{hint}") from error
