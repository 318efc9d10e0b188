"""Training on a toy task: resumption bit for bit, what is chosen by what, and what is refused."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tclif_neuro.data import load_task
from tclif_neuro.learning import Progress, TrainingError, load_checkpoint, load_trained, train
from tclif_neuro.learning.training.run import Run
from tests.learning.toys import toy_recipe

pytestmark = pytest.mark.trains


def weights(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = load_checkpoint(folder)
    moments = checkpoint.optimiser
    return {**checkpoint.model, **(checkpoint.best or {}), **moments, **checkpoint.rng}


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def without_seconds(folder: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in load_checkpoint(folder).log]


@pytest.mark.parametrize("validation", [0.0, 0.2])
@pytest.mark.parametrize("stops", [[1], [3], [5, 2, 4]])
def test_an_interrupted_run_ends_as_an_unbroken_one(
    toy: Path, tmp_path: Path, stops: list[int], validation: float
) -> None:
    recipe = toy_recipe(toy, validation=validation)
    whole = train(recipe, tmp_path / "whole")
    for stop in stops:
        left = [stop]

        def interrupt(progress: Progress, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(recipe, tmp_path / "broken", progress=interrupt)
    result = train(recipe, tmp_path / "broken")
    assert_same(weights(tmp_path / "broken"), weights(tmp_path / "whole"))
    assert without_seconds(tmp_path / "broken") == without_seconds(tmp_path / "whole")
    assert (result.test_accuracy, result.epoch) == (whole.test_accuracy, whole.epoch)


def test_after_ctrl_c_the_last_epoch_is_there(toy: Path, tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if (progress.epoch, progress.batch) == (3, 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(toy_recipe(toy), tmp_path / "out", progress=interrupt)
    assert load_checkpoint(tmp_path / "out").epoch == 2
    model, _ = load_trained(tmp_path / "out")
    assert model(torch.rand(5, 2, 3)).shape == (2, 3)


def test_it_learns_and_says_so(toy: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    result = train(toy_recipe(toy, epochs=15, lr=0.03), tmp_path / "out", progress=seen.append, tensorboard=True)
    assert result.test_accuracy > 0.6 < result.train_accuracy, "three classes that are easily told apart"
    assert (result.epoch, result.epochs, result.validation_accuracy) == (15, 15, None)
    assert result.parameters == sum(p.numel() for p in load_trained(tmp_path / "out")[0].parameters())
    assert [(p.epoch, p.batch) for p in seen if p.record is None] == [(e, b) for e in range(1, 16) for b in (1, 2, 3)]
    records = [p.record for p in seen if p.record]
    assert records[-1].loss < 0.9 * records[0].loss
    with open(tmp_path / "out" / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == [record.loss for record in records]
    assert {row["validation_accuracy"] for row in rows} == {""}
    assert all(0 <= record.lowest_rate <= record.highest_rate <= 1 for record in records)
    assert [float(row["spikes_per_sample"]) for row in rows] == [record.spikes_per_sample for record in records]
    assert result.spikes_per_sample == records[-1].spikes_per_sample > 0
    assert _scalars(tmp_path / "out" / "tensorboard")["loss"] == pytest.approx([r.loss for r in records])


def _scalars(folder: Path) -> dict[str, list[float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return {tag: [event.value for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_a_finished_run_is_not_trained_again(toy: Path, tmp_path: Path) -> None:
    first = train(toy_recipe(toy), tmp_path)
    (tmp_path / "log.csv").unlink()
    assert train(toy_recipe(toy), tmp_path, progress=lambda _: pytest.fail("trained again")) == first
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 5


def test_starting_again_forgets_the_checkpoint(toy: Path, tmp_path: Path) -> None:
    train(toy_recipe(toy), tmp_path)
    train(toy_recipe(toy, epochs=1), tmp_path, resume=False)
    assert load_checkpoint(tmp_path).epoch == 1


def test_another_recipe_is_refused(toy: Path, tmp_path: Path) -> None:
    train(toy_recipe(toy, epochs=1), tmp_path)
    with pytest.raises(
        TrainingError, match=r"of another recipe: training\.lr is 0.01 there and 0.02 here; choose another"
    ):
        train(toy_recipe(toy, epochs=1, lr=0.02), tmp_path)


def test_other_data_of_the_same_name_are_refused(toy: Path, tmp_path: Path) -> None:
    recipe = toy_recipe(toy, epochs=1)
    train(recipe, tmp_path)
    with np.load(toy) as arrays:
        x, y = arrays["x"], arrays["y"]
    x[0, 0, 0] += 1e-3
    np.savez(toy, x=x, y=y)
    with pytest.raises(TrainingError, match="was trained on other data"):
        train(recipe, tmp_path)


def test_the_validation_set_chooses_the_weights(toy: Path, tmp_path: Path) -> None:
    kept: dict[int, dict[str, torch.Tensor]] = {}

    def keep(progress: Progress) -> None:
        if progress.record and progress.epoch > 1:
            kept[progress.epoch - 1] = load_checkpoint(tmp_path / "out").model

    recipe = toy_recipe(toy, epochs=12, lr=0.1, scheduler="constant", validation=0.25)
    result = train(recipe, tmp_path / "out", progress=keep)
    checkpoint = load_checkpoint(tmp_path / "out")
    accuracies = [row["validation_accuracy"] for row in checkpoint.log]
    assert result.epoch == accuracies.index(max(accuracies)) + 1
    assert result.validation_accuracy == max(accuracies)
    assert {row["test_accuracy"] for row in checkpoint.log} == {None}
    assert_same(checkpoint.weights, {**kept, 12: checkpoint.model}[result.epoch])


@pytest.mark.parametrize("validation", [0.0, 0.25])
def test_the_test_labels_change_nothing_but_the_test_accuracy(toy: Path, tmp_path: Path, validation: float) -> None:
    task = load_task(str(toy))
    kept = []
    for data in (task, replace(task, test=replace(task.test, y=np.roll(task.y_test, 1)))):
        run = Run(toy_recipe(toy, validation=validation), data)
        for _ in range(3):
            run.epoch(lambda progress: None)
        kept.append(run.checkpoint().weights)
    assert_same(*kept)


def test_noise_dropout_and_order_come_from_the_seed_and_leave_torchs_generator_alone(toy: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    train(toy_recipe(toy), tmp_path / "a")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    train(toy_recipe(toy), tmp_path / "b")
    train(toy_recipe(toy, seed=1), tmp_path / "c")
    assert_same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not torch.equal(weights(tmp_path / "a")["0.weight"], weights(tmp_path / "c")["0.weight"])


def test_a_loss_that_is_not_finite_stops_training_and_keeps_the_checkpoint(toy: Path, tmp_path: Path) -> None:
    recipe = toy_recipe(toy, epochs=6, lr=1e37, grad_clip=0, scheduler="constant")
    with pytest.raises(TrainingError, match=r"epoch \d, batch \d: the loss is .*; lower training.lr \(1e\+37\)"):
        train(recipe, tmp_path)


def test_a_weight_that_is_not_finite_is_found_behind_the_spikes(toy: Path) -> None:
    run = Run(toy_recipe(toy, epochs=3), load_task(str(toy)))
    with torch.no_grad():
        run.model[0].bias[0] = float("nan")
    assert torch.isfinite(run.model.eval()(torch.rand(5, 2, 3))).all()  # the loss would go on
    with pytest.raises(
        TrainingError, match=r"epoch 1(, batch 1: the loss is|: the parameter 0.bias is no longer finite)"
    ):
        run.epoch(lambda progress: None)


def test_a_folder_that_cannot_be_is_refused(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="file: is not a folder and cannot become one: File exists"):
        train(toy_recipe(toy), tmp_path / "file")
