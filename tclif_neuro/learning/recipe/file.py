"""Recipes from files, and errors that say where a recipe is wrong and what would be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tclif_neuro.data.toml import explain, read_toml
from tclif_neuro.errors import TclifError
from tclif_neuro.learning.recipe.sections import Recipe


class RecipeError(TclifError, ValueError):
    """A recipe that cannot be used; the message names the file, the key, the value and what is allowed."""


def load_recipe(path: str | Path) -> Recipe:
    """The recipe in a TOML file, its paths relative to that. Raises `RecipeError` at the first thing wrong with it."""
    recipe = parse_recipe(read_toml(path, RecipeError), str(path))
    return recipe.model_copy(update={"task": recipe.task.placed(Path(path).parent)})


def parse_recipe(data: dict[str, Any], source: str = "recipe") -> Recipe:
    """The recipe in nested containers, as a TOML file or a checkpoint has it. source: what errors call it."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise RecipeError(f"{source}: {explain(error, Recipe)}") from None
