"""Recipes of on-chip learning from files, and errors that say where one is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tclif_neuro.errors import TclifError
from tclif_neuro.learning.recipe.file import most_telling, nearest, read_toml
from tclif_neuro.learning.recipe.sections import Section
from tclif_neuro.onchip.tasks import recipe as sections
from tclif_neuro.onchip.tasks.recipe import TASKS, LearnRecipe

_SECTIONS: dict[str, type[Section]] = {
    "": LearnRecipe,
    "task.digits-rows": sections.DigitsSection,
    "task.new-class": sections.NewClassSection,
    "task.drift": sections.DriftSection,
    "task.cue": sections.CueSection,
    "network": sections.NetworkSection,
    "learning": sections.LearningSection,
    "learning.hidden": sections.HiddenSection,
    "learning.readout": sections.ReadoutSection,
}


class LearnRecipeError(TclifError, ValueError):
    """A recipe that cannot be used; the message names the file, the key, the value and what is allowed."""


def load_learn_recipe(path: str | Path) -> LearnRecipe:
    """The recipe in a TOML file. Raises `LearnRecipeError` at the first thing that is wrong with it."""
    return parse_learn_recipe(read_toml(path, LearnRecipeError), str(path))


def parse_learn_recipe(data: dict[str, Any], source: str = "recipe") -> LearnRecipe:
    """The recipe in nested containers, as a TOML file or a checkpoint has it. source: what errors call it."""
    try:
        return LearnRecipe.model_validate(data)
    except ValidationError as error:
        raise LearnRecipeError(f"{source}: {_explain(most_telling(error))}") from None


def changed(recipe: LearnRecipe, **changes: Any) -> LearnRecipe:
    """`recipe` with other values, by dotted keys: `changed(recipe, **{"learning.epoch": 4})`.

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


def _explain(error: ErrorDetails) -> str:
    loc, kind, context = error["loc"], error["type"], error.get("ctx", {})
    key, value = _dotted(loc), error["input"]
    if kind == "extra_forbidden":
        allowed = sorted(_SECTIONS[".".join(map(str, loc[:-1]))].model_fields)
        hint = nearest(str(loc[-1]), allowed)
        return f"{key} = {value!r}: there is no such key;{hint} allowed are {', '.join(allowed)}"
    if kind == "missing":
        return f"{key}: is missing"
    if kind == "union_tag_not_found":
        return f"{key}.name: is missing; one of {', '.join(TASKS)}"
    if kind == "union_tag_invalid":
        tag = str(context["tag"])
        return f"{key}.name = {tag!r}:{nearest(tag, TASKS)} one of {', '.join(TASKS)} expected"
    if kind == "literal_error":
        return f"{key} = {value!r}: {context['expected']} expected"
    if kind == "value_error":
        return f"{key}: {context['error']}"
    if kind in ("model_type", "model_attributes_type"):
        return f"{key} = {value!r}: a table expected"
    return f"{key} = {value!r}: {error['msg'].replace('Input should', 'should')}"


def _dotted(loc: tuple[int | str, ...]) -> str:
    """("task", "cue", "silence") -> task.silence: the union's tag is no key of the file."""
    keys = [part for i, part in enumerate(loc) if not (i == 1 and part in TASKS)]
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".") or "the file"
