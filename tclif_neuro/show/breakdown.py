"""An accuracy in its parts, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from tclif_neuro.compare.breakdown import Breakdown, PartScore
from tclif_neuro.show.tables import Sheet, share

MOST_COLUMNS = 12  # of a table in a terminal


def breakdown_sheets(found: Breakdown) -> list[Sheet]:
    """A row per class, with what it was taken for, and a row per group."""
    names = [part.name for part in found.classes]
    wide = len(names) > MOST_COLUMNS
    columns = ("class", "count", "accuracy", *(["mostly taken for"] if wide else (f"said {name}" for name in names)))
    rows = tuple(
        (*_cells(part), *([_mistake(row, i, names)] if wide else map(str, row)))
        for i, (part, row) in enumerate(zip(found.classes, found.confusion, strict=True))
    )
    sheets = [Sheet(title="accuracy per class, and what was said", columns=columns, rows=rows)]
    if found.groups:
        groups = tuple(_cells(part) for part in found.groups)
        sheets.append(Sheet(title="accuracy per group", columns=("group", "count", "accuracy"), rows=groups))
    return sheets


def _cells(part: PartScore) -> tuple[str, ...]:
    return part.name, str(part.count), share(part.accuracy)


def _mistake(row: Sequence[int], true: int, names: Sequence[str]) -> str:
    """The class that another is most often taken for."""
    wrong = [0 if k == true else count for k, count in enumerate(row)]
    most = max(wrong)
    return f"{names[wrong.index(most)]} ({most})" if most else "–"
