"""Real data: the demonstration recipe does, on the digits, what it says it does."""

from pathlib import Path

import pytest

from tclif_neuro.learning import load_recipe, train

pytestmark = pytest.mark.slow


def test_a_few_epochs_of_the_demonstration_learn_the_digits(tmp_path: Path) -> None:
    recipe = load_recipe(Path(__file__).parents[2] / "models" / "digits-rows-demo.toml")
    short = recipe.training.model_copy(update={"epochs": 5})
    result = train(recipe.model_copy(update={"training": short}), tmp_path)
    assert result.test_accuracy > 0.7
