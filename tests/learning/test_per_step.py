"""A class per step, and samples of different lengths: what BPTT learns from, and what counts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tclif_neuro.data import Batches, load_task
from tclif_neuro.data.task import UNLABELLED
from tclif_neuro.learning import TrainingError, parse_recipe
from tclif_neuro.learning.rules.bptt import _loss, _loss_per_step
from tclif_neuro.learning.training.run import Run, evaluate

STEPS = 6
QUIET = {"epochs": 2, "batch_size": 8}


def own(folder: Path, **arrays: Any) -> Path:
    """24 samples in which the input that is on says the class of the step."""
    y = np.random.default_rng(0).integers(0, 3, (24, STEPS))
    np.savez(folder / "own.npz", **{"x": np.eye(3, dtype=np.float32)[y], "y": y, **arrays})
    return folder / "own.npz"


def run_of(path: Path, **training: Any) -> Run:
    layers = [{"type": "lif", "size": 16}]
    readout = {"decay": 0.5}
    data = {"task": {"name": str(path)}, "model": {"layers": layers, "readout": readout}, "training": training}
    return Run(parse_recipe(data), load_task(str(path)))


def test_a_class_per_step_is_learnt_from_the_labelled_steps(tmp_path: Path) -> None:
    run = run_of(own(tmp_path), epochs=30, batch_size=8, lr=0.02)
    before = evaluate(run.model, run.train)
    losses = [run.epoch(lambda progress: None).loss for _ in range(30)]
    assert losses[-1] < 0.7 * losses[0]
    assert evaluate(run.model, run.train) > before


def test_what_has_no_label_changes_nothing(tmp_path: Path) -> None:
    run = run_of(own(tmp_path), **QUIET)
    x, y = next(iter(run.train))
    y = y.clone()
    y[3:] = UNLABELLED
    loss, potential = _loss_per_step(run.model, x, y, run.recipe.training)
    again, _ = _loss_per_step(run.model, x[:3], y[:3], run.recipe.training)
    assert loss.item() == pytest.approx(again.item(), rel=1e-6)
    assert potential.shape == (STEPS, 8, 3)


def test_padding_is_not_read(tmp_path: Path) -> None:
    """A sample with a length is what it is without its padding, in loss and accuracy."""
    y = np.arange(24) % 3
    x = np.random.default_rng(1).random((24, STEPS, 3)).astype(np.float32)
    short = run_of(own(tmp_path, x=x[:, :4], y=y, x_test=x[:, :4], y_test=y), **QUIET)
    fours = np.full(24, 4)
    padded = run_of(own(tmp_path, x=x, y=y, x_test=x, y_test=y, lengths=fours, lengths_test=fours), **QUIET)
    (x_short, y_short), (x_padded, y_padded) = next(iter(short.test)), next(iter(padded.test))
    for logits in ("sum", "mean"):
        training = short.recipe.training.model_copy(update={"logits": logits})
        plain, _ = _loss(short.model, x_short, y_short, training)
        ours, _ = _loss_per_step(padded.model, x_padded, y_padded, training)
        assert ours.item() == pytest.approx(plain.item(), rel=1e-5)
    assert evaluate(padded.model, padded.test) == evaluate(short.model, short.test)


@pytest.mark.parametrize(
    ("training", "arrays", "says"),
    [
        ({"loss": "ce_rate"}, {}, 'has a class per step; loss = "ce_rate" takes one per sample'),
        ({}, {"y": np.zeros((24, 2))}, 'has real targets; loss = "cross_entropy" is not for these, take loss = "mse"'),
        ({"loss": "mse"}, {}, 'has classes; loss = "mse" is not for these'),
        ({"augment": {"shift": 1}}, {"y": np.arange(24) % 3, "lengths": np.full(24, 2)}, "away from their labels"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path: Path, training: dict, arrays: dict, says: str) -> None:
    with pytest.raises(TrainingError, match=says):
        run_of(own(tmp_path, **arrays), **QUIET, **training)


@pytest.mark.parametrize(
    ("arrays", "loss"),
    [
        ({}, "cross_entropy"),
        ({"y": np.arange(24) % 3, "lengths": np.arange(24) % STEPS + 1}, "cross_entropy"),
        ({"y": np.random.default_rng(2).random((24, STEPS, 2))}, "mse"),
    ],
)
def test_checkpoints_are_the_same_update(tmp_path: Path, arrays: dict, loss: str) -> None:
    """Targets per step, lengths and values: the loss and its gradient are those without checkpoints."""
    path, found = own(tmp_path, **arrays), []
    for every in (0, 2, 4):
        run = run_of(path, **QUIET, loss=loss, checkpoint=every)
        x, y = next(iter(run.train))
        value, _ = _loss_per_step(run.model, x, y, run.training)
        value.backward()
        found.append((value.detach(), [p.grad for p in run.model.parameters() if p.grad is not None]))
    for value, gradients in found[1:]:
        torch.testing.assert_close(value, found[0][0])
        torch.testing.assert_close(gradients, found[0][1], rtol=1e-4, atol=1e-6)
    run.epoch(lambda progress: None)


def test_batches_give_targets_time_first(tmp_path: Path) -> None:
    task = load_task(str(own(tmp_path)))
    x, y = next(iter(Batches(task.train, 5)))
    assert (x.shape, y.shape, y.dtype) == ((STEPS, 5, 3), (STEPS, 5), torch.int64)
    assert (x.argmax(-1) == y).all()
