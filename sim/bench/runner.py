"""Lets the contenders take turns, each measurement in a process of its own that is ended when its time is up."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sim.bench import ratios
from sim.bench.contenders import ROOT, Contender, Job
from sim.bench.load import Load, Watch, mean

# Whatever a library uses to compute with, it reads its number of threads in one of these.
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(kw_only=True)
class Row:
    """What was measured of a contender at one job: in every turn, a process, the seconds of its runs and the rest.

    Of a simulation they are seconds per sample. loads: of every turn, and its seconds.
    """

    contender: Contender
    job: Job
    turns: list[list[float]] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    failure: str = ""

    def add(self, got: dict[str, Any]) -> None:
        """Take in what a process printed."""
        samples = got.get("samples", 1)
        self.turns.append([seconds / samples for seconds in got.pop("seconds")])
        self.figures.append(got)

    @property
    def seconds(self) -> list[float]:
        """Of all runs."""
        return [seconds for turn in self.turns for seconds in turn]

    def median(self, name: str) -> float:
        """The median of a figure over the repetitions."""
        return statistics.median(f[name] for f in self.figures)

    @property
    def memory(self) -> float:
        """MiB that it took: the peak less what there was before the first run."""
        return statistics.median(f["peak"] - f["before"] for f in self.figures)


def times(rows: Iterable[Row], contender: Contender) -> dict[int, list[list[float]]]:
    """`ratios.Times` of a contender among the rows of one job."""
    return {row.job.threads: row.turns for row in rows if row.contender == contender}


def best_rows(rows: Sequence[Row]) -> list[Row]:
    """Of each contender and job the row with the best number of threads."""
    found: dict[tuple[str, Job], list[Row]] = {}
    for row in rows:
        found.setdefault((row.contender.name, replace(row.job, threads=1)), []).append(row)
    return [min(group, key=lambda row: ratios.median(row.turns)) for group in found.values()]


def run_all(rows: Iterable[Row], repeat: int, timeout: float, tell: Callable[[str], None]) -> Load | None:
    """Measure every row `repeat` times, in turns and every other time in reverse; fills the rows.

    Returns the machine's load meanwhile. Interrupted, it leaves the rows as they are: what was measured counts.
    """
    rows = list(rows)
    with suppress(KeyboardInterrupt):
        _take_turns(rows, repeat, timeout, tell)
    seen = (figures for row in rows for figures in row.figures)
    return mean((f["load"] and Load(**f["load"]), f["whole seconds"]) for f in seen)


def _take_turns(rows: list[Row], repeat: int, timeout: float, tell: Callable[[str], None]) -> None:
    for turn in range(repeat):
        for row in rows if turn % 2 == 0 else reversed(rows):
            if row.failure:
                continue
            where = f"{turn + 1}/{repeat} {title(row.job)}, {count(row.job.threads, 'thread')}: {row.contender.label}"
            try:
                row.add(measure(row.contender, row.job, timeout))
                tell(f"{where} {min(row.seconds):.4g} s")
            except RuntimeError as error:
                row.failure = str(error)
                tell(f"{where} left out: {error}")


def measure(contender: Contender, job: Job, timeout: float) -> dict[str, Any]:
    """One process of `sim.bench.measure`, and the machine's load meanwhile.

    Raises `RuntimeError` if it fails, takes longer than `timeout` seconds, or used other than `job.threads` threads.
    """
    watch = Watch()
    with subprocess.Popen(
        [str(contender.python), "-m", "sim.bench.measure", json.dumps(asdict(job))],
        cwd=ROOT,
        env=environment(contender, job.threads),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that what it starts is ended with it
    ) as process:
        if contender.confined:
            confine(process.pid, job.threads)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"took longer than {timeout:.0f} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise RuntimeError((err.strip().splitlines() or [f"exit status {process.returncode}"])[-1])
    got: dict[str, Any] = json.loads(out.splitlines()[-1])
    wrong = {name: n for name, n in got["threads"].items() if n != job.threads}
    if wrong and not contender.confined:
        raise RuntimeError(f"was to use {job.threads} threads, but {wrong} of them are set")
    load = watch.load()
    return {**got, "load": load and load._asdict()}


def environment(contender: Contender, threads: int) -> dict[str, str]:
    """The variables of a contender's process: so many threads for every library, which wait without spinning."""
    own = {name: str(threads) for name in THREADS}
    return {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": str(ROOT), **own, **contender.settings}


def confine(process: int, cores: int) -> None:
    """Keep a process, and those that it will start, to so many cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process, sorted(os.sched_getaffinity(0))[:cores])


def count(number: int, noun: str) -> str:
    """The number and the noun, in the plural where there are several."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def title(job: Job) -> str:
    """A few words for the job, whatever the number of threads."""
    kind = "recurrent" if job.recurrent else "feed-forward"
    network = f", {'-'.join(map(str, job.sizes))}, gain {job.gain:g}" if job.work != "simulate" else ""
    work = {"train": "train", "online": "e-prop", "simulate": "simulate"}[job.work]
    return f"{work}, {kind}, T = {job.steps}, batch {job.batch}{network}"
