"""`tclif train`: a recipe into a run folder."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tclif_neuro.learning.recipe.file import load_recipe, parse_recipe
from tclif_neuro.learning.recipe.sections import Recipe
from tclif_neuro.learning.training.run import Report
from tclif_neuro.learning.training.train import TrainResult, train
from tclif_neuro.memory import keep_large_blocks

RUNS = Path("runs")


@dataclass(frozen=True, kw_only=True)
class SeedsResult:
    """One recipe trained with several seeds: a run for each, and their test accuracy, or of real targets error.

    spread: the standard deviation between the runs (n - 1), None of one run.
    """

    seeds: tuple[int, ...]
    runs: tuple[TrainResult, ...]
    mean_test_accuracy: float | None
    spread_test_accuracy: float | None
    mean_test_error: float | None
    spread_test_error: float | None


def train_recipe(  # noqa: PLR0913 (the options of the command)
    recipe: Path,
    out: Path | None = None,
    *,
    resume: bool = True,
    epochs: int | None = None,
    rule: str | None = None,
    tensorboard: bool = False,
    data_dir: Path | None = None,
    device: str = "cpu",
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
        device=device,
    )


def train_seeds(  # noqa: PLR0913 (the options of the command)
    recipe: Path,
    seeds: Sequence[int],
    out: Path | None = None,
    *,
    resume: bool = True,
    epochs: int | None = None,
    rule: str | None = None,
    data_dir: Path | None = None,
    device: str = "cpu",
    report: Report | None = None,
) -> SeedsResult:
    """Train the recipe once for each of `seeds`, in `out`/seed-0 and so on; the split of the data stays the same."""
    keep_large_blocks()
    asked, folder = load_recipe(recipe), RUNS / recipe.stem if out is None else out
    runs = tuple(
        train(
            with_training(asked, epochs=epochs, rule=rule, seed=seed),
            folder / f"seed-{seed}",
            resume=resume,
            progress=report,
            data_dir=data_dir,
            device=device,
        )
        for seed in seeds
    )
    accuracies = [run.test_accuracy for run in runs if run.test_accuracy is not None]
    errors = [run.test_error for run in runs if run.test_error is not None]
    return SeedsResult(
        seeds=tuple(seeds),
        runs=runs,
        mean_test_accuracy=statistics.mean(accuracies) if accuracies else None,
        spread_test_accuracy=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        mean_test_error=statistics.mean(errors) if errors else None,
        spread_test_error=statistics.stdev(errors) if len(errors) > 1 else None,
    )


def with_training(recipe: Recipe, **changes: object) -> Recipe:
    """`recipe` with other values of [training]; None: its own. Raises `RecipeError` on an impossible one."""
    given = {key: value for key, value in changes.items() if value is not None}
    if not given:
        return recipe
    data = recipe.model_dump(mode="json")
    return parse_recipe({**data, "training": {**data["training"], **given}}, custom=True)
