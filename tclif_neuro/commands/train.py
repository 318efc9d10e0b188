"""`tclif train`: a recipe into a run folder."""

from __future__ import annotations

from pathlib import Path

from tclif_neuro.learning.recipe import Recipe
from tclif_neuro.learning.recipe_file import load_recipe, parse_recipe
from tclif_neuro.learning.run import Report
from tclif_neuro.learning.train import TrainResult, train
from tclif_neuro.memory import keep_large_blocks

RUNS = Path("runs")


def train_recipe(
    recipe: Path,
    out: Path | None = None,
    *,
    resume: bool = True,
    epochs: int | None = None,
    tensorboard: bool = False,
    data_dir: Path | None = None,
    report: Report | None = None,
) -> TrainResult:
    """Train the recipe in a file, `epochs` epochs if given, in the folder `out` (None: runs/ and the recipe's name)."""
    keep_large_blocks()
    return train(
        with_epochs(load_recipe(recipe), epochs),
        RUNS / recipe.stem if out is None else out,
        resume=resume,
        progress=report,
        data_dir=data_dir,
        tensorboard=tensorboard,
    )


def with_epochs(recipe: Recipe, epochs: int | None) -> Recipe:
    """`recipe` with another number of epochs."""
    if epochs is None:
        return recipe
    data = recipe.model_dump(mode="json")
    data["training"]["epochs"] = epochs
    return parse_recipe(data)
