"""The drawings that a report and a live page share: the curves of a log and the spikes of a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.cli.commands.subject import Column, last
from tclif_neuro.page.parts import Chart, Curve, Raster

# A chart, the measure its columns end or begin with, and whether it is a share.
CHARTS = (
    ("Accuracy", "accuracy", True),
    ("Loss", "loss", False),
    ("Error, root mean square", "error", False),
    ("Mean size of a weight, in steps", "weight", False),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """Spikes, or an input, of one sample: values [T, N]."""

    title: str
    values: npt.NDArray[Any]
    unit: str = "neuron"
    grades: bool = False


def log_charts(
    logs: Sequence[Mapping[str, Column]], names: Sequence[str] = ("",), marks: Sequence[tuple[float, str]] = ()
) -> list[Chart]:
    """Accuracies in one chart, losses in another, one over the epochs or samples of training; a log for each name."""
    charts = []
    for title, measure, share in CHARTS:
        curves: list[Curve] = []
        axes = []
        for i, (log, name) in enumerate(zip(logs, names, strict=True)):
            axis = "epoch" if "epoch" in log else "sample"
            for column, y in log.items():
                if _measures(column, measure) and last(y) is not None:
                    label = column.replace(measure, "").strip("_").replace("_", " ") or measure
                    label = f"layer {label}" if measure == "weight" else label
                    label = f"{name}: {label}" if len(logs) > 1 else label
                    curves.append(Curve(name=label, x=log[axis], y=y, dashed=i > 0))
                    axes.append(axis)
        if curves:
            label = " or ".join(dict.fromkeys(axes))
            title = "Squared error per sample" if measure == "error" and axes == ["sample"] else title
            charts.append(Chart(title=title, x_label=label, curves=tuple(curves), share=share, marks=tuple(marks)))
    return charts


def _measures(column: str, measure: str) -> bool:
    """Return whether a column is one of a measure: `loss`, `train_accuracy`, `accuracy_test`; not `clipped_error`."""
    return column == measure or (
        column.startswith(f"{measure}_") or (column.endswith(f"_{measure}") and not column.startswith("clipped"))
    )


def rasters(pictures: Sequence[Picture], marks: int) -> list[Raster]:
    """The pictures, of as many neurons as `marks` in all leave room for."""
    drawn = []
    for picture in pictures:
        steps, size = picture.values.shape
        room = max(1, marks // (len(pictures) * steps) // (8 if picture.grades else 1))
        more = "" if size <= room else f", the first {room} of {size}"
        drawn.append(Raster(title=picture.title + more, values=picture.values[:, :room], unit=picture.unit))
    return drawn


def input_picture(values: npt.NDArray[Any], *, grades: bool) -> Picture:
    """An input [T, M], from its least value, or 0, to its largest, or 1."""
    values = values.astype(np.float64)
    low, high = min(0.0, float(values.min())), max(1.0, float(values.max()))
    return Picture(title="Input", values=(values - low) / (high - low), unit="channel", grades=grades)
