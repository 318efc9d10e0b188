"""Lets the contenders take turns, each measurement in a process of its own that is ended when its time is up.

This process stays small (no torch): a child's peak memory starts at its parent's.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sim.bench.contenders import ROOT, Contender, Job


@dataclass(kw_only=True)
class Row:
    """What was measured of a contender at one job: seconds of every run, and the other figures of every process."""

    contender: Contender
    job: Job
    seconds: list[float] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    failure: str = ""

    def add(self, got: dict[str, Any]) -> None:
        """Take in what a process printed."""
        self.seconds += got.pop("seconds")
        self.figures.append(got)

    def median(self, name: str) -> float:
        """The median of a figure over the repetitions."""
        return statistics.median(f[name] for f in self.figures)

    @property
    def memory(self) -> float:
        """MiB that training took: the peak less what there was before the first step."""
        return statistics.median(f["peak"] - f["before"] for f in self.figures)


def run_all(rows: Iterable[Row], repeat: int, timeout: float, tell: Callable[[str], None]) -> None:
    """Measure every row `repeat` times, in turns and every other time in reverse; fills the rows.

    Interrupted, it leaves them as they are: what was measured until then counts.
    """
    rows = list(rows)
    with suppress(KeyboardInterrupt):
        _take_turns(rows, repeat, timeout, tell)


def _take_turns(rows: list[Row], repeat: int, timeout: float, tell: Callable[[str], None]) -> None:
    for turn in range(repeat):
        for row in rows if turn % 2 == 0 else reversed(rows):
            if row.failure:
                continue
            try:
                row.add(measure(row.contender, row.job, timeout))
                tell(f"{turn + 1}/{repeat} {title(row.job)}: {row.contender.label} {min(row.seconds):.3f} s")
            except RuntimeError as error:
                row.failure = str(error)
                tell(f"{turn + 1}/{repeat} {title(row.job)}: {row.contender.label} left out: {error}")


def measure(contender: Contender, job: Job, timeout: float) -> dict[str, Any]:
    """One process of `sim.bench.measure`. Raises `RuntimeError` if it fails or takes longer than `timeout` seconds."""
    command = [str(contender.python), "-m", "sim.bench.measure", json.dumps(asdict(job))]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": str(ROOT), **contender.settings}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that what it starts is ended with it
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"took longer than {timeout:.0f} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise RuntimeError((err.strip().splitlines() or [f"exit status {process.returncode}"])[-1])
    return json.loads(out.splitlines()[-1])


def title(job: Job) -> str:
    """A few words for the job."""
    kind = "recurrent" if job.recurrent else "feed-forward"
    network = f", {'-'.join(map(str, job.sizes))}, gain {job.gain:g}" if job.work == "train" else ""
    return f"{job.work}, {kind}, T = {job.steps}, batch {job.batch}{network}"


def machine() -> dict[str, Any]:
    """What it ran on: processor, cores, load, and how fast memory is copied [GB/s, read and write together]."""
    import numpy as np

    model = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    source = np.ones(2**25)
    target = np.empty_like(source)
    speeds = [2 * source.nbytes / seconds / 1e9 for seconds in _copies(source, target, 5)]
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "copy GB/s": max(speeds),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _copies(source: Any, target: Any, count: int) -> Iterator[float]:
    for _ in range(count):
        begin = time.perf_counter()
        target[:] = source
        yield time.perf_counter() - begin
