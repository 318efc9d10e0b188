"""The studies' jobs: each done once, in a process of its own, and kept; tables and spreads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim.online.training import job, train_job
from sim.study import Job, Result, run_jobs, spread, table
from tclif_neuro.study.spec import StudyError


def work(job: Job) -> Result:
    if job["n"] < 0:
        raise ValueError(f"n = {job['n']}")
    return {"square": job["n"] ** 2, "process": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"]}


@pytest.mark.slow
def test_jobs_are_done_once_in_processes_of_their_own(tmp_path: Path) -> None:
    path, told = tmp_path / "jobs.jsonl", []
    first = run_jobs(work, [{"n": 2}, {"n": 3}], path, workers=1, fresh=True, tell=told.append)
    assert [r["square"] for r in first] == [4, 9]
    assert len({os.getpid(), *(r["process"] for r in first)}) == 3
    assert {r["threads"] for r in first} == {"1"}
    second = run_jobs(work, [{"n": 3}, {"n": 5}], path, workers=1, tell=told.append)
    assert second[0] == first[1] and second[1]["square"] == 25
    assert told[0].startswith("0 of 2") and any(line.startswith("1 of 2") for line in told)


@pytest.mark.slow
def test_a_job_that_fails_is_tried_again_and_named_and_the_others_are_kept(tmp_path: Path) -> None:
    path, told = tmp_path / "jobs.jsonl", []
    with pytest.raises(StudyError, match="n=-1: failed: ValueError: n = -1"):
        run_jobs(work, [{"n": -1}, {"n": 4}], path, workers=1, tell=told.append)
    assert path.read_text().count("\n") == 1 and '"square": 16' in path.read_text()
    assert sum("tried once more" in line for line in told) == 1


@pytest.mark.slow
def test_the_work_of_a_module_that_is_run_is_found(tmp_path: Path) -> None:
    module = tmp_path / "a_study.py"
    module.write_text(
        "from pathlib import Path\nfrom sim.study import run_jobs\n\n"
        "def double(job):\n    return {'two': 2 * job['n']}\n\n"
        "if __name__ == '__main__':\n    print(run_jobs(double, [{'n': 4}], Path('jobs.jsonl'), workers=1, tell=str))\n"
    )
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-m", "a_study"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "[{'two': 8}]", done.stderr


def test_spread_and_table() -> None:
    assert spread([1.0]) == "1.0" and spread([1.0, 3.0]) == "2.0 ± 1.4"
    assert table(["", "a"], [["x", "1"]]) == "|  | a |\n| --- | ---: |\n| x | 1 |\n"


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.parametrize("neuron", ["LIF, learnt leak", "Adaptive TC-LIF"])
def test_a_job_of_the_online_studies_trains(neuron: str) -> None:
    small = job("digits-rows", neuron, "eprop", True, 1, epochs=1, batch_size=256, size=6, theta=2.0)
    result = train_job(small)
    assert len(result["curve"]) == 1 and 0 <= result["accuracy"] <= 100 and 0 <= result["rate"] < 1
