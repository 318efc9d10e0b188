"""A training process killed at any moment, as by a power cut, goes on and ends as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tclif_neuro.learning import load_checkpoint, train
from tests.learning.toys import toy_recipe

pytestmark = [pytest.mark.slow, pytest.mark.trains]
EPOCHS = 30
DEADLINE = 200.0  # seconds; importing torch takes most of them on a busy machine
SCRIPT = """
import json, sys, torch
from tclif_neuro.learning import parse_recipe, train
torch.set_num_threads(1)
train(parse_recipe(json.loads(sys.argv[1])), sys.argv[2])
"""


def start(recipe: str, out: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", SCRIPT, recipe, str(out)], stderr=subprocess.PIPE)


def epochs_in(out: Path) -> int:
    return load_checkpoint(out).epoch if (out / "checkpoint.npz").exists() else 0


def wait_until_epoch(process: "subprocess.Popen[bytes]", out: Path, epoch: int) -> None:
    deadline = time.monotonic() + DEADLINE
    while epochs_in(out) < epoch:
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline, f"no epoch {epoch} after {DEADLINE} s"
        time.sleep(0.005)


def test_killed_at_random_moments_the_weights_are_those_of_an_unbroken_run(toy: Path, tmp_path: Path) -> None:
    changing = {"scheduler": "onecycle", "augment": {"shift": 1, "event_drop": 0.1}}
    recipe, moments = toy_recipe(toy, epochs=EPOCHS, **changing), random.Random(0)
    out, whole = tmp_path / "killed", tmp_path / "whole"
    for epoch in (1, 15):
        process = start(recipe.model_dump_json(), out)
        try:
            wait_until_epoch(process, out, epoch)
            time.sleep(moments.uniform(0, 0.05))
            process.kill()
            assert process.wait(DEADLINE) == -signal.SIGKILL, "it was over before it could be killed"
        finally:
            process.kill()
            process.communicate()
    killed_at = epochs_in(out)
    assert 15 <= killed_at < EPOCHS
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train(recipe, out)
        train(recipe, whole)
    finally:
        torch.set_num_threads(threads)
    a, b = load_checkpoint(out), load_checkpoint(whole)
    assert a.epoch == b.epoch == EPOCHS
    assert all(torch.equal(a.model[name], b.model[name]) for name in b.model)
    assert sorted(path.name for path in out.iterdir()) == ["checkpoint.npz", "log.csv"]


def test_an_interrupt_leaves_a_checkpoint_and_ends_the_process(toy: Path, tmp_path: Path) -> None:
    process = start(toy_recipe(toy, epochs=10_000).model_dump_json(), tmp_path)
    try:
        wait_until_epoch(process, tmp_path, 2)
        os.kill(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
        process.wait()
    assert b"KeyboardInterrupt" in error
    assert load_checkpoint(tmp_path).epoch >= 2
