"""Learning a task: what is measured, what is kept, and that it goes on where it was stopped or killed."""

import csv
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tclif_neuro as tn
from tclif_neuro.arrays import read_arrays, write_arrays
from tclif_neuro.onchip import learn
from tclif_neuro.onchip.tasks.checkpoint import LearnCheckpointError
from tclif_neuro.onchip.tasks.recipe_file import changed, parse_learn_recipe
from tclif_neuro.onchip.tasks.run_task import run_task
from tclif_neuro.onchip.tasks.session import Session
from tclif_neuro.onchip.tasks.stream import make_stream

TOY = {
    "task": {"name": "cue", "silence": 6, "train": 130, "test": 30},
    "network": {"hidden": 12, "recurrent": True, "readout_decay": 0.5},
    "learning": {"passes": 4, "slower": [3], "test_every": 70, "checkpoint_every": 50, "update_every": 7},
}
FILES = ["checkpoint.npz", "learnt.net", "log.csv"]


@pytest.fixture(scope="module")
def toy():
    return parse_learn_recipe(TOY)


@pytest.fixture(scope="module")
def whole(toy):
    return run_task(toy)


def test_pieces_learn_what_one_call_does(toy, whole):
    session = Session(toy, make_stream(toy))
    run = learn(session.setup(0, session.first.net), *session.stream.part(0, 390))
    last = learn(session.setup(390, run.net), *session.stream.part(390, 520))
    assert last.net == whole.setup.net != session.first.net
    assert session.setup(390, run.net).plasticity[1].rate_shift == session.first.plasticity[1].rate_shift + 1


def test_what_is_measured(toy, whole):
    assert [row["sample"] for row in whole.rows] == [*range(0, 500, 70), 520]
    assert whole.samples == 520 and whole.ends == {"all": 520}
    _, accuracy = whole.curve("accuracy_test")
    stream = make_stream(toy)
    x, y = stream.tests["test"]
    assert accuracy[-1] == whole.accuracy["test"] == (tn.simulate(whole.setup.net, x).predictions == y).mean()
    assert np.isnan(whole.curve("online_accuracy")[1][0]) and whole.rows[0]["changed_0"] == 0
    weight = whole.setup.net.layers[0].recurrent.weight // 2
    assert whole.rows[-1]["weight_0_recurrent"] == np.abs(weight).mean()
    assert all(row["changed_0"] > 0 for row in whole.rows[1:])


def test_the_folder_holds_the_same(toy, whole, tmp_path):
    seen = []
    result = run_task(toy, tmp_path / "run", report=seen.append)
    assert result.setup.net == whole.setup.net == tn.load(tmp_path / "run" / "learnt.net")
    assert result.rows == whole.rows
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == FILES
    table = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    assert [float(row["accuracy_test"]) for row in table] == whole.curve("accuracy_test")[1].tolist()
    assert [now.sample for now in seen if now.row] == [row["sample"] for row in whole.rows[1:]]
    again = run_task(toy, tmp_path / "run")
    assert again.rows == whole.rows and again.setup.net == whole.setup.net


@pytest.mark.parametrize("stop", [50, 130, 170, 450])
def test_an_interrupt_loses_nothing(toy, whole, tmp_path, stop):
    def interrupt(now):
        if now.sample >= stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_task(toy, tmp_path, report=interrupt)
    seen = []
    result = run_task(toy, tmp_path, report=seen.append)
    assert seen[0].sample > stop and result.setup.net == whole.setup.net and result.rows == whole.rows


def test_a_checkpoint_of_something_else_is_refused(toy, tmp_path):
    run_task(toy, tmp_path)
    with pytest.raises(LearnCheckpointError, match="of another recipe: learning.update_every is 7 there and 6 here"):
        run_task(changed(toy, **{"learning.update_every": 6}), tmp_path)
    path = tmp_path / "checkpoint.npz"
    good = path.read_bytes()
    for bad in (b"", good[: len(good) // 2], b"x" * 100, bytes([good[0]]) + good[1:300] + b"y" + good[301:]):
        path.write_bytes(bad)
        with pytest.raises(LearnCheckpointError, match=r"checkpoint.npz: is not a checkpoint, or is damaged"):
            run_task(toy, tmp_path)
    assert run_task(toy, tmp_path, resume=False).samples == 520


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("position", 10**9, "sample 1000000000 of 520"),
        ("position", "50", "position = '50': should be a valid integer"),
        ("correct", -1, "correct = -1: should be greater"),
        ("rows", [], "rows = "),
        ("rows", [{"sample": 0}], "its records are not those"),
        ("phase", "a\0b", r"phase = 'a\\x00b' in a record"),
        ("error", "x", "error = 'x' in a record"),
    ],
)
def test_facts_that_do_not_fit_are_refused(toy, whole, tmp_path, key, value, words):
    run_task(toy, tmp_path)
    stored = read_arrays(tmp_path / "checkpoint.npz")
    if key in ("phase", "error") and isinstance(value, str):
        stored.facts["rows"][-1][key] = value
    else:
        stored.facts[key] = value
    write_arrays(tmp_path / "checkpoint.npz", stored.arrays, stored.facts)
    with pytest.raises(LearnCheckpointError, match=words):
        run_task(toy, tmp_path)


KILLED = """
import json, sys
from tclif_neuro.onchip.tasks.run_task import run_task
from tclif_neuro.onchip.tasks.recipe_file import parse_learn_recipe
print("ready", flush=True)
run_task(parse_learn_recipe(json.loads(sys.argv[1])), sys.argv[2], report=lambda now: print(now.sample, flush=True))
"""


@pytest.mark.slow
def test_killed_at_several_moments_it_ends_with_the_weights_of_an_unbroken_run(toy, whole, tmp_path):
    killed = 0
    for at, wait in ((50, 0.0), (130, 0.002), (250, 0.005), (390, 0.001)):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, toy.model_dump_json(), str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        try:
            for line in child.stdout:
                if line.strip().isdigit() and int(line) >= at:
                    break
            time.sleep(wait)
            child.kill()
            child.communicate(timeout=200)
        finally:
            child.kill()
            child.wait()
        killed += child.returncode == -signal.SIGKILL
    assert killed >= 3, "it was over before it could be killed"
    result = run_task(toy, tmp_path)
    assert result.setup.net == whole.setup.net and result.rows == whole.rows
    assert sorted(p.name for p in tmp_path.iterdir()) == FILES
