"""Checkpoints: what was saved is loaded, nothing else is, and nothing in them is executed."""

import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.arrays import read_arrays, write_arrays
from tclif_neuro.data import load_task
from tclif_neuro.files import write_atomically
from tclif_neuro.learning import CheckpointError, load_checkpoint, load_trained, train
from tclif_neuro.learning.training.checkpoint import Checkpoint, load_state, save_checkpoint
from tclif_neuro.learning.training.run import Run
from tests.learning.toys import toy_recipe


@pytest.fixture
def run(toy: Path) -> Run:
    """A run after one epoch."""
    run = Run(toy_recipe(toy, validation=0.2), load_task(str(toy)))
    run.epoch(lambda progress: None)
    return run


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def test_what_was_saved_is_loaded(run: Run, tmp_path: Path) -> None:
    saved = run.checkpoint()
    save_checkpoint(tmp_path / "checkpoint.npz", saved)
    for path in (tmp_path / "checkpoint.npz", tmp_path):
        loaded = load_checkpoint(path)
        assert all(same(getattr(loaded, f.name), getattr(saved, f.name)) for f in fields(Checkpoint))
    assert (loaded.epoch, loaded.classes, loaded.steps, loaded.inputs) == (1, ["0", "1", "2"], 5, 3)


def test_the_trained_model_is_the_best_and_evaluates(run: Run, tmp_path: Path) -> None:
    checkpoint = run.checkpoint()
    best = {name: value * 2 if value.is_floating_point() else value for name, value in checkpoint.model.items()}
    save_checkpoint(tmp_path / "checkpoint.npz", replace(checkpoint, best=best, best_epoch=1))
    model, recipe = load_trained(tmp_path)
    assert same(dict(model.state_dict()), best)
    assert recipe == run.recipe
    assert not model.training
    save_checkpoint(tmp_path / "checkpoint.npz", replace(checkpoint, best=None, best_epoch=0))
    assert same(dict(load_trained(tmp_path)[0].state_dict()), checkpoint.model)


def test_weights_of_another_model_are_refused(run: Run, tmp_path: Path) -> None:
    checkpoint = run.checkpoint()
    weights = {**checkpoint.model, "0.weight": torch.zeros(2, 2)}
    save_checkpoint(tmp_path / "checkpoint.npz", replace(checkpoint, best=weights, best_epoch=1))
    with pytest.raises(CheckpointError, match=r"the weights do not fit the recipe's model: .*"):
        load_trained(tmp_path)


@pytest.mark.parametrize("name", ["checkpoint.pt", "checkpoint.npz"])
def test_a_checkpoint_that_can_hold_programs_is_not_read(tmp_path: Path, name: str) -> None:
    torch.save({"format": Bomb(tmp_path / "exploded")}, tmp_path / name)
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(CheckpointError, match=f"{name}: is "):
            load_checkpoint(path)
    assert not (tmp_path / "exploded").exists()


def test_a_run_of_an_older_version_is_not_trained_over(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").touch()
    with pytest.raises(CheckpointError, match=r"checkpoint.pt: is a checkpoint of an older version"):
        train(toy_recipe(toy, epochs=1), tmp_path)
    assert train(toy_recipe(toy, epochs=1), tmp_path, resume=False).epochs == 1


class Bomb:
    """Unpickling it makes the folder `at`."""

    def __init__(self, at: Path) -> None:
        self.at = at

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.at),)


