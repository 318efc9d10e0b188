"""Figures: the spikes of every layer and the compartments of chosen neurons, the float model under the integers.

Pure functions from activities to a matplotlib `Figure`; the caller saves it. The same input draws the same figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tclif_neuro.compare.activity import Activity
from tclif_neuro.errors import TclifError
from tclif_neuro.show.tables import number

Array = npt.NDArray[Any]

# Okabe and Ito's colours, told apart by every kind of eye.
INK, GREY = "#222222", "#8a8a8a"
STATE_COLOURS = {"dendrite": "#0072B2", "current": "#0072B2", "soma": "#D55E00", "potential": "#D55E00"}
ONLY_FLOAT, ONLY_INTEGER = "#E69F00", "#009E73"
STYLE = {
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelcolor": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.solid_capstyle": "round",
    "text.parse_math": False,  # the name of a class is no formula
}
FLOAT: dict[str, Any] = {"alpha": 0.28, "linewidth": 3.6}
THRESHOLD: dict[str, Any] = {"linewidth": 0.8, "linestyle": (0, (4, 3))}
DPI = 160
MOST_NEURONS = 8
MOST_VALUES = 4  # that are written out


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One sample to draw: its encoded input [T, M], the layers' activity on the batch it is of, and its index there.

    floats: the float model's activity, or None. classes: a name for each output, or (). label: the true class, or None.
    values: whether the outputs are the answer, and not a score for each class.
    """

    input: Array
    integers: Sequence[Activity]
    floats: Sequence[Activity] | None
    index: int
    classes: Sequence[str] = ()
    label: int | None = None
    values: bool = False

    def answer(self, outputs: Array) -> str:
        """Return the answer that `outputs` [K] give: the name of a class, or their values."""
        return ", ".join(map(number, outputs[:MOST_VALUES])) if self.values else self.name(int(outputs.argmax()))

    def name(self, output: int) -> str:
        """The name of an output."""
        return self.classes[output] if self.classes else str(output)


def activity_figure(sample: Sample, *, title: str, neurons: Sequence[int] | None = None) -> Figure:
    """A row per layer: its raster, and beside it the compartments of its chosen `neurons`; the readout: its potentials.

    Without `neurons`, each layer's two that spike most in this sample.
    Raises `TclifError` if a layer has no such neuron, or if more than `MOST_NEURONS` are asked for.
    """
    chosen = [choose(layer, sample.index, neurons) for layer in sample.integers]
    rows, columns = 1 + len(sample.integers), max(1, *map(len, chosen))
    width = 2.4 * max(2, columns)  # of the legend and the bars at least
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.2 + width, 0.5 + 1.75 * rows), dpi=DPI, layout="constrained")
        grid = figure.add_gridspec(rows, 1 + columns, width_ratios=[3.6, *[width / columns] * columns])
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
        draw_input(figure.add_subplot(grid[0, 0]), sample.input)
        draw_legend(figure.add_subplot(grid[0, 1:]), sample)
        for i, layer in enumerate(sample.integers):
            if layer.threshold is None:
                draw_potentials(figure.add_subplot(grid[i + 1, 0]), sample, i)
                draw_logits(figure.add_subplot(grid[i + 1, 1:]), sample, i)
            else:
                cells = [figure.add_subplot(grid[i + 1, k]) for k in range(1 + len(chosen[i]))]
                draw_layer(cells, sample, i, chosen[i])
        figure.align_ylabels()
    return figure


def choose(layer: Activity, sample: int, neurons: Sequence[int] | None) -> list[int]:
    """The neurons of a spiking layer to draw: those asked for, or the two that spike most in the sample."""
    if layer.threshold is None:
        return []
    size = layer.spikes.shape[-1]
    if neurons is None:
        counts = layer.spikes[:, sample].sum(axis=0, dtype=np.int64)
        return sorted(np.argsort(-counts, kind="stable")[:2].tolist())
    if len(neurons) > MOST_NEURONS:
        raise TclifError(f"neurons: {len(neurons)} asked for, a figure has room for {MOST_NEURONS}")
    for neuron in neurons:
        if not 0 <= neuron < size:
            raise TclifError(f"neuron {neuron}: the {layer.kind} layer has neurons 0 to {size - 1}")
    return list(neurons)


