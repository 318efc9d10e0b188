"""Figures of single neurons: the plane of dendrite and soma, and the eligibility traces of their synapses."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tclif_neuro.compare.inside import Eligibility, Path
from tclif_neuro.show.plots import DPI, GREY, INK, STATE_COLOURS, STYLE, THRESHOLD, time_axis

DENDRITE, SOMA = STATE_COLOURS["dendrite"], STATE_COLOURS["soma"]
INPUT_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
ARROW = {"arrowstyle": "-|>", "color": SOMA, "lw": 0.7, "alpha": 0.6, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 6}
WRAP = 4  # planes beside each other


def phase_figure(paths: Sequence[Path], *, title: str) -> Figure:
    """The plane of each neuron: its path from step to step, the threshold, its spikes, and an arrow for each reset."""
    columns = min(len(paths), WRAP)
    rows = -(-len(paths) // columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.2 * max(columns, 2), 0.5 + 2.9 * rows), dpi=DPI, layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
        cells = figure.subplots(rows, columns, squeeze=False).flat
        for axes, path in zip(cells, paths, strict=False):
            draw_plane(axes, path)
        for axes in list(cells)[len(paths) :]:
            axes.axis("off")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        handles.append(Line2D([], [], color=SOMA, linewidth=0.9, marker="v", markersize=3))
        figure.legend(handles, [*labels, "reset"], loc="outside lower left", ncols=5, frameon=False)
    return figure


def draw_plane(axes: Axes, path: Path) -> None:
    """One neuron's path: dendrite to the right, soma upwards, from the origin, where a sample begins."""
    dendrite, soma = np.append(0.0, path.dendrite), np.append(0.0, path.soma)
    axes.axhline(path.threshold, color=INK, label="threshold", **THRESHOLD)
    axes.plot(dendrite, soma, color=GREY, linewidth=0.6, marker="o", markersize=1.6, label="state, a dot per step")
    axes.plot(0, 0, marker="s", markersize=4, color=INK, linestyle="none", label="start")
    axes.plot(*path.crossings.T, marker="o", markersize=3.2, color=SOMA, linestyle="none", label="spike")
    for start, end in path.resets:
        axes.annotate("", xy=end, xytext=start, arrowprops=ARROW)
    axes.plot(*path.resets.reshape(-1, 2).T, linestyle="none")  # arrows do not widen the axes by themselves
    axes.margins(0.08)
    when = "in the next step" if path.delayed else "in the same step"
    axes.set_title(f"neuron {path.neuron}: {len(path.crossings)} spikes, reset {when}")
    axes.set_xlabel("dendrite")
    axes.set_ylabel("soma")


def traces_figure(found: Eligibility, *, title: str, inputs: Sequence[int] | None = None) -> Figure:
    """The factors of e-prop: the inputs, their traces, the neuron's psi, and the product, which waits for the signal.

    inputs: the input channels to draw, at most four; None: the three of which most could be learnt.
    """
    chosen = list(found.busiest[:3] if inputs is None else inputs)[: len(INPUT_COLOURS)]
    steps = len(found.psi)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 5.6), dpi=DPI, layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
        entered, trace, near, product = figure.subplots(4, 1, sharex=True, height_ratios=[1.2, 2, 1.2, 2])
        for k, (i, colour) in enumerate(zip(chosen, INPUT_COLOURS, strict=False)):
            axis = np.arange(steps)
            entered.bar(axis, 0.8 * found.inputs[i], bottom=-k - 0.4, width=0.5, color=colour)
            trace.plot(found.soma[i], color=colour, linewidth=1.2, label=f"input {i}")
            product.plot(found.psi * found.soma[i], color=colour, linewidth=1.2)
        near.fill_between(np.arange(steps), found.psi, color=GREY, alpha=0.35, linewidth=0)
        fired = np.flatnonzero(found.spikes)
        near.plot(fired, found.psi[fired], marker="o", markersize=4, color=SOMA, linestyle="none", label="spike")
        entered.set_yticks([-k for k in range(len(chosen))], [str(i) for i in chosen])
        for axes, label in (
            (entered, "input x"),
            (trace, "trace e"),
            (near, "psi: nearness\nto threshold"),
            (product, "psi e"),
        ):
            axes.set_ylabel(label)
            axes.axhline(0, color=GREY, linewidth=0.4, zorder=0, visible=axes is not entered)
        trace.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        if fired.size:
            near.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        product.set_xlabel("step")
        time_axis(product, steps)
    return figure
