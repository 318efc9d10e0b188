"""Optimisers, early stopping, more epochs, given weights: each has an effect, and the same bits after a break."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tclif_neuro.data import load_task
from tclif_neuro.learning import CheckpointError, Progress, TrainingError, load_checkpoint, load_recipe, train
from tclif_neuro.learning.training.optimiser import make_optimiser
from tclif_neuro.learning.training.run import Run
from tests.learning.test_train import assert_same, weights, without_seconds
from tests.learning.toys import toy_recipe

pytestmark = pytest.mark.trains

OPTIONS: dict[str, dict[str, Any]] = {
    "sgd": {"optimiser": "sgd"},
    "momentum": {"optimiser": "sgd", "momentum": 0.9},
    "nesterov": {"optimiser": "sgd", "momentum": 0.9, "nesterov": True},
    "adamw": {"optimiser": "adamw", "weight_decay": 0.1},
    "step": {"scheduler": "step", "schedule": {"every": 1, "factor": 0.5}},
    "multistep": {"scheduler": "multistep", "schedule": {"milestones": [1, 2]}},
    "onecycle": {"scheduler": "onecycle"},
    "warm-up": {"scheduler": "constant", "schedule": {"warmup": 1.5}},
    "class weights": {"class_weights": [1.0, 2.0, 4.0]},
    "shift": {"augment": {"shift": 2}},
    "time masks": {"augment": {"time_masks": 1, "time_mask": 3}},
    "channel masks": {"augment": {"channel_masks": 2, "channel_mask": 1}},
    "event drop": {"augment": {"event_drop": 0.3}},
    "fptt with sgd": {"rule": "fptt", "optimiser": "sgd", "momentum": 0.5},
}


def stop_after(epoch: int, batch: int) -> Any:
    def interrupt(progress: Progress) -> None:
        if (progress.epoch, progress.batch) == (epoch, batch):
            raise KeyboardInterrupt

    return interrupt


@pytest.mark.parametrize("training", OPTIONS.values(), ids=OPTIONS.keys())
def test_each_option_acts_and_ends_in_the_same_bits_after_a_break(
    toy: Path, tmp_path: Path, training: dict[str, Any]
) -> None:
    train(toy_recipe(toy, **{key: value for key, value in training.items() if key == "rule"}), tmp_path / "plain")
    recipe = toy_recipe(toy, **training)
    train(recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "broken", progress=stop_after(3, 2))
    train(recipe, tmp_path / "broken")
    assert_same(weights(tmp_path / "broken"), weights(tmp_path / "whole"))
    assert without_seconds(tmp_path / "broken") == without_seconds(tmp_path / "whole")
    plain, own = (load_checkpoint(tmp_path / name).model["0.weight"] for name in ("plain", "whole"))
    assert not torch.equal(plain, own)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_that_of_the_equation(toy: Path, nesterov: bool) -> None:
    training = toy_recipe(toy, optimiser="sgd", momentum=0.5, nesterov=nesterov, lr=0.1).training
    p, expected, velocity = torch.nn.Parameter(torch.tensor(1.0)), 1.0, 0.0
    optimiser = make_optimiser([p], training)
    for gradient in (1.0, -2.0, 0.5):
        p.grad = torch.tensor(gradient)
        optimiser.step()
        velocity = 0.5 * velocity + gradient
        expected -= 0.1 * (gradient + 0.5 * velocity if nesterov else velocity)
        assert p.item() == pytest.approx(expected, rel=1e-6)


def test_the_moments_of_another_optimiser_are_refused(toy: Path, tmp_path: Path) -> None:
    run = Run(toy_recipe(toy, optimiser="sgd", momentum=0.9), load_task(str(toy)))
    run.epoch(lambda progress: None)
    other = Run(toy_recipe(toy), load_task(str(toy)))
    with torch.random.fork_rng(devices=[]), pytest.raises(CheckpointError, match="has the state momentum_buffer"):
        other.restore(tmp_path, run.checkpoint())


def test_patience_ends_the_run_and_the_best_weights_are_kept(toy: Path, tmp_path: Path) -> None:
    whole = train(toy_recipe(toy, epochs=20, validation=0.25, scheduler="constant"), tmp_path / "whole")
    recipe = toy_recipe(toy, epochs=20, validation=0.25, scheduler="constant", patience=2)
    result = train(recipe, tmp_path / "short")
    log = without_seconds(tmp_path / "short")
    assert log == without_seconds(tmp_path / "whole")[: len(log)]
    accuracies = [row["validation_accuracy"] for row in log]
    assert result.epochs == len(log) == result.epoch + 2 < whole.epochs
    assert result.validation_accuracy == max(accuracies) == accuracies[result.epoch - 1]
    assert train(recipe, tmp_path / "short", progress=lambda _: pytest.fail("trained on")) == result


def test_patience_without_a_validation_set_is_refused(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="training.patience = 3: there is no validation set to stop by"):
        train(toy_recipe(toy, patience=3), tmp_path)


@pytest.mark.parametrize("scheduler", ["constant", "step", "multistep"])
def test_more_epochs_continue_as_if_asked_for_at_once(toy: Path, tmp_path: Path, scheduler: str) -> None:
    options = {"scheduler": scheduler, "schedule": {"every": 2, "milestones": [1, 3], "warmup": 3.0}}
    whole = train(toy_recipe(toy, epochs=5, **options), tmp_path / "whole")
    train(toy_recipe(toy, epochs=2, **options), tmp_path / "parts")
    result = train(toy_recipe(toy, epochs=5, **options), tmp_path / "parts")
    assert_same(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
    assert (result.epochs, result.test_accuracy) == (5, whole.test_accuracy)
    assert load_checkpoint(tmp_path / "parts").recipe["training"]["epochs"] == 5
    with pytest.raises(TrainingError, match="has 5 epochs behind it, more than training.epochs = 3"):
        train(toy_recipe(toy, epochs=3, **options), tmp_path / "parts")


@pytest.mark.parametrize("scheduler", ["cosine", "onecycle"])
def test_more_epochs_are_refused_where_the_rate_depends_on_their_number(
    toy: Path, tmp_path: Path, scheduler: str
) -> None:
    train(toy_recipe(toy, epochs=1, scheduler=scheduler), tmp_path)
    with pytest.raises(TrainingError, match=f'epochs is 1 there and 2 here, .* scheduler = "{scheduler}" depends on'):
        train(toy_recipe(toy, epochs=2, scheduler=scheduler), tmp_path)


def test_a_run_starts_from_given_weights(toy: Path, tmp_path: Path) -> None:
    train(toy_recipe(toy, epochs=2), tmp_path / "first")
    for start in (tmp_path / "first", tmp_path / "first" / "checkpoint.npz"):
        run = Run(toy_recipe(toy, start=str(start), seed=7), load_task(str(toy)))
        assert_same(dict(run.model.state_dict()), load_checkpoint(tmp_path / "first").model)
    recipe = toy_recipe(toy, start=str(tmp_path / "first"))
    train(recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "broken", progress=stop_after(2, 1))
    train(recipe, tmp_path / "broken")
    assert_same(weights(tmp_path / "broken"), weights(tmp_path / "whole"))
    train(toy_recipe(toy, epochs=1, seed=5), tmp_path / "first", resume=False)
    with pytest.raises(TrainingError, match="was trained on other data .*, or from other weights"):
        train(recipe, tmp_path / "broken")


def test_a_start_is_relative_to_its_recipe(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    train(toy_recipe(toy, epochs=1), tmp_path / "recipes" / "first")
    text = f'task.name = "{toy}"\nmodel.layers = [{{type = "lif", size = 3}}]\n'
    path = tmp_path / "recipes" / "next.toml"
    path.write_text(text + '[training]\nepochs = 1\nstart = "first"\n')
    assert load_recipe(path).training.start == str(tmp_path / "recipes" / "first")
    with pytest.raises(CheckpointError, match=r"first: 0.weight is \[6, 3\] there and \[3, 3\] in the recipe's model"):
        train(load_recipe(path), tmp_path / "out")
    path.write_text(text + '[training]\nepochs = 1\nstart = "nowhere"\n')
    with pytest.raises(Exception, match="nowhere: no such file"):
        train(load_recipe(path), tmp_path / "out")
