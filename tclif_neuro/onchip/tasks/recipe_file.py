"""Recipes of on-chip learning from files, and errors that say where one is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tclif_neuro.data.toml import explain, read_toml
from tclif_neuro.errors import TclifError
from tclif_neuro.onchip.tasks.recipe import LearnRecipe


class LearnRecipeError(TclifError, ValueError):
    """A recipe that cannot be used; the message names the file, the key, the value and what is allowed."""


def load_learn_recipe(path: str | Path) -> LearnRecipe:
    """The recipe in a TOML file, its paths relative to that. Raises `LearnRecipeError` at the first thing wrong."""
    return parse_learn_recipe(read_toml(path, LearnRecipeError), str(path)).placed(Path(path).parent)


def parse_learn_recipe(data: dict[str, Any], source: str = "recipe") -> LearnRecipe:
    """The recipe in nested containers, as a TOML file or a checkpoint has it. source: what errors call it."""
    try:
        return LearnRecipe.model_validate(data)
    except ValidationError as error:
        raise LearnRecipeError(f"{source}: {explain(error, LearnRecipe)}") from None


def changed(recipe: LearnRecipe, **changes: Any) -> LearnRecipe:
    """`recipe` with other values, by dotted keys: `changed(recipe, **{"learning.update_every": 4})`.

    Raises `LearnRecipeError` on an impossible one.
    """
    data = recipe.model_dump(mode="json")
    for dotted, value in changes.items():
        *path, key = dotted.split(".")
        table = data
        for name in path:
            table = table.setdefault(name, {})
        table[key] = value
    return parse_learn_recipe(data)
