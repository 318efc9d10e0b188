"""The rows as JSON, as tables in Markdown, and as a plot."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sim.bench import plots, ratios, scaling
from sim.bench.contenders import Contender, Job
from sim.bench.load import busy
from sim.bench.plots import digits
from sim.bench.ratios import Ratio, Times, Turns
from sim.bench.runner import Row, best_rows, count, times, title
from tclif_neuro.files import write_atomically

EXPLAINED = (
    "Each contender with each number of threads: medians, and in brackets the range over all runs. Every measurement "
    "is a process of its own; the contenders take turns. Ratios are those of the medians, in brackets the range of the "
    "turns' ratios; best to best: each contender at its own best number of threads. One training step is forward, "
    "backward and Adam, on random input; one of e-prop learns the whole sequences and updates. Memory is the peak of "
    "the process, at its best number of threads, less what it had before the first step. Rate: spikes per neuron and "
    "step in the last hidden layer. Simulation is of the integers of a 1-64-256-256-10 network; Lava, which has no "
    "number of threads, is kept to as many cores. The neurons are not the same in all rows. Gain: what the hidden "
    "layers' initial weights are multiplied by, from which the rate follows.\n"
)


def write(
    folder: Path, rows: Sequence[Row], machine: Mapping[str, Any], left_out: Mapping[str, str], command: str
) -> None:
    """benchmark.json, benchmark.md and benchmark.png in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    done = [row for row in rows if row.figures and not row.failure]
    failed = {f"{r.contender.label} ({title(r.job)}, {count(r.job.threads, 'thread')})": r.failure for r in rows}
    left_out = {**left_out, **{name: reason for name, reason in failed.items() if reason}}
    data = {
        "machine": machine,
        "busy": busy(machine),
        "command": command,
        "left out": left_out,
        "ratios": [{"job": name, **_plain_ratios(group)} for name, group in groups(done)],
        "rows": [_plain(row) for row in done],
    }
    _write(folder / "benchmark.json", json.dumps(data, indent=1) + "\n")
    _write(folder / "benchmark.md", markdown(done, machine, left_out, command))
    plots.plot(_largest(best_rows(done)), folder / "benchmark.png")
    if not scaling.plot(done, folder / "scaling.png"):
        (folder / "scaling.png").unlink(missing_ok=True)  # of an earlier run


