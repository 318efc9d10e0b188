"""The figures of a run as bars: each contender at its best number of threads."""

from __future__ import annotations

import itertools
import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sim.bench.runner import Row, count, title
from tclif_neuro.files import write_atomically

WIDE = 44  # characters of a title
OURS, OTHERS = "#0072B2", "#8a8a8a"  # Okabe and Ito's blue, and grey


def digits(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def plot(rows: Sequence[Row], path: Path) -> None:
    """A panel for each quantity and work; a bar for each contender, a line for its range."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = [list(group) for _, group in itertools.groupby(rows, lambda row: title(row.job))]
    panels = [(g, *p) for g in groups for p in _quantities(g)]
    height = sum(1.2 + 0.26 * len(p[0]) for p in panels) / 2 + 0.8
    figure = Figure(figsize=(9.5, height), layout="constrained")
    lines = -(-len(panels) // 2)
    ratios = [1.2 + 0.26 * max(len(p[0]) for p in panels[2 * i : 2 * i + 2]) for i in range(lines)]
    axes = figure.subplots(lines, 2, squeeze=False, height_ratios=ratios).flatten()
    for axis, (group, name, values) in zip(axes, panels, strict=False):
        _bars(axis, group, values)
        axis.set_title(textwrap.fill(title(group[0].job), WIDE), fontsize=8, loc="left")
        axis.set_xlabel(name, fontsize=7)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    write_atomically(path, lambda file: FigureCanvasAgg(figure).print_png(file))


def _quantities(group: Sequence[Row]) -> list[tuple[str, list[list[float]]]]:
    if group[0].job.work == "simulate":
        return [("samples per second, more is better", [[1 / seconds for seconds in row.seconds] for row in group])]
    memory = [[f["peak"] - f["before"] for f in row.figures] for row in group]
    return [
        ("seconds per step, less is better", [row.seconds for row in group]),
        ("MiB that a step takes, less is better", memory),
    ]


def _bars(axis: Any, group: Sequence[Row], values: Sequence[Sequence[float]]) -> None:
    medians = [statistics.median(v) for v in values]
    colours = [OURS if "tclif-neuro" in row.contender.label or row.job.work == "online" else OTHERS for row in group]
    labels = [f"{row.contender.label}, {count(row.job.threads, 'thread')}" for row in group]
    axis.barh(labels, medians, color=colours, height=0.65)
    for i, (v, median) in enumerate(zip(values, medians, strict=True)):
        axis.plot([min(v), max(v)], [i, i], color="#222222", linewidth=1)
        axis.annotate(digits(median), (max(v), i), (4, 0), textcoords="offset points", va="center", fontsize=7)
    axis.set_xlim(0, max(max(map(max, values)), 1e-9) * 1.2)
    axis.invert_yaxis()
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)
