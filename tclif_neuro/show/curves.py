"""Learning curves: what a training run's log says, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tclif_neuro.show.plots import DPI, GREY, INK, STYLE

PARTS = {"train": "#0072B2", "validation": "#D55E00", "test": "#009E73"}


def curves_figure(log: Sequence[Mapping[str, Any]], *, title: str, kept: int) -> Figure:
    """Loss, accuracy (or error) of every part of the data, and learning rate over the epochs; kept: whose weights."""
    epochs = [row["epoch"] for row in log]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 5.6), dpi=DPI, layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
        above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 1])
        above.plot(epochs, [row["loss"] for row in log], color=PARTS["train"], marker=".")
        above.set_ylabel("training loss")
        _measured(middle, epochs, log)
        below.plot(epochs, [row["lr"] for row in log], color=GREY, marker=".")
        below.set_ylabel("learning rate")
        below.set_xlabel("epoch")
        below.xaxis.set_major_locator(MaxNLocator(integer=True))
        for axes in (above, middle, below):
            axes.axvline(kept, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
        middle.annotate(f"kept: {kept}", (kept, 1), xycoords=("data", "axes fraction"), fontsize=7, color=GREY)
    return figure


def _measured(axes: Axes, epochs: Sequence[int], log: Sequence[Mapping[str, Any]]) -> None:
    """The accuracy, or the error, of each part that was measured."""
    for measure in ("accuracy", "error"):
        for part, colour in PARTS.items():
            values = [row.get(f"{part}_{measure}") for row in log]
            if any(value is not None for value in values):
                axes.plot(epochs, values, color=colour, marker=".", label=part)  # type: ignore[arg-type]
                axes.set_ylabel(measure)
    axes.legend(frameon=False)
