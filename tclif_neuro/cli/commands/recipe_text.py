"""A recipe as TOML text, which a .net file carries."""

from __future__ import annotations

from pydantic import BaseModel

from tclif_neuro.data.toml import toml_text


def recipe_text(recipe: BaseModel) -> str:
    """TOML that reads as this very recipe, defaults written out."""
    return toml_text(recipe.model_dump(mode="json", exclude_none=True))
