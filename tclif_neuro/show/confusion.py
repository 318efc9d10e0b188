"""The confusion matrix as a figure."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tclif_neuro.compare.breakdown import Breakdown
from tclif_neuro.show.plots import DPI, INK, STYLE

MOST_NUMBERS = 36  # classes, of which the counts can still be read


def confusion_figure(found: Breakdown, *, title: str) -> Figure:
    """The confusion matrix: a row per true class, shaded by its shares; numbers are counts, where there is room."""
    counts, names = np.array(found.confusion), [part.name for part in found.classes]
    shares = counts / np.maximum(1, counts.sum(1, keepdims=True))
    size = 1.6 + 0.34 * len(names)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(size + 1.2, size), dpi=DPI, layout="constrained")
        axes = figure.add_subplot()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        figure.colorbar(image, ax=axes, label="share of the true class")
        axes.set_title(title, color=INK)
        axes.set_xlabel("said")
        axes.set_ylabel("true")
        axes.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > 2 else 0)
        axes.set_yticks(range(len(names)), names)
        for i, j in np.argwhere(counts > 0) if len(names) <= MOST_NUMBERS else ():
            colour = "white" if shares[i, j] > 0.6 else INK
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=6.5, color=colour)
    return figure