def groups(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """The rows of each job, by its title."""
    return [(name, list(group)) for name, group in itertools.groupby(rows, lambda row: title(row.job))]


def _largest(rows: Sequence[Row]) -> list[Row]:
    """The rows of most steps, of the network that is not varied."""
    steps = max((row.job.steps for row in rows), default=0)
    return [r for r in rows if r.job.steps == steps and (r.job.sizes, r.job.gain) == (rows[0].job.sizes, Job.gain)]


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


def _plain(row: Row) -> dict[str, Any]:
    job, figures = asdict(row.job), row.figures
    return {"contender": row.contender.name, "job": job, "turns": row.turns, "processes": figures}


def _plain_ratios(group: Sequence[Row]) -> dict[str, Any]:
    first, *_ = timings = _timings(group)
    found = {}
    for contender, own in timings:
        equal = ratios.at_equal_threads(own, first[1])
        found[contender.name] = {
            "best threads": ratios.best(own),
            "times the first, best to best": ratios.best_to_best(own, first[1])._asdict(),
            "times the first, at equal threads": {n: ratio._asdict() for n, ratio in equal.items()},
            "times faster than one thread": {n: ratio._asdict() for n, ratio in ratios.gains(own).items()},
        }
    return found


def _timings(group: Sequence[Row]) -> list[tuple[Contender, Times]]:
    contenders = {row.contender.name: row.contender for row in group}.values()
    return [(contender, times(group, contender)) for contender in contenders]


def markdown(rows: Sequence[Row], machine: Mapping[str, Any], left_out: Mapping[str, str], command: str) -> str:
    """Where it ran, a warning if that was busy, and a table for each job."""
    warning = [f"**The machine was busy, so these figures say little: {'; '.join(busy(machine))}.**\n"]
    parts = ["# Benchmark\n", *(warning if busy(machine) else []), _where(machine, command), EXPLAINED]
    for name, group in groups(rows):
        parts.append(f"## {name[0].upper()}{name[1:]}\n\n{table(group)}")
    if left_out:
        parts.append("## Left out\n\n" + "".join(f"- {name}: {reason}\n" for name, reason in left_out.items()))
    parts.append("![The same as a plot](benchmark.png)\n")
    if scaling.panels(rows):
        parts.append("![Time against steps, batch, width, depth and spikes](scaling.png)\n")
    return "\n".join(parts)


def _where(machine: Mapping[str, Any], command: str) -> str:
    def listed(versions: Mapping[str, str]) -> str:
        return ", ".join(f"{name} {version}" for name, version in versions.items())

    during = machine.get("load during")
    meanwhile = (
        f"meanwhile other processes took {during['others']:.1%} of the cores' time, other virtual machines "
        f"{during['steal']:.1%}"
        if during
        else "the system does not say what others did meanwhile"
    )
    peers = machine["versions of peers"]
    lines = [
        f"| measured | {machine['date']}, `{command}` |",
        "|---|---|",
        f"| processor | {machine['processor']}, {count(machine['cores'], 'core')} |",
        f"| instruction sets | {', '.join(machine['instruction sets'])} |",
        f"| memory | copied at {machine['copy GB/s']:.1f} GB/s, read and write together |",
        f"| versions | Python {machine['python']}, {listed(machine['versions'])} |",
        *([f"| peers' environment | {listed(peers)} |"] if peers else []),
        f"| load | {machine['load before']:.2f} before; {meanwhile} |",
    ]
    return "\n".join(lines) + "\n"


def table(group: Sequence[Row]) -> str:
    """A job's contenders: time or speed by threads, ratios to the first, memory, and what the work was."""
    simulated = group[0].job.work == "simulate"
    threads = sorted({row.job.threads for row in group})
    timings = _timings(group)
    first = timings[0][1]
    unit = "samples per second" if simulated else "seconds per step"
    compared = "share of the first's speed" if simulated else "times the first"
    head = [
        "",
        *(f"{unit}, {count(n, 'thread')}" for n in threads),
        f"{compared}, best to best",
        *(f"at {count(n, 'thread')}" for n in threads if len(threads) > 1),
        *([f"{threads[-1]} threads against 1"] if len(threads) > 1 else []),
        "MiB",
        "operations per second" if simulated else "rate",
    ]
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    chosen = {row.contender.name: row for row in best_rows(group)}
    for contender, own in timings:
        equal = ratios.at_equal_threads(own, first)
        cells = [
            contender.label,
            *(_range(_figures(own[n], simulated)) if n in own else "" for n in threads),
            _ratio(ratios.best_to_best(own, first), simulated),
            *(_ratio(equal.get(n), simulated) for n in threads if len(threads) > 1),
            *([_ratio(ratios.gains(own).get(threads[-1]))] if len(threads) > 1 else []),
            f"{chosen[contender.name].memory:.0f}",
            _work(chosen[contender.name]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _figures(turns: Turns, simulated: bool) -> list[float]:
    """The seconds of all runs; of simulations the speeds."""
    return [1 / seconds if simulated else seconds for turn in turns for seconds in turn]


def _work(row: Row) -> str:
    """A network's rate of spikes, or the synaptic operations that were done per second."""
    if row.job.work == "simulate":
        return f"{row.median('operations') / statistics.median(row.seconds):.2g}"
    return f"{row.median('rate'):.1%}"


def _ratio(found: Ratio | None, inverse: bool = False) -> str:
    if found is None:
        return ""
    value, low, high = found.inverse if inverse else found
    return f"{value:.2f} ({low:.2f}-{high:.2f})"


def _range(values: Sequence[float]) -> str:
    return f"{digits(statistics.median(values))} ({digits(min(values))}-{digits(max(values))})"
