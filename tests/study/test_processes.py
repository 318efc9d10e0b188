"""The executor of this machine: jobs that die, raise, sleep; studies that are killed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tclif_neuro.cli.commands.study import EVALUATE, evaluate_slice
from tclif_neuro.show.study import study_sheet
from tclif_neuro.study.folder import Folder
from tclif_neuro.study.processes import by_processes, environment
from tclif_neuro.study.spec import load_study
from tclif_neuro.study.summary import summarise
from tclif_neuro.study.work import search_job, train_job
from tclif_neuro.study.worker import do, find
from tests.cli.calls import run, tclif
from tests.study.studies import RECIPE, WORK, folder_of, write
from tests.study.test_spec import SEARCH, VALIDATED


@pytest.mark.slow
def test_a_job_that_dies_or_raises_is_said_and_tried_once_more(tmp_path):
    folder, told, over = folder_of(tmp_path / "out"), [], []
    jobs = [{"n": 2}, {"n": 3, "dies": 1}, {"n": 4, "raises": 1}, {"n": 5, "dies": 2}, {"n": 6, "raises": 2}]
    by_processes(WORK, folder, jobs, workers=2, seconds=100, done=over.append, tell=told.append)
    assert sorted(job["n"] for job in over) == [2, 3, 4, 5, 6]
    assert [folder.result(job) for job in jobs] == [{"square": 4}, {"square": 9}, {"square": 16}, None, None]
    assert "signal 9" in folder.error(jobs[3]) and "out of luck" in folder.error(jobs[4])
    assert sorted((text.count("once more"), text.count("given up")) for text in told) == [(0, 1)] * 2 + [(1, 0)] * 4


@pytest.mark.slow
def test_a_job_out_of_time_is_stopped(tmp_path):
    folder, told = folder_of(tmp_path / "out"), []
    by_processes(WORK, folder, [{"n": 1, "sleeps": 60}], workers=1, seconds=6, done=str, tell=told.append)
    assert len(told) == 2 and "not done after" in told[0]


def processes_of(folder):
    """The ids of the processes that were started for `folder`."""
    found = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, timeout=20).stdout.splitlines()
    return [text for text in found if "study.worker" in text and str(folder) in text]


@pytest.mark.slow
@pytest.mark.trains
def test_a_study_killed_in_the_middle_and_started_again_gives_the_same_table(tmp_path):
    file, out = write(tmp_path), tmp_path / "out"
    code = "from tclif_neuro.cli.app import main; main()"
    command = [sys.executable, "-c", code, "study", str(file), "-o", str(out)]
    child = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 200
        while len(list(out.glob("jobs/*/result.json"))) < 3 and time.monotonic() < end:
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(20)
    done = {path: path.stat().st_mtime_ns for path in out.glob("jobs/*/result.json")}
    assert 3 <= len(done) < 12, "it was killed in the middle"
    end = time.monotonic() + 20
    while processes_of(out) and time.monotonic() < end:
        time.sleep(0.1)
    assert not processes_of(out), "it leaves no process behind"
    result = run("study", file, "-o", out)
    assert (result["done"], result["failed"]) == (12, [])
    assert {path: path.stat().st_mtime_ns for path in done} == done, "what is done is not done again"
    assert (out / "results.jsonl").read_text().count("\n") == 12 and (out / "plot.png").stat().st_size > 1000
    unbroken = Folder(tmp_path / "unbroken")
    jobs = unbroken.begin(load_study(file))
    for job in jobs:
        assert do(train_job, job, unbroken) == "done"
    assert study_sheet(summarise(unbroken.collect(jobs))).markdown() == (out / "table.md").read_text()


@pytest.mark.trains
def test_a_trial_that_is_interrupted_goes_on_with_its_settings(tmp_path):
    pytest.importorskip("optuna")
    folder = Folder(tmp_path / "out")
    jobs = folder.begin(load_study(write(tmp_path, SEARCH, VALIDATED)))
    for job in jobs[:2]:
        folder.forget_error(job)
        first = search_job(job, folder)
        again = search_job(job, folder)  # as if it had been killed before its result was kept
        assert {**first, "seconds": 0} == {**again, "seconds": 0}
        assert first["settings"].keys() == {"training.lr", "model.layers.0.size"}
        assert 1e-3 <= first["settings"]["training.lr"] <= 1e-1
        folder.keep(job, first)
    rows = summarise(folder.collect(jobs)).rows
    assert rows[0].validation >= rows[-1].validation


def test_an_evaluation_in_slices_is_the_evaluation(tmp_path):
    models = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "models")
    text = f'[evaluate]\nnetwork = "{models}/digits-rows.net"\nslices = 4\nsamples = 50\n'
    folder = Folder(tmp_path / "out")
    jobs = folder.begin(load_study(write(tmp_path, text)))
    assert find(EVALUATE) is evaluate_slice
    for job in jobs:
        assert do(evaluate_slice, job, folder) == "done"
    found = summarise(folder.collect(jobs))
    whole = run("run", f"{models}/digits-rows.net", "--samples", 50)
    assert found.samples == 50 and found.accuracy == pytest.approx(whole["accuracy"])
    assert found.rates == pytest.approx([layer["rate"] for layer in whole["layers"][:-1]])


def test_a_file_that_is_no_study_is_the_users_to_mend(tmp_path):
    result = tclif("study", write(tmp_path, 'recipe = "toy.toml"\nseed = 3'), "-o", tmp_path / "out")
    assert result.exit_code == 2 and "did you mean 'seeds'" in result.stderr
    assert not (tmp_path / "out").exists() and "epochs" in RECIPE