def draw_input(axes: Axes, values: Array) -> None:
    """The encoded input [T, M] as shades of grey, one column per step."""
    steps, channels = values.shape
    low, high = min(0, int(values.min())), max(1, int(values.max()))
    edges = np.arange(steps + 1) - 0.5, np.arange(channels + 1) - 0.5
    axes.pcolormesh(*edges, values.T, cmap="Greys", vmin=low, vmax=high, rasterized=True)
    axes.set_title(f"input, {low} to {high}")
    axes.set_ylabel("channel")
    time_axis(axes, steps, counts=True)


def draw_layer(cells: Sequence[Axes], sample: Sample, i: int, chosen: Sequence[int]) -> None:
    """One spiking layer: its raster, with the chosen neurons marked, and their states."""
    layer = sample.integers[i]
    other = None if sample.floats is None else sample.floats[i]
    spikes = layer.spikes[:, sample.index]
    raster, *traces = cells
    draw_raster(raster, spikes, None if other is None else other.spikes[:, sample.index])
    raster.set_title(f"layer {i}: {layer.kind}, rate {spikes.mean():.3f}")
    for neuron, axes in zip(chosen, traces, strict=True):
        raster.axhline(neuron, color=GREY, linewidth=0.5, alpha=0.7, zorder=0)
        beside = raster.get_yaxis_transform()
        raster.text(1.01, neuron, str(neuron), transform=beside, va="center", color=GREY, fontsize=6.5)
        draw_states(axes, layer, other, sample.index, neuron)
        axes.set_title(f"layer {i}, neuron {neuron}")


def draw_raster(axes: Axes, spikes: Array, other: Array | None) -> None:
    """Spikes [T, N] as dots, sized to the layer; those that only one of float and integers has are coloured."""
    steps, size = spikes.shape
    other = spikes if other is None else other
    area = float(np.clip(300 / max(size, steps), 1.0, 5)) ** 2
    for mask, colour in (
        ((spikes == 1) & (other == 1), INK),
        ((spikes == 0) & (other == 1), ONLY_FLOAT),
        ((spikes == 1) & (other == 0), ONLY_INTEGER),
    ):
        step, neuron = np.nonzero(mask)
        axes.scatter(step, neuron, s=area if colour == INK else 2 * area, c=colour, marker="o", linewidths=0)
    axes.set_ylim(-0.5 - 0.02 * size, size - 0.5 + 0.02 * size)
    axes.set_ylabel("neuron")
    time_axis(axes, steps, counts=True)


def draw_states(axes: Axes, layer: Activity, other: Activity | None, sample: int, neuron: int) -> None:
    """One neuron's states over the sample: integers thin, the float model wide and pale under them; spikes on top."""
    steps = len(layer.spikes)
    thin: dict[str, Any] = {"marker": "o", "markersize": 2.2, "lw": 0.9} if steps <= 40 else {"lw": 0.6}
    for name, values in layer.states.items():
        if other is not None and name in other.states:
            axes.plot(other.states[name][:, sample, neuron], color=STATE_COLOURS[name], **FLOAT)
        axes.plot(values[:, sample, neuron], color=STATE_COLOURS[name], **thin)
    assert layer.threshold is not None
    axes.axhline(layer.threshold, color=INK, **THRESHOLD)
    fired = np.flatnonzero(layer.spikes[:, sample, neuron])
    if fired.size:  # an empty line that is not clipped has no extent, which the layout cannot use
        above = axes.get_xaxis_transform()
        axes.plot(fired, np.ones(len(fired)), "|", color=INK, markersize=6, transform=above, clip_on=False)
    axes.margins(y=0.12)
    time_axis(axes, steps)


