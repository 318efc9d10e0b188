"""A recipe as TOML text, which a .net file carries."""

from __future__ import annotations

import json
from typing import Any

from tclif_neuro.learning.recipe.sections import Recipe


def recipe_text(recipe: Recipe) -> str:
    """TOML that reads as this very recipe, defaults written out."""
    return _table(recipe.model_dump(mode="json", exclude_none=True)).lstrip("\n")


def _table(table: dict[str, Any], path: str = "") -> str:
    """The table's own keys, then the tables in it, each under its header."""
    lines = [f"{key} = {_value(value)}\n" for key, value in table.items() if not _is_table(value)]
    for key, value in table.items():
        name = f"{path}.{key}".lstrip(".")
        if isinstance(value, dict):
            lines.append(f"\n[{name}]\n{_table(value, name)}")
        elif _is_table(value):
            lines += [f"\n[[{name}]]\n{_table(item, name)}" for item in value]
    return "".join(lines)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value))


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float):
        return repr(value)
    # JSON's strings, integers and booleans are TOML's, but for the one control character that JSON lets through.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
