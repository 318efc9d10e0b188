"""Class weights: in the loss, and from how often a class occurs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tclif_neuro.data import load_task
from tclif_neuro.errors import TclifError
from tclif_neuro.learning import RecipeError, TrainingError
from tclif_neuro.learning.eprop.learner import EPropLearner
from tclif_neuro.learning.eprop.signal import EPropOptions
from tclif_neuro.learning.recipe.training import TrainingSection
from tclif_neuro.learning.rules.bptt import bptt_step, cross_entropy
from tclif_neuro.learning.rules.eprop import eprop_step
from tclif_neuro.learning.rules.fptt import fptt_step
from tclif_neuro.learning.training.run import Run
from tclif_neuro.learning.training.weights import with_class_weights
from tclif_neuro.neurons.modules import LIF, Readout
from tests.learning.toys import toy_recipe

CLASSES = ("a", "b", "c")


def weights(y: list[int] | torch.Tensor, **training: Any) -> tuple[float, ...]:
    section = TrainingSection(epochs=1, **training)
    return with_class_weights(section, torch.as_tensor(y), CLASSES).class_weights


def test_balanced_weights_make_every_class_weigh_the_same() -> None:
    y = [0] * 6 + [1] * 3 + [2]
    found = weights(y, balanced=True)
    assert found == pytest.approx((10 / 18, 10 / 9, 10 / 3))
    assert [found[k] * y.count(k) for k in range(3)] == pytest.approx([10 / 3] * 3)
    steps = torch.tensor([[0, -100, 1], [0, 0, -100]])
    assert weights(steps, balanced=True) == pytest.approx((4 / 9, 4 / 3, 0.0))
    assert weights(y) == ()
    assert weights(y, class_weights=(1.0, 2.0, 3.0)) == (1.0, 2.0, 3.0)


def test_the_weighted_loss_is_a_weighted_mean() -> None:
    logits, y = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0, 0, 1, -100, 0])
    given = (0.5, 2.0, 4.0)
    found = cross_entropy(logits, y, TrainingSection(epochs=1, class_weights=given))
    total = weight = 0.0
    for row, k in zip(logits.tolist(), y.tolist(), strict=True):
        if k >= 0:
            total += given[k] * (np.log(np.exp(row).sum()) - row[k])
            weight += given[k]
    assert found.item() == pytest.approx(total / weight, rel=1e-5)


@pytest.mark.parametrize("step", [bptt_step, eprop_step, fptt_step])
def test_equal_weights_change_nothing_and_others_the_update(step: Any) -> None:
    x, y = torch.rand(4, 6, 3, generator=torch.Generator().manual_seed(0)) * 2, torch.arange(6) % 3
    found = []
    for given in ((), (2.0, 2.0, 2.0), (9.0, 1.0, 1.0)):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(3, 5), LIF(5), Readout(5, 3))
        step(model, torch.optim.SGD(model.parameters(), 0.1), x, y, TrainingSection(epochs=1, class_weights=given))
        found.append(model[2].weight.detach())
    torch.testing.assert_close(found[0], found[1])
    assert (found[0] - found[2]).abs().max() > 1e-3


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_e_prop_weighs_as_the_loss_of_every_step_does(smoothing: float) -> None:
    """Its update is the gradient of the weighted mean over all steps with a label, computed here by autograd."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.rand(5, 4, 3, generator=draw), torch.randint(-1, 3, (5, 4), generator=draw)
    given = (0.5, 2.0, 4.0)
    readout = Readout(3, 3)
    options = EPropOptions(class_weights=given, label_smoothing=smoothing)
    found = EPropLearner(torch.nn.Sequential(readout), None, options).sequence(x, y)
    potential = readout.sequence(x)
    section = TrainingSection(epochs=1, class_weights=given, label_smoothing=smoothing)
    wanted = cross_entropy(potential.flatten(0, 1), y.flatten().where(y.flatten() >= 0, torch.tensor(-100)), section)
    assert found.loss == pytest.approx(wanted.item(), rel=1e-5)
    gradient = readout.weight.grad
    assert gradient is not None
    torch.testing.assert_close(gradient, torch.autograd.grad(wanted, readout.weight)[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weights": (1.0, -1.0)}, "finite numbers from 0 on expected"),
        ({"class_weights": (1.0,), "loss": "mean_square"}, "class_weights weigh classes; loss 'mean_square' has none"),
    ],
)
def test_e_prop_refuses_weights_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TclifError, match=message):
        EPropOptions(**options)


@pytest.mark.parametrize(
    ("target", "message"), [(torch.zeros(2, dtype=torch.long), "3 outputs"), (torch.zeros(2, 3), "real targets")]
)
def test_e_prop_needs_a_weight_per_output(target: torch.Tensor, message: str) -> None:
    learner = EPropLearner(torch.nn.Sequential(Readout(3, 3)), None, EPropOptions(class_weights=(1.0, 2.0)))
    with pytest.raises(TclifError, match=message):
        learner.sequence(torch.rand(4, 2, 3), target)


def test_a_run_takes_them_from_the_training_samples_that_are_left(tmp_path: Path) -> None:
    y = np.array([0] * 60 + [1] * 30 + [2] * 10)
    np.savez(tmp_path / "uneven.npz", x=np.random.default_rng(0).random((100, 4, 3)).astype(np.float32), y=y)
    run = Run(
        toy_recipe(tmp_path / "uneven.npz", balanced=True, validation=0.25), load_task(str(tmp_path / "uneven.npz"))
    )
    counts = np.bincount(run.train.y.numpy())
    assert counts.sum() < 70
    assert run.training.class_weights == pytest.approx(counts.sum() / 3 / counts)
    assert run.recipe.training.class_weights == (), "the recipe is kept as it was written"


def test_as_many_weights_as_classes_are_needed(toy: Path) -> None:
    with pytest.raises(TrainingError, match="class_weights: has 2 weights; the task has 3 classes: 0, 1, 2"):
        Run(toy_recipe(toy, class_weights=[1.0, 2.0]), load_task(str(toy)))
    with pytest.raises(TrainingError, match="the targets are values"):
        weights(torch.zeros(3, 2), balanced=True)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"balanced": True, "class_weights": [1.0]}, "balanced and class_weights both say how classes weigh"),
        (
            {"balanced": True, "rule": "eprop", "eprop": {"loss": "mean_square"}},
            'balanced: is for eprop.loss = "cross_entropy"',
        ),
        ({"class_weights": [1.0, 0.0]}, r"training.class_weights\[1\] = 0.0: should be greater than 0"),
        ({"class_weights": [1.0], "loss": "ce_rate"}, "class_weights: is for loss"),
    ],
)
def test_what_cannot_be_is_refused(toy: Path, training: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        toy_recipe(toy, **training)
