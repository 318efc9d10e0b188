"""The ECG of the QT database, a class per step: the networks that ship, and their recipe, in float and integers."""

import os
from pathlib import Path

import numpy as np
import pytest

import tclif_neuro as tn
from tclif_neuro.data import load_task
from tclif_neuro.learning.recipe.file import load_recipe

MODELS = Path(__file__).resolve().parents[2] / "models"
DATA = Path(os.environ.get("TCLIF_DATA", "no such folder"))
needs_ecg = pytest.mark.skipif(
    not (DATA / "ecg" / "QTDB_test.mat").is_file(), reason="set TCLIF_DATA to a folder with the two files of ecg/"
)


@pytest.fixture(scope="module")
def ecg():
    return load_task("ecg")


def per_step(net, x, y, **options):
    """The share of labelled steps whose class has the readout's highest potential; and that potential, [T, B, K]."""
    potential = tn.run(net, x, record=True, **options).layers[-1].soma
    known = y >= 0
    return float((potential.argmax(-1) == y)[known].mean()), potential


@needs_ecg
@pytest.mark.parametrize(("name", "least"), [("ecg-lif", 0.83), ("ecg-tclif", 0.81)])
def test_the_networks_that_ship_know_the_wave_of_every_step(ecg, name, least):
    x, y = ecg.x_test.swapaxes(0, 1), ecg.y_test.T
    net = tn.load(MODELS / f"{name}.net")
    accuracy, potential = per_step(net, x, y)
    assert accuracy >= least
    _, same = per_step(net, x[:, :2], y[:, :2], backend="reference")
    np.testing.assert_array_equal(same, potential[:, :2])


@pytest.mark.slow
@pytest.mark.trains
@needs_ecg
def test_its_recipe_learns_every_step_and_integers_follow(ecg, tmp_path, seed):
    recipe = load_recipe(MODELS / "ecg-lif.toml")
    training = recipe.training.model_copy(update={"epochs": 2, "seed": recipe.training.seed + seed})
    trained = tn.train(recipe.model_copy(update={"training": training}), tmp_path)
    assert trained.per_step
    x, y = ecg.x_test.swapaxes(0, 1), ecg.y_test.T
    model, *_ = tn.load_run(tmp_path)
    net = tn.quantize(model, calibration=ecg.x_train[:64].swapaxes(0, 1))
    commonest = np.bincount(y[y >= 0]).max() / (y >= 0).sum()
    accuracy, _ = per_step(net, x, y)
    assert trained.test_accuracy > commonest + 0.1, "two epochs are far above always the commonest wave"
    assert abs(accuracy - trained.test_accuracy) < 0.03
