"""Right and wrong answers by class, by the class they were taken for, and by group. Pure functions of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class PartScore:
    """The samples, or labelled steps, of one class or group: how many, and the share classified rightly (None of 0)."""

    name: str
    count: int
    accuracy: float | None


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """An accuracy in its parts.

    confusion: a row per true class, in it how often each class was said. classes, groups: the parts; groups is empty
    where nobody knows them.
    """

    confusion: tuple[tuple[int, ...], ...]
    classes: tuple[PartScore, ...]
    groups: tuple[PartScore, ...]


def breakdown(said: Array, labels: Array, classes: Sequence[str], groups: Array | None = None) -> Breakdown:
    """Count answers by class and group.

    said, labels: a class [B], or [T, B] of every step; a negative label is none. classes: their names. groups: [B],
    who or what each sample is of.
    """
    known = labels >= 0
    said, true = said[known], labels[known]
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (true, said), 1)
    by_class = tuple(_part(name, row[i], row.sum()) for i, (name, row) in enumerate(zip(classes, counts, strict=True)))
    by_group: tuple[PartScore, ...] = ()
    if groups is not None:
        of, right = np.broadcast_to(groups, labels.shape)[known], said == true
        by_group = tuple(_part(str(name), right[of == name].sum(), (of == name).sum()) for name in np.unique(groups))
    return Breakdown(confusion=tuple(map(tuple, counts.tolist())), classes=by_class, groups=by_group)


def _part(name: str, right: int, count: int) -> PartScore:
    return PartScore(name=name, count=int(count), accuracy=float(right / count) if count else None)
