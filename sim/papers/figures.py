"""The way of every figure of the papers: jobs, what each measures, a page with a table, and a plot."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from sim.study import Job, Result, run_jobs, write

Found = Sequence[tuple[Job, Result]]


def draw(figure: ModuleType | Any, argv: Sequence[str] | None) -> None:
    """Do the jobs of `figure`, a module of this package, and write its page and its picture.

    The module has `jobs(quick)`, `measure(job)`, `report(found)` and `plot(found)`. What was done before is not done
    again; with --quick a small setting is run, in this process, that shows that it runs and nothing else.
    """
    parser = argparse.ArgumentParser(description=figure.__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args(argv)
    name = figure.__spec__.name.rpartition(".")[2]
    measure: Callable[[Job], Result] = figure.measure
    todo = figure.jobs(given.quick)
    workers = 0 if given.quick else given.workers
    results = run_jobs(measure, todo, given.out / f"{name}.jsonl", workers=workers)
    found = list(zip(todo, results, strict=True))
    write(given.out, name, figure.report(found), figure.plot(found))


def select(found: Found, **wanted: Any) -> list[Result]:
    """The results of the jobs that have these values."""
    return [result for job, result in found if all(job[key] == value for key, value in wanted.items())]


def mean_curve(results: Sequence[Result], key: str = "curve") -> list[float]:
    """The mean of lists of equal length, element by element."""
    return [sum(values) / len(values) for values in zip(*(result[key] for result in results), strict=True)]
