"""The rows as JSON, as a table in Markdown, and as a plot."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sim.bench import scaling
from sim.bench.contenders import Job
from sim.bench.runner import Row, title
from tclif_neuro.files import write_atomically

OURS, OTHERS = "#0072B2", "#8a8a8a"  # Okabe and Ito's blue, and grey


def write(
    folder: Path, rows: Sequence[Row], machine: Mapping[str, Any], left_out: Mapping[str, str], command: str
) -> None:
    """benchmark.json, benchmark.md and benchmark.png in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    done = [row for row in rows if row.figures and not row.failure]
    left_out = {**left_out, **{f"{r.contender.label} ({title(r.job)})": r.failure for r in rows if r.failure}}
    data = {"machine": machine, "command": command, "left out": left_out, "rows": [_plain(row) for row in done]}
    _write(folder / "benchmark.json", json.dumps(data, indent=1) + "\n")
    _write(folder / "benchmark.md", markdown(done, machine, left_out, command))
    plot(_largest(done), folder / "benchmark.png")
    if not scaling.plot(done, folder / "scaling.png"):
        (folder / "scaling.png").unlink(missing_ok=True)  # of an earlier run


def _largest(rows: Sequence[Row]) -> list[Row]:
    """The rows of most steps, of the network that is not varied."""
    steps = max((row.job.steps for row in rows), default=0)
    return [r for r in rows if r.job.steps == steps and (r.job.sizes, r.job.gain) == (rows[0].job.sizes, Job.gain)]


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


def _plain(row: Row) -> dict[str, Any]:
    job, figures = asdict(row.job), row.figures
    return {"contender": row.contender.name, "job": job, "seconds": row.seconds, "processes": figures}


def markdown(rows: Sequence[Row], machine: Mapping[str, Any], left_out: Mapping[str, str], command: str) -> str:
    """Tables: medians, and the range over all runs in brackets."""
    parts = [
        "# Benchmark\n",
        f"`{command}`, {machine['date']}: {machine['processor']}, {machine['cores']} cores, which copy memory at "
        f"{machine['copy GB/s']:.1f} GB/s (read and write together); Python {machine['python']}. Load average "
        f"{machine['load']:.1f} at the start, {machine['load at the end']:.1f} at the end: the benchmark itself makes "
        f"about {machine['cores']}.\n",
        "Medians, and in brackets the range over all runs. Every measurement is a process of its own; the contenders "
        "take turns. One training step is forward, backward and Adam, on random input. Memory is the peak of the "
        "process less what it had before the first step. Rate: spikes a neuron and step in the last hidden layer. "
        "Simulation is of the integers of a 1-64-256-256-10 network. The neurons are not the same in all rows. Gain: "
        "what the hidden layers' initial weights are multiplied by, from which the rate follows.\n",
    ]
    for job, group in itertools.groupby(rows, lambda row: (row.job.work, title(row.job))):
        table = training_table if job[0] == "train" else simulation_table
        parts.append(f"## {job[1][0].upper()}{job[1][1:]}\n\n{table(list(group))}")
    if left_out:
        parts.append("## Left out\n\n" + "".join(f"- {name}: {reason}\n" for name, reason in left_out.items()))
    parts.append("![The same as a plot](benchmark.png)\n")
    if scaling.panels(rows):
        parts.append("![Time against steps, batch, width, depth and spikes](scaling.png)\n")
    return "\n".join(parts)


def training_table(rows: Sequence[Row]) -> str:
    """Time and memory of a step, and how many times the first row's time it takes."""
    first = statistics.median(rows[0].seconds)
    lines = ["| | seconds a step | times the first | MiB | rate |", "|---|---:|---:|---:|---:|"]
    for row in rows:
        times = statistics.median(row.seconds) / first
        lines.append(
            f"| {row.contender.label} | {_range(row.seconds)} | {times:.1f} | {row.memory:.0f} "
            f"| {row.median('rate'):.1%} |"
        )
    return "\n".join(lines) + "\n"


def simulation_table(rows: Sequence[Row]) -> str:
    """Samples and synaptic operations a second."""
    lines = ["| | samples a second | synaptic operations a second |", "|---|---:|---:|"]
    for row in rows:
        speeds = samples_a_second(row)
        operations = statistics.median(speeds) * row.median("operations")
        lines.append(f"| {row.contender.label} | {_range(speeds)} | {operations:.2g} |")
    return "\n".join(lines) + "\n"


def samples_a_second(row: Row) -> list[float]:
    """The speed of every run."""
    return [row.median("samples") / seconds for seconds in row.seconds]


def _range(values: Sequence[float]) -> str:
    return f"{_digits(statistics.median(values))} ({_digits(min(values))}-{_digits(max(values))})"


def _digits(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def plot(rows: Sequence[Row], path: Path) -> None:
    """A panel for each quantity and work; a bar for each contender, a line for its range."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = [list(group) for _, group in itertools.groupby(rows, lambda row: title(row.job))]
    panels = [(g, *p) for g in groups for p in _quantities(g)]
    height = sum(0.9 + 0.26 * len(p[0]) for p in panels) / 2 + 0.8
    figure = Figure(figsize=(9.5, height), layout="constrained")
    lines = -(-len(panels) // 2)
    ratios = [0.9 + 0.26 * max(len(p[0]) for p in panels[2 * i : 2 * i + 2]) for i in range(lines)]
    axes = figure.subplots(lines, 2, squeeze=False, height_ratios=ratios).flatten()
    for axis, (group, name, values) in zip(axes, panels, strict=False):
        _bars(axis, group, values)
        axis.set_title(f"{title(group[0].job)}\n{name}", fontsize=8, loc="left")
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    write_atomically(path, lambda file: FigureCanvasAgg(figure).print_png(file))


def _quantities(group: Sequence[Row]) -> list[tuple[str, list[list[float]]]]:
    if group[0].job.work == "simulate":
        return [("samples a second, more is better", [samples_a_second(row) for row in group])]
    memory = [[f["peak"] - f["before"] for f in row.figures] for row in group]
    return [
        ("seconds a step, less is better", [row.seconds for row in group]),
        ("MiB a step takes, less is better", memory),
    ]


def _bars(axis: Any, group: Sequence[Row], values: Sequence[Sequence[float]]) -> None:
    medians = [statistics.median(v) for v in values]
    colours = [OURS if "tclif-neuro" in row.contender.label else OTHERS for row in group]
    labels = [row.contender.label for row in group]
    axis.barh(labels, medians, color=colours, height=0.65)
    for i, (v, median) in enumerate(zip(values, medians, strict=True)):
        axis.plot([min(v), max(v)], [i, i], color="#222222", linewidth=1)
        axis.annotate(_digits(median), (max(v), i), (4, 0), textcoords="offset points", va="center", fontsize=7)
    axis.set_xlim(0, max(max(map(max, values)), 1e-9) * 1.2)
    axis.invert_yaxis()
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)
