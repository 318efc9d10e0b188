"""Recipes from files, and errors that say where a recipe is wrong and what would be right."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tclif_neuro.errors import TclifError
from tclif_neuro.learning.recipe import sections
from tclif_neuro.learning.recipe.sections import Recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_SECTIONS: dict[tuple[str, ...], type[sections.Section]] = {
    (): sections.Recipe,
    ("task",): sections.TaskSection,
    ("task", "encoding"): sections.EncodingSection,
    ("model",): sections.ModelSection,
    ("model", "layers", "tclif"): sections.TCLIFSection,
    ("model", "layers", "relaxed"): sections.RelaxedSection,
    ("model", "layers", "adaptive"): sections.AdaptiveSection,
    ("model", "layers", "adaptive", "schedule"): sections.ScheduleSection,
    ("model", "layers", "lif"): sections.LIFSection,
    ("model", "layers", "liquid"): sections.LiquidSection,
    ("model", "readout"): sections.ReadoutSection,
    ("training",): sections.TrainingSection,
    ("training", "eprop"): sections.EPropSection,
    ("training", "fptt"): sections.FPTTSection,
    ("training", "rates"): sections.RatesSection,
}
LAYER_TYPES = tuple(path[-1] for path in _SECTIONS if path[:2] == ("model", "layers") and len(path) == 3)


class RecipeError(TclifError, ValueError):
    """A recipe that cannot be used; the message names the file, the key, the value and what is allowed."""


def load_recipe(path: str | Path) -> Recipe:
    """The recipe in a TOML file. Raises `RecipeError` at the first thing that is wrong with it."""
    return parse_recipe(read_toml(path, RecipeError), str(path))


def read_toml(path: str | Path, failure: type[TclifError]) -> dict[str, Any]:
    """What a TOML file holds. Raises `failure` if it cannot be read or is none."""
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise failure(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise failure(f"{path}: is not TOML: {error}") from error


def parse_recipe(data: dict[str, Any], source: str = "recipe") -> Recipe:
    """The recipe in nested containers, as a TOML file or a checkpoint has it. source: what errors call it."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise RecipeError(f"{source}: {_explain(most_telling(error))}") from None


def most_telling(error: ValidationError) -> ErrorDetails:
    """The mistake to report. A misspelt key is also a missing one: the misspelling says more."""
    return min(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")


def _explain(error: ErrorDetails) -> str:
    loc, kind, context = error["loc"], error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{_dotted(loc)} = {error['input']!r}: there is no such key{_allowed_keys(loc)}"
    if kind == "missing":
        return f"{_dotted(loc)}: is missing"
    if kind == "union_tag_not_found":
        return f"{_dotted((*loc, 'type'))}: is missing; one of {', '.join(LAYER_TYPES)}"
    if kind == "union_tag_invalid":
        tag = str(context["tag"])
        types = ", ".join(LAYER_TYPES)
        return f"{_dotted((*loc, 'type'))} = {tag!r}:{nearest(tag, LAYER_TYPES)} one of {types} expected"
    if kind == "literal_error":
        return f"{_dotted(loc)} = {error['input']!r}: {context['expected']} expected"
    if kind == "value_error":
        return f"{_dotted(loc)}: {context['error']}"
    if kind in ("model_type", "model_attributes_type"):
        return f"{_dotted(loc)} = {error['input']!r}: a table expected"
    if kind in ("tuple_type", "too_short"):
        return f"{_dotted(loc)} = {error['input']!r}: a list of at least one table expected, [[{_dotted(loc)}]]"
    return f"{_dotted(loc)} = {error['input']!r}: {error['msg'].replace('Input should', 'should')}"


def _dotted(loc: tuple[int | str, ...]) -> str:
    """("model", "layers", 0, "tclif", "size") -> model.layers[0].size: the union's tag is no key of the file."""
    keys = [str(part) for i, part in enumerate(loc) if not (i and isinstance(loc[i - 1], int) and part in LAYER_TYPES)]
    return "".join(f"[{key}]" if key.isdigit() else f".{key}" for key in keys).lstrip(".") or "the file"


def _allowed_keys(loc: tuple[int | str, ...]) -> str:
    section = _SECTIONS[tuple(part for part in loc[:-1] if isinstance(part, str))]
    keys = sorted(section.model_fields)
    return f";{nearest(str(loc[-1]), keys)} allowed are {', '.join(keys)}"


def nearest(word: str, words: list[str] | tuple[str, ...]) -> str:
    """A question that offers the one of `words` that is most like `word`, or nothing."""
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f" did you mean {near[0]!r}?" if near else ""
