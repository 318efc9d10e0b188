"""Do a study: what is left of it, and its table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tclif_neuro.study.folder import Folder, line
from tclif_neuro.study.processes import Tell, by_processes
from tclif_neuro.study.spec import Job, Study
from tclif_neuro.study.summary import Summary, summarise

TRAIN, SEARCH = "tclif_neuro.study.work:train_job", "tclif_neuro.study.work:search_job"


@dataclass(frozen=True, kw_only=True)
class How:
    """The place where jobs run. workers: how many at a time. partition: of the cluster; empty: its default."""

    executor: Literal["processes", "slurm"] = "processes"
    workers: int = 2
    partition: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The state of a study. failed: a line per job that has no result, with the reason."""

    folder: Path
    jobs: int
    done: int
    failed: tuple[str, ...]
    summary: Summary


def run_study(
    study: Study, out: str | Path, how: How, *, evaluate: str, tell: Tell, progress: Callable[[int, int], object]
) -> Outcome:
    """Do the jobs of `study` that are not done in the folder `out`, and summarise all of them.

    evaluate: "module:function" that does a slice of an evaluation. tell: is told of jobs that die, a line each.
    progress: is called with how many jobs are done, and of how many. Raises `StudyError`.
    """
    folder = Folder(out)
    if study.spec.search is not None:
        from tclif_neuro.study.search import optuna

        optuna()  # said now where it is missing, not by every job
    jobs = folder.begin(study)
    work = evaluate if study.spec.evaluate else SEARCH if study.spec.search else TRAIN
    left = [job for job in jobs if folder.result(job) is None]
    tell(f"{len(jobs) - len(left)} of {len(jobs)} jobs are done in {folder.path}")
    over = len(jobs) - len(left)
    progress(over, len(jobs))

    def done(job: Job) -> None:
        nonlocal over
        over += 1
        progress(over, len(jobs))

    try:
        do_jobs(work, folder, left, how, seconds=study.spec.hours * 3600, done=done, tell=tell)
    finally:
        found = folder.collect(jobs)
    failed = tuple(f"{line(job)}: {folder.error(job)}" for job in jobs if folder.result(job) is None)
    return Outcome(folder=folder.path, jobs=len(jobs), done=len(found), failed=failed, summary=summarise(found))


def do_jobs(
    work: str,
    folder: Folder,
    jobs: Sequence[Job],
    how: How,
    *,
    seconds: float,
    done: Callable[[Job], object],
    tell: Tell,
) -> None:
    """Do `jobs` where `how` says. Raises `StudyError` if that place is not there."""
    if not jobs:
        return
    if how.executor == "processes":
        by_processes(work, folder, jobs, workers=how.workers, seconds=seconds, done=done, tell=tell)
    else:
        from tclif_neuro.study.slurm import by_slurm

        by_slurm(
            work,
            folder,
            jobs,
            at_once=how.workers,
            partition=how.partition,
            seconds=seconds,
            done=done,
            tell=tell,
        )
