"""The learning rate of every update: torch's schedulers are the judge."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from tclif_neuro.learning import RecipeError, parse_recipe
from tclif_neuro.learning.recipe.training import TrainingSection
from tclif_neuro.learning.training.schedule import learning_rate

EPOCHS, LR = 7, 0.5


def rates(batches: int, **training: Any) -> list[float]:
    section = TrainingSection.model_validate({"epochs": EPOCHS, "lr": LR, **training})
    return [learning_rate(section, update, batches) for update in range(EPOCHS * batches)]


def of_torch(batches: int, per_epoch: Any = None, per_update: Any = None) -> list[float]:
    """The rates of schedulers that step after every epoch and after every update."""
    optimiser = torch.optim.SGD([torch.zeros(1)], LR)
    slow = per_epoch and per_epoch(optimiser)
    fast = per_update and per_update(optimiser)
    found = []
    for _ in range(EPOCHS):
        for _ in range(batches):
            found.append(optimiser.param_groups[0]["lr"])
            optimiser.step()
            if fast and len(found) < EPOCHS * batches:
                fast.step()
        if slow:
            slow.step()
    return found


def test_each_equals_the_scheduler_of_torch() -> None:
    schedule = {"every": 3, "factor": 0.2, "milestones": [2, 3, 6]}
    judges = {
        "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, EPOCHS),
        "step": lambda o: lr_scheduler.StepLR(o, 3, 0.2),
        "multistep": lambda o: lr_scheduler.MultiStepLR(o, [2, 3, 6], 0.2),
    }
    for name, judge in judges.items():
        assert rates(4, scheduler=name, schedule=schedule) == pytest.approx(of_torch(4, judge), rel=1e-9, abs=1e-12)
    assert rates(4, scheduler="constant") == [LR] * 28


@given(batches=st.integers(1, 9), rise=st.floats(0.05, 0.95))
def test_one_cycle_is_that_of_torch_update_by_update(batches: int, rise: float) -> None:
    def judge(optimiser: torch.optim.Optimizer) -> Any:
        return lr_scheduler.OneCycleLR(
            optimiser, LR, epochs=EPOCHS, steps_per_epoch=batches, pct_start=rise, cycle_momentum=False
        )

    found = rates(batches, scheduler="onecycle", schedule={"rise": rise})
    assert found == pytest.approx(of_torch(batches, per_update=judge), rel=1e-9)
    assert found[-1] == pytest.approx(LR / 25e4)


def test_a_one_cycle_of_one_update_ends_where_it_begins() -> None:
    section = TrainingSection(epochs=1, lr=LR, scheduler="onecycle")
    assert learning_rate(section, 0, 1) == pytest.approx(LR / 25e4)
    half = TrainingSection.model_validate({"epochs": 2, "lr": LR, "scheduler": "onecycle", "schedule": {"rise": 0.5}})
    assert learning_rate(half, 0, 1) == LR, "the peak is the first update"


def test_the_warm_up_is_linear_in_updates_and_multiplies_the_schedule() -> None:
    def judge(optimiser: torch.optim.Optimizer) -> Any:
        return lr_scheduler.LinearLR(optimiser, start_factor=1 / 10, total_iters=9)

    warm = {"warmup": 2.5}
    assert rates(4, scheduler="constant", schedule=warm) == pytest.approx(of_torch(4, per_update=judge))
    cosine, both = rates(4, scheduler="cosine"), rates(4, scheduler="cosine", schedule=warm)
    assert both == pytest.approx([c * min(1, (i + 1) / 10) for i, c in enumerate(cosine)])
    assert rates(4, scheduler="constant", schedule={"warmup": 0.0}) == [LR] * 28
    assert all(map(math.isfinite, both))


WRONG = {
    "factor": ({"schedule": {"factor": 1.5}}, "training.schedule.factor = 1.5: should be less than 1"),
    "falling": ({"schedule": {"milestones": [3, 2]}}, r"milestones = \[3, 2\]: rising numbers expected"),
    "no milestones": ({"scheduler": "multistep"}, 'scheduler = "multistep" needs schedule.milestones'),
    "two rises": (
        {"scheduler": "onecycle", "schedule": {"warmup": 1.0}},
        'scheduler = "onecycle" rises by itself; schedule.warmup = 0',
    ),
    "momentum": ({"momentum": 0.9}, 'momentum and nesterov are for optimiser = "sgd"; the optimiser is "adam"'),
    "nesterov": ({"optimiser": "sgd", "nesterov": True}, "nesterov needs a momentum above 0"),
    "patience": ({"patience": -1}, "training.patience = -1: should be greater"),
}


@pytest.mark.parametrize(("training", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_is_refused(training: dict[str, Any], message: str) -> None:
    layers = [{"type": "lif", "size": 3}]
    with pytest.raises(RecipeError, match=message):
        parse_recipe({"task": {"name": "x"}, "model": {"layers": layers}, "training": {"epochs": 2, **training}})
