"""Jobs on a cluster: one job array under SLURM, by submitit. The study's folder is one that the nodes share.

submitit hands the function over by its own pickles, in `slurm/` of that folder; what comes back is our JSON alone.
"""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tclif_neuro.study.folder import Folder, line
from tclif_neuro.study.processes import ATTEMPTS, THREADS, Done, Tell, environment
from tclif_neuro.study.spec import Job, StudyError
from tclif_neuro.study.worker import FAILED, do, find

POLL = 1.0  # seconds
WAIT = 14 * 24 * 3600.0  # seconds until a cluster that does nothing is given up
LATE = 5  # polls that a result may be seen later than its job's end, on a shared folder


class Task:
    """A job as submitit runs it, on a node."""

    def __init__(self, work: str, folder: Path) -> None:
        self.work, self.folder = work, folder

    def __call__(self, job: Job) -> str:
        """Do `job`; its result is in its folder."""
        return do(find(self.work), job, Folder(self.folder))

    def checkpoint(self, job: Job) -> Any:
        """Return the job that submitit queues again when the time is out: the same one, which resumes its training."""
        return submitit().helpers.DelayedSubmission(self, job)


def submitit() -> Any:
    """The package, which few need. Raises `StudyError` where it is missing."""
    try:
        import submitit
    except ImportError:
        raise StudyError('SLURM needs submitit: pip install "tclif-neuro[slurm]"') from None
    return submitit


def by_slurm(
    work: str,
    folder: Folder,
    jobs: Sequence[Job],
    *,
    at_once: int,
    partition: str,
    seconds: float,
    done: Done,
    tell: Tell,
) -> None:
    """Do `jobs` in a job array, `at_once` at a time, a core and `seconds` each; other arguments as `by_processes`.

    A job out of time goes on from its checkpoint, one that dies is said and submitted once more. What is still in the
    queue when this ends, by Ctrl-C for example, is cancelled. Raises `StudyError` if the cluster takes no jobs.
    """
    left = list(jobs)
    for attempt in range(1, ATTEMPTS + 1):
        array = _submit(work, folder, left, at_once, partition, seconds)
        try:
            left = _wait(array, folder, done, tell, last=attempt == ATTEMPTS)
        finally:
            _cancel(array)
        if not left:
            return


def _submit(
    work: str, folder: Folder, jobs: Sequence[Job], at_once: int, partition: str, seconds: float
) -> dict[str, Job]:
    """The number of each task of the array, and its job."""
    for job in jobs:
        folder.forget_error(job)
    package = submitit()
    given = {name: environment()[name] for name in (*THREADS, "OMP_WAIT_POLICY", "PYTHONPATH")}
    executor = package.AutoExecutor(folder=folder.path / "slurm", cluster="slurm")
    executor.update_parameters(
        name="tclif-study",
        timeout_min=math.ceil(seconds / 60),
        cpus_per_task=1,
        slurm_array_parallelism=at_once,
        slurm_setup=[f"export {name}='{value}'" for name, value in given.items()],
        **({"slurm_partition": partition} if partition else {}),
    )
    try:
        with executor.batch():
            submitted = [executor.submit(Task(work, folder.path), job) for job in jobs]
    except package.core.utils.FailedJobError as error:
        raise StudyError(f"SLURM takes no jobs: {' '.join(str(error).split())}") from None
    except FileNotFoundError as error:
        raise StudyError(f"SLURM is not on this machine: no {error.filename}") from None
    except RuntimeError as error:  # submitit's own words for a missing srun
        raise StudyError(f"SLURM is not on this machine: {error}") from None
    return {str(task.job_id): job for task, job in zip(submitted, jobs, strict=True)}


def _wait(array: dict[str, Job], folder: Folder, done: Done, tell: Tell, *, last: bool) -> list[Job]:
    """Wait until all tasks are over; the jobs that are to be tried again."""
    again, missing, end = [], dict.fromkeys(array, 0), time.monotonic() + WAIT
    while missing:
        if time.monotonic() > end:
            raise StudyError(f"the cluster has not done {len(missing)} jobs in {WAIT / 86400:g} days")
        time.sleep(POLL)
        queued = _queued(array)
        for number in list(missing):
            job = array[number]
            missing[number] += number not in queued
            why = folder.error(job)
            if folder.result(job) is None and (why is None or number in queued) and missing[number] < LATE:
                continue
            del missing[number]
            if folder.result(job) is None and (why is None or why.startswith(FAILED)):
                why = why or f"its task {number} has ended without a result; see {folder.path / 'slurm'}"
                folder.keep_error(job, why)
                tell(f"{line(job)}: {why}; {'it is given up' if last else 'it is tried once more'}")
                if not last:
                    again.append(job)
                    continue
            done(job)
    return again


def _queued(array: dict[str, Job]) -> set[str]:
    """Those tasks that the cluster still has, all of them if it does not say."""
    first = next(iter(array)).partition("_")[0]
    asked = _call(["squeue", "--noheader", "--array", "--format=%i", f"--jobs={first}"])
    if asked is None or (asked.returncode and "Invalid job id" not in asked.stderr):
        return set(array)
    return set() if asked.returncode else set(asked.stdout.split())


def _cancel(array: dict[str, Job]) -> None:
    _call(["scancel", *dict.fromkeys(number.partition("_")[0] for number in array)])


def _call(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
