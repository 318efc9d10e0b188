"""The parts of a page, as numbers and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from tclif_neuro.show.tables import Sheet


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A line in a chart: x and y of equal length; NaN in y is a gap. dashed: the second of two runs."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Curves over one axis. share: y is a share, shown in percent from 0 to 100. marks: places on it, with names."""

    title: str
    x_label: str
    curves: tuple[Curve, ...]
    share: bool = False
    marks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Raster:
    """Spikes over a sample, or an input: values [T, N] from 0 to 1, a column per step, neuron 0 at the bottom."""

    title: str
    values: npt.NDArray[Any]
    unit: str = "neuron"


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Text in lines, as in a file; folded away until it is asked for."""

    title: str
    text: str


Part = Sheet | Chart | Raster | Listing | str


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading, and what stands under it."""

    heading: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A whole page. numbers: its data once more, for programs."""

    title: str
    lead: str
    sections: tuple[Section, ...]
    numbers: Mapping[str, Any]
