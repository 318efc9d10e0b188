"""New classes, and channels that change places, learnt with calibrated shifts: on an own file, and on N-MNIST."""

import os
from pathlib import Path

import numpy as np
import pytest

from tclif_neuro.onchip.tasks.recipe_file import changed, load_learn_recipe, parse_learn_recipe
from tclif_neuro.onchip.tasks.run_task import LearnResult, run_task

RECIPES = Path(__file__).resolve().parents[2] / "models" / "onchip"
needs_nmnist = pytest.mark.skipif(
    not (Path(os.environ.get("TCLIF_DATA", "no such folder")) / "events" / "nmnist-small.zip").is_file(),
    reason="set TCLIF_DATA to a folder with events/nmnist-small.zip",
)


def check_new_class(result: LearnResult, chance: float) -> None:
    """The new classes are learnt, and the old ones, though they fall, stay known."""
    before, after = result.accuracy_after("old"), result.accuracy_after("new")
    assert before["old"] > 3 * chance and before["new"] < chance
    assert after["new"] > 3 * chance and after["old"] > 3 * chance


def check_drift(result: LearnResult, chance: float) -> None:
    """The permuted channels are unknown at first and learnt in the end."""
    before, after = result.accuracy_after("before"), result.accuracy_after("after")
    assert before["before"] > 3 * chance and before["after"] < 2 * chance
    assert after["after"] > 3 * chance


@pytest.fixture
def own(tmp_path):
    """Five classes: which of five channels spikes most."""
    rng, y = np.random.default_rng(0), np.arange(200) % 5
    x = rng.random((200, 10, 5)) < 0.05 + 0.6 * np.eye(5)[y][:, None]
    path = tmp_path / "own.npz"
    np.savez(path, x=x.astype(np.uint8), y=y)
    return str(path)


@pytest.mark.parametrize(("name", "check"), [("new-class", check_new_class), ("drift", check_drift)])
def test_an_own_file(own, name, check):
    task = {"name": name, "data": own, "passes": 5, **({"new": 1} if name == "new-class" else {})}
    described = {"task": task, "network": {"hidden": 24, "recurrent": True}, "learning": {"passes": 5}}
    check(run_task(parse_learn_recipe(described)), 1 / 5)


@pytest.mark.slow
@needs_nmnist
@pytest.mark.parametrize(("name", "check"), [("new-class", check_new_class), ("drift", check_drift)])
def test_nmnist(name, check):
    recipe = load_learn_recipe(RECIPES / f"nmnist-{name}.toml")
    check(run_task(changed(recipe, **{"learning.passes": 4, "task.passes": 4})), 1 / 10)
