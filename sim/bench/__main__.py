"""Run the benchmark: `make bench`, or `python -m sim.bench --help`."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sim.bench import report
from sim.bench.contenders import CONTENDERS, Contender, Job, cores, thread_counts
from sim.bench.load import busy
from sim.bench.machine import machine
from sim.bench.runner import Row, run_all

REFERENCE_BATCH = 4  # samples for NumPy and Lava, which take seconds for one
TIMED_SIMULATIONS = 20  # by the simulator, which takes milliseconds


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    names = ", ".join(c.name for c in CONTENDERS)
    parser = argparse.ArgumentParser(prog="python -m sim.bench", description="Benchmark against other libraries.")
    parser.add_argument("--steps", type=_numbers, default=(98, 196, 392, 784), metavar="T,...", help="time steps")
    parser.add_argument("--batch", type=_numbers, default=(64,), metavar="B,...", help="samples in a batch")
    parser.add_argument("--sizes", type=_numbers, default=Job.sizes, metavar="N,...", help="of the trained network")
    parser.add_argument(
        "--widths", type=_numbers, default=(64, 256, 512), metavar="N,...", help="also of all hidden layers"
    )
    parser.add_argument("--depths", type=_numbers, default=(1, 6), metavar="L,...", help="also hidden layers of 256")
    parser.add_argument("--gains", type=_reals, default=(1.5, 4.0), metavar="G,...", help="also of the weights: spikes")
    parser.add_argument(
        "--threads", type=_numbers, default=thread_counts(cores()), metavar="N,...", help="of every contender"
    )
    parser.add_argument("--short", action="store_true", help="one network, the quick contenders, two turns: minutes")
    parser.add_argument("--repeat", type=int, default=3, help="processes for each measurement")
    parser.add_argument("--timed", type=int, default=2, help="training steps timed in each process, after one other")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="of one process")
    parser.add_argument("--only", default="", metavar="NAME,...", help=f"some of {names}")
    parser.add_argument("--device", default="cpu", help="cuda or cuda:N: training steps on that card")
    parser.add_argument("--out", type=Path, default=Path("out/benchmark"), metavar="DIR")
    asked = parser.parse_args(arguments)
    unknown = set(filter(None, asked.only.split(","))) - {c.name for c in CONTENDERS}
    if unknown:
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}; there are {names}")
    if asked.short:
        asked.steps, asked.repeat, asked.timed, asked.timeout = (784,), 2, 1, min(asked.timeout, 100)
        asked.widths = asked.depths = asked.gains = ()
        asked.only = asked.only or ",".join(c.name for c in CONTENDERS if c.short)
    return asked


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)


def _reals(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(",") if part)


def training_jobs(asked: argparse.Namespace) -> list[Job]:
    """T for each batch, feed-forward and recurrent; then width, depth and gain, one at a time, at the first batch."""
    base = Job(
        work="train", build="", steps=max(asked.steps), batch=asked.batch[0], recurrent=False, sizes=asked.sizes,
        timed=asked.timed,
    )  # fmt: skip
    ends = asked.sizes[0], asked.sizes[-1]
    jobs = [
        *(
            replace(base, steps=t, batch=b, recurrent=recurrent)
            for recurrent in (False, True)
            for b in asked.batch
            for t in asked.steps
        ),
        *(replace(base, sizes=(ends[0], *[n] * (len(asked.sizes) - 2), ends[1])) for n in asked.widths),
        *(replace(base, sizes=(ends[0], *[256] * depth, ends[1])) for depth in asked.depths),
        *(replace(base, gain=gain) for gain in asked.gains),
    ]
    return list(dict.fromkeys(jobs))


def rows(present: Sequence[Contender], asked: argparse.Namespace) -> list[Row]:
    """All that is to be measured, in the order of the tables; of a job, all contenders with one number of threads.

    e-prop and simulation are of the largest number of steps.
    """
    todo = [(job, [c for c in present if c.work == "train"]) for job in training_jobs(asked)]
    base = replace(todo[0][0], steps=max(asked.steps))
    for recurrent in (False, True):
        job = replace(base, work="online", recurrent=recurrent)
        todo.append((job, [c for c in present if c.work == "online"]))
    for recurrent in (False, True):
        for b in sorted({1, *asked.batch, *([] if asked.short else [REFERENCE_BATCH])}):
            job = replace(base, work="simulate", batch=b, recurrent=recurrent, timed=TIMED_SIMULATIONS)
            todo.append((job, [c for c in present if c.work == "simulate" and (c.quick or b == REFERENCE_BATCH)]))
    return [
        Row(contender=c, job=replace(job, build=c.build, threads=threads, timed=job.timed if c.quick else asked.timed))
        for job, contenders in todo
        for threads in asked.threads
        for c in contenders
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the tables and the plot."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to end, it ends what it started
    asked = options(arguments)
    if asked.device != "cpu":
        from sim.bench import gpu  # which needs torch here; the rest leaves it to its processes

        return gpu.run(asked)
    asked.out.mkdir(parents=True, exist_ok=True)  # before the work
    wanted = [c for c in CONTENDERS if not asked.only or c.name in asked.only.split(",")]
    reasons = {c.label: c.missing() for c in wanted}
    left_out = {label: reason for label, reason in reasons.items() if reason}
    for label, reason in left_out.items():
        print(f"left out: {label}: {reason}", file=sys.stderr)
    todo = rows([c for c in wanted if c.label not in left_out], asked)
    where = machine()
    warn(where)
    load = run_all(todo, asked.repeat, asked.timeout, lambda line: print(line, file=sys.stderr, flush=True))
    where["load during"] = load and load._asdict()
    command = shlex.join(["python", "-m", "sim.bench", *(sys.argv[1:] if arguments is None else arguments)])
    report.write(asked.out, todo, where, left_out, command)
    print((asked.out / "benchmark.md").read_text())
    warn(where)


def warn(where: Mapping[str, Any]) -> None:
    """Say on standard error that the machine is busy, if it is."""
    for reason in busy(where):
        print(f"warning: the machine is busy, and the figures say little: {reason}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
