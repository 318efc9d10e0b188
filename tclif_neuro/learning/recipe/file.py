"""Recipes from files, and errors that say where a recipe is wrong and what would be right."""

from __future__ import annotations

from collections.abc import Iterator
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
    recipe = parse_recipe(read_toml(path, RecipeError), str(path), custom=True)
    return recipe.placed(Path(path).parent)


def parse_recipe(data: dict[str, Any], source: str = "recipe", *, custom: bool = False) -> Recipe:
    """The recipe in nested containers, as a TOML file or a checkpoint has it. source: what errors call it.

    custom: whether it may name neurons of other packages, whose code then runs: of a file that the user names.
    """
    try:
        return Recipe.model_validate(data, context={"custom": custom})
    except ValidationError as error:
        raise RecipeError(f"{source}: {explain(error, Recipe)}") from None


def differences(there: Any, here: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The keys under which two nested containers differ, and their values."""
    if isinstance(there, dict) and isinstance(here, dict):
        for name in {**there, **here}:
            yield from differences(there.get(name), here.get(name), f"{key}.{name}".lstrip("."))
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for i, pair in enumerate(zip(there, here, strict=True)):
            yield from differences(*pair, f"{key}[{i}]")
    elif there != here:
        yield key, there, here
