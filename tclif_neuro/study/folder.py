"""A study's folder: what its jobs are, and what is done of them. JSON alone, each file written whole or not at all.

study.json       the study, for the processes that do its jobs
jobs.jsonl       a line per job
jobs/ID/         a job's own folder, with its checkpoint and its result.json or error.json
results.jsonl    a line per job that is done: {"job": ..., "result": ...}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tclif_neuro.data.toml import explain
from tclif_neuro.files import read_regular, write_atomically
from tclif_neuro.learning.recipe.file import differences
from tclif_neuro.study.spec import Job, Study, StudyError
from tclif_neuro.text import quoted

Result = dict[str, Any]
MAX_BYTES = 2**24
STUDY, JOBS, RESULTS, RESULT, ERROR = "study.json", "jobs.jsonl", "results.jsonl", "result.json", "error.json"


def line(job: Job) -> str:
    """A job as one line of JSON, the same for the same job."""
    return json.dumps(job, sort_keys=True)


class Folder:
    """The folder of a study. Many processes, on many machines, may read and write it at a time."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()

    def place(self, job: Job) -> Path:
        """The job's own folder."""
        return self.path / "jobs" / hashlib.sha256(line(job).encode()).hexdigest()[:16]

    def begin(self, study: Study) -> list[Job]:
        """Keep `study` and its jobs. Raises `StudyError` if the folder is another recipe's or network's."""
        path = self.path / STUDY
        if path.exists():
            _check_same(path, self.study(), study)
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(path, study.model_dump(mode="json"))
        jobs = study.jobs()
        _write(self.path / JOBS, "".join(line(job) + "\n" for job in jobs))
        return jobs

    def study(self) -> Study:
        """The study that is kept here. Raises `StudyError`."""
        path = self.path / STUDY
        try:
            return Study.model_validate_json(_read(path))
        except ValidationError as error:
            raise StudyError(f"{path}: is not a study: {explain(error, Study)}") from None

    def result(self, job: Job) -> Result | None:
        """Return the result of `job`; None if it is not done."""
        found = self._of(job, RESULT)
        return None if found is None else found["result"]

    def error(self, job: Job) -> str | None:
        """Return the reason that `job` failed when it was last tried; None if there is none."""
        found = self._of(job, ERROR)
        return None if found is None else str(found["result"])

    def keep(self, job: Job, result: Result) -> None:
        """Keep what came out of `job`."""
        write_json(self.place(job) / RESULT, {"job": job, "result": result})
        (self.place(job) / ERROR).unlink(missing_ok=True)

    def keep_error(self, job: Job, error: str) -> None:
        """Keep why `job` failed."""
        write_json(self.place(job) / ERROR, {"job": job, "result": error})

    def forget_error(self, job: Job) -> None:
        """Make ready to try `job`."""
        self.place(job).mkdir(parents=True, exist_ok=True)
        (self.place(job) / ERROR).unlink(missing_ok=True)

    def collect(self, jobs: Iterable[Job]) -> list[tuple[Job, Result]]:
        """The jobs that are done and what came out, in order; they are in results.jsonl then."""
        done = [(job, result) for job in jobs if (result := self.result(job)) is not None]
        text = "".join(json.dumps({"job": job, "result": result}) + "\n" for job, result in done)
        _write(self.path / RESULTS, text)
        return done

    def _of(self, job: Job, name: str) -> dict[str, Any] | None:
        path = self.place(job) / name
        if not path.exists():
            return None
        found = read_json(path)
        if found.keys() != {"job", "result"} or found["job"] != job:
            raise StudyError(f"{path}: is not of the job {line(job)}; remove it, and the job is done again")
        return found


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises `StudyError`."""
    try:
        found = json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{path}: is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise StudyError(f"{path}: a JSON object expected, got {quoted(found)}")
    return found


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, json.dumps(content) + "\n")


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, MAX_BYTES)
    except OSError as error:
        raise StudyError(f"{path}: cannot be read: {error.strerror or error}") from None


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


def _check_same(path: Path, there: Study, here: Study) -> None:
    """Check that what jobs have in common is the same; grid, variants, seeds and number of trials may grow."""
    variants = there.spec.variants.keys() & here.spec.variants.keys()

    def common(study: Study) -> dict[str, Any]:
        data = study.model_dump(mode="json", include={"recipe": True, "spec": {"search": True, "evaluate": True}})
        (data["spec"]["search"] or {}).pop("trials", None)
        return {**data, "variants": {name: study.spec.variants[name] for name in sorted(variants)}}

    for key, theirs, ours in differences(common(there), common(here)):
        raise StudyError(
            f"{path}: is of another study: {key} is {quoted(theirs)} there and {quoted(ours)} here; "
            "choose another folder"
        )