def draw_potentials(axes: Axes, sample: Sample, i: int) -> None:
    """The readout's potentials over the sample: the true and a wrongly predicted class in colour, the rest grey."""
    values = sample.integers[i].states["potential"][:, sample.index]
    floats = None if sample.floats is None else sample.floats[i].states["potential"][:, sample.index]
    colours = class_colours(sample, values[-1])
    for output in sorted(range(values.shape[1]), key=lambda k: colours[k] != GREY):
        if floats is not None:
            axes.plot(floats[:, output], color=colours[output], **FLOAT)
        axes.plot(values[:, output], color=colours[output], linewidth=0.6 if colours[output] == GREY else 1.3)
    axes.set_title(f"layer {i}: readout")
    axes.set_ylabel("potential")
    axes.set_xlabel("step")
    time_axis(axes, len(values))


def draw_logits(axes: Axes, sample: Sample, i: int) -> None:
    """The readout's potentials at the end of the sample, a bar a class, the float model's wide and pale behind."""
    ends = sample.integers[i].states["potential"][-1, sample.index]
    colours = class_colours(sample, ends)
    outputs = range(len(ends))
    if sample.floats is not None:
        axes.bar(outputs, sample.floats[i].states["potential"][-1, sample.index], color=colours, alpha=0.28, width=0.8)
    axes.bar(outputs, ends, color=colours, width=0.35)
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.set_xticks(outputs, [sample.name(output) for output in outputs], rotation=0 if len(ends) <= 12 else 90)
    predicted = sample.answer(ends)
    truth = "" if sample.label is None else f", truly {sample.name(sample.label)}"
    axes.set_title(f"at the end of the sample: predicts {predicted}{truth}")


def class_colours(sample: Sample, logits: Array) -> list[str]:
    """Green for the true class, vermilion for a wrong prediction, grey for the others."""
    colours = [GREY] * len(logits)
    if sample.values:
        return colours
    colours[int(logits.argmax())] = STATE_COLOURS["soma"]
    if sample.label is not None:
        colours[sample.label] = ONLY_INTEGER
    return colours


def draw_legend(axes: Axes, sample: Sample) -> None:
    """Draw a legend of what the marks mean."""

    def line(colour: str, **style: Any) -> Line2D:
        return Line2D([], [], color=colour, **style)

    def dot(colour: str) -> Line2D:
        return line(colour, linestyle="none", marker="o", markersize=4)

    names = dict.fromkeys(name for layer in sample.integers if layer.threshold is not None for name in layer.states)
    states = {colour: [name for name in names if STATE_COLOURS[name] == colour] for colour in STATE_COLOURS.values()}
    entries = {", ".join(words): line(colour, linewidth=0.9) for colour, words in states.items() if words}
    entries["threshold"] = line(INK, **THRESHOLD)
    entries["spike"] = dot(INK)
    if sample.floats is not None:
        entries |= {"float model (wide), integers (thin)": line(STATE_COLOURS["soma"], **FLOAT)}
        entries |= {"spike, float only": dot(ONLY_FLOAT), "spike, integers only": dot(ONLY_INTEGER)}
    if sample.integers[-1].threshold is None:
        entries |= {"predicted class": line(STATE_COLOURS["soma"], linewidth=4)}
        entries |= {"true class": line(ONLY_INTEGER, linewidth=4)} if sample.label is not None else {}
    axes.axis("off")
    axes.legend(entries.values(), entries.keys(), loc="center left", ncols=2, frameon=False, borderaxespad=0)


def time_axis(axes: Axes, steps: int, counts: bool = False) -> None:
    """All of a sample's steps, ticks at whole ones; few ticks on the other axis, at whole numbers if it counts."""
    axes.set_xlim(-0.5, steps - 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=counts))
