"""Real data: the demonstration recipe does, on the digits, what it says it does."""

from pathlib import Path

import pytest

from tclif_neuro.learning import load_recipe, train

pytestmark = [pytest.mark.slow, pytest.mark.trains]


def test_a_few_epochs_of_the_demonstration_learn_the_digits(tmp_path: Path, seed: int) -> None:
    recipe = load_recipe(Path(__file__).parents[2] / "models" / "digits-rows-demo.toml")
    short = recipe.training.model_copy(update={"epochs": 5, "seed": seed})
    result = train(recipe.model_copy(update={"training": short}), tmp_path)
    assert result.test_accuracy > 0.4, "ten classes: chance is 0.1"
