"""What the tables say of a result."""

from pathlib import Path

import pytest

from tclif_neuro.learning.training.train import TrainResult
from tclif_neuro.show.sheets import train_sheet


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("measure", ["accuracy", "error"])
def test_a_training_says_whether_its_figures_are_of_every_step(measure: str, per_step: bool) -> None:
    result = TrainResult(
        epoch=1,
        epochs=2,
        **{f"train_{measure}": 0.5, f"test_{measure}": 0.25},
        per_step=per_step,
        test_set="x_test of own.npz",
        parameters=3,
        device="cpu",
        seconds=0.5,
        checkpoint=Path("checkpoint.npz"),
    )
    names = [name for name, _ in train_sheet(result).rows]
    of = " per step" if per_step else ""
    assert [name for name in names if measure in name] == [f"training {measure}{of}", f"test {measure}{of}"]
