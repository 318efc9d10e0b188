"""Checkpoints: what was saved is loaded, nothing else is, and nothing in them is executed."""

import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.data import load_task
from tclif_neuro.files import write_atomically
from tclif_neuro.learning import CheckpointError, load_checkpoint, load_trained
from tclif_neuro.learning.training.checkpoint import Checkpoint, save_checkpoint
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
    save_checkpoint(tmp_path / "checkpoint.pt", saved)
    for path in (tmp_path / "checkpoint.pt", tmp_path):
        loaded = load_checkpoint(path)
        assert all(same(getattr(loaded, f.name), getattr(saved, f.name)) for f in fields(Checkpoint))
    assert (loaded.epoch, loaded.classes, loaded.steps, loaded.inputs) == (1, ["0", "1", "2"], 5, 3)


def test_the_trained_model_is_the_best_and_evaluates(run: Run, tmp_path: Path) -> None:
    checkpoint = run.checkpoint()
    best = {name: value * 2 for name, value in checkpoint.model.items()}
    save_checkpoint(tmp_path / "checkpoint.pt", replace(checkpoint, best=best))
    model, recipe = load_trained(tmp_path)
    assert same(dict(model.state_dict()), best)
    assert recipe == run.recipe
    assert not model.training
    save_checkpoint(tmp_path / "checkpoint.pt", replace(checkpoint, best=None))
    assert same(dict(load_trained(tmp_path)[0].state_dict()), checkpoint.model)


def test_weights_of_another_model_are_refused(run: Run, tmp_path: Path) -> None:
    checkpoint = run.checkpoint()
    weights = {**checkpoint.model, "0.weight": torch.zeros(2, 2)}
    save_checkpoint(tmp_path / "checkpoint.pt", replace(checkpoint, best=weights))
    with pytest.raises(CheckpointError, match=r"the weights do not fit the recipe's model: .*"):
        load_trained(tmp_path)


class Bomb:
    """Unpickling it makes the folder `at`."""

    def __init__(self, at: Path) -> None:
        self.at = at

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.at),)


def test_a_program_in_a_checkpoint_is_not_executed(tmp_path: Path) -> None:
    torch.save({"format": Bomb(tmp_path / "exploded")}, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="checkpoint.pt: is not a checkpoint"):
        load_checkpoint(tmp_path)
    assert not (tmp_path / "exploded").exists()


BAD = {
    "another format": (
        {"format": "tclif-neuro checkpoint 99"},
        "'tclif-neuro checkpoint 1' expected, found 'tclif-neuro ch",
    ),
    "no dict": ([1, 2], "expected, found 'list'"),
    "fields missing": ({"format": "tclif-neuro checkpoint 1"}, "recipe: is missing or of the wrong type"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD.keys())
def test_other_contents_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="no such file"):
        load_checkpoint(tmp_path / "absent.pt")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_file_cut_short_is_refused(run: Run, tmp_path: Path, share: float) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, run.checkpoint())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match="checkpoint.pt: is not a checkpoint, or is damaged"):
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