def edit(path: Path, facts: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Change a checkpoint: entries to set, or ... to take one away."""
    stored = read_arrays(path)
    new = [{**old, **change} for old, change in ((stored.facts, facts), (stored.arrays, arrays))]
    new_facts, new_arrays = ({k: v for k, v in part.items() if v is not ...} for part in new)
    write_arrays(path, new_arrays, new_facts)


BAD_FACTS: dict[str, tuple[dict[str, Any], str]] = {
    "format": ({"format": "tclif-neuro checkpoint 99"}, "format = 'tclif-neuro checkpoint 99': 'tclif-neuro ch"),
    "no format": ({"format": ...}, "format: is missing"),
    "no recipe": ({"recipe": ...}, "recipe: is missing"),
    "another key": ({"best_epochs": 1}, "best_epochs = 1: there is no such key"),
    "truth": ({"steps": True}, "steps = True: should be a valid integer"),
    "none": ({"inputs": 0}, "inputs = 0: should be greater"),
    "no classes": ({"classes": []}, r"classes = \[\]: "),
    "best of the future": ({"best_epoch": 7}, "best_epoch 7 of 1 does not fit"),
    "best of none": ({"best": None}, "best_epoch 1 of 1 does not fit"),
    "text in the log": ({"log": [{"epoch": "1"}]}, r"log\[0\].epoch"),
}


@pytest.mark.parametrize(("facts", "message"), BAD_FACTS.values(), ids=BAD_FACTS.keys())
def test_other_facts_are_refused(run: Run, tmp_path: Path, facts: dict[str, Any], message: str) -> None:
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, run.checkpoint())
    edit(path, facts, {})
    with pytest.raises(CheckpointError, match=f"checkpoint.npz: is not a checkpoint.*: {message}"):
        load_checkpoint(path)


BAD_RUNS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no generator": ({}, {"rng/torch": ...}, "'torch'"),
    "a generator's size": ({}, {"rng/batches": np.zeros(3, np.uint8)}, "RNG state"),
    "a moment missing": ({}, {"optimiser/0/exp_avg": ...}, "parameter 0 of .* has the state exp_avg_sq, step"),
    "a moment's shape": (
        {},
        {"optimiser/0/exp_avg": np.zeros(1, np.float32)},
        r"exp_avg of parameter 0: .*\[1\], not",
    ),
    "a moment's type": ({}, {"optimiser/0/step": np.int64(3)}, "step of parameter 0: torch.int64"),
    "a moment too many": ({}, {"optimiser/99/step": np.float32(3)}, "parameter 99 of .* has the state step"),
    "a moment of no number": ({}, {"optimiser/x/step": np.float32(3)}, "invalid literal"),
    "a record's key": ({"log": [{"epoch": 1}]}, {}, "Field required"),
    "a weight": ({}, {"model/0.weight": ...}, "the weights do not fit"),
    "a weight's shape": ({}, {"model/0.weight": np.zeros(10**4, np.float32)}, "the weights do not fit.*0.weight"),
    "a weight that is text": ({"model": {"0.weight": "x"}}, {"model/0.weight": ...}, "the weights do not fit"),
}


@pytest.mark.parametrize(("facts", "arrays", "message"), BAD_RUNS.values(), ids=BAD_RUNS.keys())
def test_what_does_not_fit_the_run_is_refused(
    run: Run, tmp_path: Path, facts: dict[str, Any], arrays: dict[str, Any], message: str
) -> None:
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, run.checkpoint())
    edit(path, facts, arrays)
    with torch.random.fork_rng(devices=[]), pytest.raises(CheckpointError, match=f"checkpoint.npz: .*{message}"):
        run.restore(path, load_checkpoint(path))


BAD_ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "NaN": ({"model/0.weight": np.float32("nan")}, "model/0.weight: holds NaN or infinity"),
    "text": ({"model/0.weight": np.array("a")}, "model/0.weight: is no array of a checkpoint"),
    "elsewhere": ({"other": np.zeros(3)}, "other: is no array of a checkpoint"),
}


@pytest.mark.parametrize(("arrays", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS.keys())
def test_other_arrays_are_refused(run: Run, tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    save_checkpoint(tmp_path / "checkpoint.npz", run.checkpoint())
    edit(tmp_path / "checkpoint.npz", {}, arrays)
    with pytest.raises(CheckpointError, match=message):
        run.restore(tmp_path, load_checkpoint(tmp_path))


def test_a_recipe_that_asks_for_more_than_the_file_holds_is_refused_before_the_model_is_built(
    run: Run, tmp_path: Path
) -> None:
    checkpoint = run.checkpoint()
    checkpoint.recipe["model"]["layers"][0]["size"] = 10**6
    save_checkpoint(tmp_path / "checkpoint.npz", checkpoint)
    with pytest.raises(CheckpointError, match=r"its recipe's model has \d+ weights, the file holds \d+ numbers"):
        load_trained(tmp_path)


def test_a_checkpoint_that_is_missing_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="absent.npz: no such file"):
        load_checkpoint(tmp_path / "absent.npz")
    (tmp_path / "checkpoint.npz").mkdir()
    for path in (tmp_path, tmp_path / "checkpoint.npz"):
        with pytest.raises(CheckpointError, match="[^z]/checkpoint.npz: .*: it is a folder"):
            load_checkpoint(path)


class Marked(torch.nn.Linear):
    """A module with more than tensors in its state."""

    mark = "none"

    def get_extra_state(self) -> dict[str, Any]:
        return {"mark": self.mark, "levels": [1, 2.5, None, True]}

    def set_extra_state(self, state: Any) -> None:
        self.mark = state["mark"]


def test_what_modules_keep_besides_tensors_is_kept(run: Run, tmp_path: Path) -> None:
    module = Marked(2, 2)
    module.mark = "this one"
    saved = replace(run.checkpoint(), model=dict(module.state_dict()), best=None, best_epoch=0)
    save_checkpoint(tmp_path / "checkpoint.npz", saved)
    loaded = load_checkpoint(tmp_path)
    assert same(loaded.model, saved.model)
    other = torch.nn.Sequential(Marked(2, 2))
    load_state(tmp_path, other, {f"0.{name}": value for name, value in loaded.model.items()})
    assert other[0].mark == "this one"
    with pytest.raises(CheckpointError, match="the weights do not fit the recipe's model: 'mark'"):
        load_state(
            tmp_path, other, {f"0.{name}": value for name, value in loaded.model.items()} | {"0._extra_state": {}}
        )


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_file_cut_short_is_refused(run: Run, tmp_path: Path, share: float) -> None:
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, run.checkpoint())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match="checkpoint.npz: is not a checkpoint, or is damaged"):
        load_checkpoint(path)


@given(st.binary(max_size=100), st.binary(max_size=100), st.integers(0, 100))
def test_a_file_is_the_old_or_the_new_one(
    tmp_path_factory: pytest.TempPathFactory, old: bytes, new: bytes, stop: int
) -> None:
    path = tmp_path_factory.mktemp("files") / "file"
    path.write_bytes(old)

    def write(file: Any) -> None:
        file.write(new[:stop])
        if stop < len(new):
            raise KeyboardInterrupt

    try:
        write_atomically(path, write)
    except KeyboardInterrupt:
        assert path.read_bytes() == old
    else:
        assert path.read_bytes() == new
    assert list(path.parent.iterdir()) == [path]
