"""Write docs/recipes.md: every key of the two recipes, with its type, default and meaning.

    python -m scripts.recipe_reference

Keys, types and defaults are those of the models that check a recipe; the meaning is the text under the key.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tclif_neuro.data.spec import TaskSpec
from tclif_neuro.learning.recipe.sections import Recipe
from tclif_neuro.onchip.tasks.recipe import LearnRecipe

PAGE = Path(__file__).resolve().parent.parent / "docs" / "recipes.md"
HEAD = """# Every key of a recipe

Written by `python -m scripts.recipe_reference` from the models that check a recipe. A key that is
left out has the default below; an unknown key, or a value of another type, is an error that names
the key and what is allowed. The words are those of the [glossary](glossary.md).
"""
PARTS = (
    ("Training", "For `tclif train`.", Recipe),
    ("On-chip learning", "For `tclif learn`; [learning on the chip's terms](learn.md).", LearnRecipe),
)
TABLE = "| key | type | default | meaning |\n|---|---|---|---|"
BOUNDS = {"ge": ">= {}", "gt": "> {}", "le": "<= {}", "lt": "< {}"}
NAMES: dict[type, str] = {int: "integer", float: "number", str: "text", bool: "true or false"}
NAMES |= {TaskSpec: "text, or a table of the keys of `[task]` in training"}


def page() -> str:
    """The whole page, as Markdown."""
    parts = [HEAD]
    for title, use, recipe in PARTS:
        parts.append(f"## {title}\n\n{use}\n")
        parts.extend(
            f"### {heading}\n\n{TABLE}\n" + "".join(f"{row}\n" for row in rows) for heading, rows in tables(recipe)
        )
    return "\n".join(parts)


def tables(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, list[str]]]:
    """The heading and the rows of each table of a recipe, in the order of the file.

    Keys that all tables of a union share come first, in a table of their own.
    """
    for key, field in model.model_fields.items():
        if path and bare(field.annotation) is TaskSpec:
            continue  # a row of its table says so
        full = f"{path}.{key}".lstrip(".")
        heading = f"`[[{full}]]`" if get_origin(bare(field.annotation)) is tuple else f"`[{full}]`"
        inner = models_in(field.annotation)
        shared = [row for row in rows_of(inner[0]) if all(row in rows_of(m) for m in inner)] if len(inner) > 1 else []
        if shared:
            yield f"{heading}, every {tag_of(inner[0])[0]}", shared
        for table in inner:
            if own := [row for row in rows_of(table) if row not in shared]:
                yield (f'{heading}, {tag_of(table)[0]} = "{tag_of(table)[1]}"' if len(inner) > 1 else heading), own
            yield from tables(table, full)


def rows_of(model: type[BaseModel]) -> list[str]:
    """The keys of one table that are no tables themselves, a row each."""
    meanings = documented(model)
    return [
        f"| `{key}` | {type_of(field)} | {default_of(field)} | {meanings[key]} |"
        for key, field in model.model_fields.items()
        if not models_in(field.annotation) or bare(field.annotation) is TaskSpec
    ]


def documented(model: type[BaseModel]) -> dict[str, str]:
    """The text under each key of a model and of those it derives from."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if not issubclass(kind, BaseModel) or kind is BaseModel:
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
        assert isinstance(body, ast.ClassDef)
        for key, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(key, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[ast.unparse(key.target)] = str(text.value.value)
    return found


def type_of(field: FieldInfo) -> str:
    """The type of a key as a user would write it: "integer >= 1", or the values that it may have."""
    kind = bare(field.annotation)
    bounds = [text for note in (*field.metadata, *notes(field.annotation)) for text in bounds_of(note)]
    if get_origin(kind) is Literal:
        return ", ".join(f"`{literal(value)}`" for value in get_args(kind))
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        return " ".join(["list of", NAMES[bare(inner)] + "s", *(b for n in notes(inner) for b in bounds_of(n))])
    if get_origin(kind) is dict:
        return "table"
    return f"{NAMES[kind]} {', '.join(bounds)}".strip()


def default_of(field: FieldInfo) -> str:
    """The default of a key."""
    if field.is_required():
        return "required"
    if field.default is None:
        return "none"
    if isinstance(field.default, TaskSpec):
        return f'`"{field.default.name}"`'
    return f"`{literal(list(field.default) if isinstance(field.default, tuple) else field.default)}`"


def literal(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value}"


def bare(kind: Any) -> Any:
    """A type without its notes and without None."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    members = [m for m in get_args(kind) if m is not NoneType] if get_origin(kind) in (Union, UnionType) else []
    return bare(members[0]) if len(members) == 1 else kind


def notes(kind: Any) -> tuple[Any, ...]:
    """The notes on a type, or on the only member of a union that is not None."""
    if get_origin(kind) is Annotated:
        return get_args(kind)[1:]
    return tuple(note for m in get_args(kind) for note in notes(m)) if get_origin(kind) in (Union, UnionType) else ()


def bounds_of(note: Any) -> list[str]:
    """The bounds in a note, which is one of annotated_types or pydantic's field of several."""
    found = [text.format(value) for k, text in BOUNDS.items() if (value := getattr(note, k, None)) is not None]
    return found + [text for inner in getattr(note, "metadata", ()) for text in bounds_of(inner)]


def models_in(kind: Any) -> list[type[BaseModel]]:
    """The tables that a key may hold: a model, or those of a union or of a list."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [] if get_origin(kind) is Literal else [m for inner in get_args(kind) for m in models_in(inner)]


def tag_of(model: type[BaseModel]) -> tuple[str, str]:
    """The required key of one value that tells a table of a union from the others, and its value."""
    for key, field in model.model_fields.items():
        values = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        if field.is_required() and len(values) == 1:
            return key, str(values[0])
    raise ValueError(f"{model.__name__}: no key tells it from others")


if __name__ == "__main__":
    PAGE.write_text(page())
