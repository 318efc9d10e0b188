"""How a training step's time grows with one thing at a time: the rows that differ from the base in that alone."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sim.bench.contenders import Job
from sim.bench.runner import Row, best_rows
from tclif_neuro.files import write_atomically

COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#D55E00", "#E69F00", "#CC79A7", "#F0E442", "#000000", "#8a8a8a", "#7f3c8d")
Curves = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True)
class Axis:
    """What is varied: its name, how much of it a row has, and whether a job differs from the base in nothing else."""

    name: str
    value: Callable[[Row], float]
    belongs: Callable[[Job, Job], bool]


def _uniform(job: Job) -> bool:
    return len(set(job.sizes[1:-1])) == 1


AXES = (
    Axis("time steps", lambda row: row.job.steps, lambda job, base: replace(job, steps=base.steps) == base),
    Axis("samples in a batch", lambda row: row.job.batch, lambda job, base: replace(job, batch=base.batch) == base),
    Axis(
        "neurons a hidden layer",
        lambda row: row.job.sizes[1],
        lambda job, base: (
            replace(job, sizes=base.sizes) == base and _uniform(job) and len(job.sizes) == len(base.sizes)
        ),
    ),
    Axis(
        "hidden layers of 256",
        lambda row: len(row.job.sizes) - 2,
        lambda job, base: replace(job, sizes=base.sizes) == base and set(job.sizes[1:-1]) == {256},
    ),
    Axis(
        "spikes a neuron and step, last layer",
        lambda row: row.median("rate"),
        lambda job, base: replace(job, gain=base.gain) == base,
    ),
)


def panels(rows: Sequence[Row]) -> list[tuple[str, Curves]]:
    """Title and curves, (how much, median seconds) by contender, of every axis that is varied; each kind of network."""
    training = best_rows([row for row in rows if row.job.work == "train"])
    if not training:
        return []
    first = training[0].job
    base = replace(first, build="", threads=1, recurrent=False, steps=max(row.job.steps for row in training))
    found = []
    for recurrent in (False, True):
        kind = replace(base, recurrent=recurrent)
        for axis in AXES:
            belonging = [r for r in training if axis.belongs(replace(r.job, build="", threads=1), kind)]
            curves = _curves(belonging, axis)
            if curves:
                found.append((f"{'recurrent' if recurrent else 'feed-forward'}: {axis.name}", curves))
    return found


def _curves(rows: Sequence[Row], axis: Axis) -> Curves:
    curves: Curves = {}
    for row in rows:
        curves.setdefault(row.contender.label, []).append((axis.value(row), statistics.median(row.seconds)))
    return {label: sorted(points) for label, points in curves.items() if len(points) > 1}


def plot(rows: Sequence[Row], path: Path) -> bool:
    """A panel for each axis, logarithmic, with a thin line for linear growth. False if nothing is varied."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = panels(rows)
    if not found:
        return False
    labels = list(dict.fromkeys(label for _, curves in found for label in curves))
    colours = dict(zip(labels, COLOURS, strict=False))
    lines = -(-len(found) // 3)
    figure = Figure(figsize=(11, 3.1 * lines + 0.9), layout="constrained")
    axes = figure.subplots(lines, 3, squeeze=False).flatten()
    for axis, (title, curves) in zip(axes, found, strict=False):
        _panel(axis, title, curves, colours)
    for axis in axes[len(found) :]:
        axis.set_visible(False)
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    write_atomically(path, lambda file: FigureCanvasAgg(figure).print_png(file))
    return True


def _panel(axis: Any, title: str, curves: Curves, colours: dict[str, str]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    for label, points in curves.items():
        axis.plot(*zip(*points, strict=True), marker="o", markersize=4, color=colours[label], label=label)
    x, y = zip(*next(iter(curves.values())), strict=True)
    axis.plot(x, [y[-1] * value / x[-1] for value in x], color="#bbbbbb", linewidth=0.8, linestyle="--", zorder=0)
    axis.set_xscale("log")
    axis.set_yscale("log")
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_major_locator(LogLocator(subs=(1, 2, 5)))
        scale.set_major_formatter("{x:g}")
        scale.set_minor_formatter(NullFormatter())
    if "spikes" not in title:
        ticks = sorted({point[0] for points in curves.values() for point in points})
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_title(title, fontsize=9, loc="left")
    axis.set_ylabel("seconds per step", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)
