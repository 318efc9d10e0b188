"""A recipe as TOML text, which a .net file carries."""

from __future__ import annotations

from tclif_neuro.data.toml import toml_text
from tclif_neuro.learning.recipe.sections import Recipe


def recipe_text(recipe: Recipe) -> str:
    """TOML that reads as this very recipe, defaults written out."""
    return toml_text(recipe.model_dump(mode="json", exclude_none=True))
