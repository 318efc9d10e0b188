"""Splits of a data set that depend on a seed alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tclif_neuro.data.task import DataError, Labels

Indices = npt.NDArray[np.intp]


def stratified_split(y: Labels, fraction: float, seed: int) -> tuple[Indices, Indices]:
    """The samples kept, and the `fraction` of them held out: every class in proportion, shuffled by `seed`.

    y: [n], the classes. Raises `DataError` where a class is too small to be in both parts.
    """
    from sklearn.model_selection import train_test_split  # slow to import

    try:
        kept, held_out = train_test_split(np.arange(len(y)), test_size=fraction, stratify=y, random_state=seed)
    except ValueError as error:
        raise DataError(f"{len(y)} samples cannot be split, {fraction:.0%} held out, by class: {error}") from error
    return kept, held_out
