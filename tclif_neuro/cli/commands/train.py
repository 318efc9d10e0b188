"""`tclif train`: a recipe into a run folder."""

from __future__ import annotations

from pathlib import Path

from tclif_neuro.learning.recipe.file import load_recipe, parse_recipe
from tclif_neuro.learning.recipe.sections import Recipe
from tclif_neuro.learning.training.run import Report
from tclif_neuro.learning.training.train import TrainResult, train
from tclif_neuro.memory import keep_large_blocks

RUNS = Path("runs")


def train_recipe(
    recipe: Path,
    out: Path | None = None,
    *,
    resume: bool = True,
    epochs: int | None = None,
    rule: str | None = None,
    tensorboard: bool = False,
    data_dir: Path | None = None,
    report: Report | None = None,
) -> TrainResult:
    """Train the recipe in a file in the folder `out` (None: runs/ and the recipe's name).

    epochs, rule: instead of the recipe's.
    """
    keep_large_blocks()
    return train(
        with_training(load_recipe(recipe), epochs=epochs, rule=rule),
        RUNS / recipe.stem if out is None else out,
        resume=resume,
        progress=report,
        data_dir=data_dir,
        tensorboard=tensorboard,
    )


def with_training(recipe: Recipe, **changes: object) -> Recipe:
    """`recipe` with other values of [training]; None: its own. Raises `RecipeError` on an impossible one."""
    given = {key: value for key, value in changes.items() if value is not None}
    if not given:
        return recipe
    data = recipe.model_dump(mode="json")
    return parse_recipe({**data, "training": {**data["training"], **given}})
