"""The studies' jobs: each done once, in a process of its own, and kept; tables and spreads."""

import os
from pathlib import Path

import pytest

from sim.online.training import job, train_job
from sim.study import Job, Result, run_jobs, spread, table


def work(job: Job) -> Result:
    if job["n"] < 0:
        raise ValueError(f"n = {job['n']}")
    return {"square": job["n"] ** 2, "process": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"]}


def test_jobs_are_done_once_in_processes_of_their_own(tmp_path: Path) -> None:
    path, told = tmp_path / "jobs.jsonl", []
    first = run_jobs(work, [{"n": 2}, {"n": 3}], path, tell=told.append)
    assert [r["square"] for r in first] == [4, 9]
    assert len({os.getpid(), *(r["process"] for r in first)}) == 3
    assert {r["threads"] for r in first} == {"1"}
    second = run_jobs(work, [{"n": 3}, {"n": 5}], path, tell=told.append)
    assert second[0] == first[1] and second[1]["square"] == 25
    assert told[0].startswith("0 of 2") and any(line.startswith("1 of 2") for line in told)


def test_a_job_that_raises_ends_the_study_and_the_others_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    with pytest.raises(ValueError, match="n = -1"):
        run_jobs(work, [{"n": 4}, {"n": -1}], path, workers=1, tell=str)
    assert path.read_text().count("\n") == 1 and '"square": 16' in path.read_text()


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
