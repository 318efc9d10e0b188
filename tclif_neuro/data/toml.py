"""TOML from outside, and sentences that say where it does not fit its model and what would be right.

data = read_toml("digits.toml", RecipeError)
try:
    Recipe.model_validate(data)
except ValidationError as error:
    raise RecipeError(f"digits.toml: {explain(error, Recipe)}") from None
"""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterable
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from tclif_neuro.errors import TclifError
from tclif_neuro.files import StrPath, read_regular
from tclif_neuro.text import MAX_QUOTED, check_nesting, cut, quoted

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 2**20  # a recipe has about a thousand


def read_toml(path: StrPath, failure: type[TclifError]) -> dict[str, Any]:
    """The tables in a TOML file; a byte-order mark is let pass. Raises `failure` if it cannot be read or is none."""
    try:
        data = read_regular(path, MAX_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a zero in the name
        raise failure(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise failure(f"{path}: is not TOML: {error}") from error
    return parse_toml(text, str(path), failure)


def parse_toml(text: str, source: str, failure: type[TclifError]) -> dict[str, Any]:
    """The tables in TOML `text`; raises `failure`, which names `source`, if it is none or nested too deeply."""
    try:
        data = tomllib.loads(text.replace("\r\n", "\n"))
        check_nesting(data)
    except (ValueError, RecursionError) as error:
        raise failure(f"{source}: is not TOML: {cut(str(error))}") from error
    return data


def nearest(word: str, words: Iterable[str]) -> str:
    """A question that offers the one of `words` that is most like `word`, or nothing."""
    near = difflib.get_close_matches(word[:MAX_QUOTED], list(words), n=1, cutoff=0.5)
    return f" did you mean {near[0]!r}?" if near else ""


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The most telling mistake in what `model` was to be made of: the key, its value, what is allowed."""
    # A misspelt key is also a missing one: the misspelling says more.
    mistake = min(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
    kind, context, given = mistake["type"], mistake.get("ctx", {}), quoted(mistake["input"])
    key, expected = _locate(model, mistake["loc"])
    if kind == "extra_forbidden":
        allowed = sorted(expected.model_fields) if _is_model(expected) else []
        word = str(mistake["loc"][-1])
        return f"{key} = {given}: there is no such key;{nearest(word, allowed)} allowed are {', '.join(allowed)}"
    if kind == "missing":
        return f"{key}: is missing"
    if kind.startswith("union_tag"):
        return _wrong_tag(key, context, _tags(expected, context["discriminator"].strip("'")))
    if kind == "literal_error":
        return f"{key} = {given}: {context['expected']} expected"
    if kind == "value_error":
        return f"{key}: {context['error']}" if mistake["loc"] else str(context["error"])
    if kind in ("model_type", "model_attributes_type"):
        return f"{key} = {given}: a table expected"
    if kind in ("tuple_type", "too_short") and _is_table(_element(expected)):
        return f"{key} = {given}: a list of at least one table expected, [[{key}]]"
    return f"{key} = {given}: {mistake['msg'].replace('Input should', 'should')}"


def _wrong_tag(key: str, context: dict[str, Any], tags: list[str]) -> str:
    """The key that says which of several tables it is has no value, or one that there is not."""
    name = f"{key}.{context['discriminator'].strip(chr(39))}"
    if "tag" not in context:
        return f"{name}: is missing; one of {', '.join(tags)}"
    tag = str(context["tag"])
    return f"{name} = {quoted(tag)}:{nearest(tag, tags)} one of {', '.join(tags)} expected"


def _locate(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[str, Any]:
    """A mistake's key as the file has it, and the type of what is there; of a key that there is not, its table's.

    ("model", "layers", 0, "tclif", "size") -> "model.layers[0].size": the tag of a union of tables is no key.
    """
    key, expected = "", model
    for part in loc:
        expected = _plain(expected)
        if isinstance(part, int):
            key, expected = f"{key}[{part}]", _element(expected)
        elif _is_model(expected):
            key = f"{key}.{part}".lstrip(".")
            expected = expected.model_fields[part].annotation if part in expected.model_fields else expected
        elif tagged := [m for m in _members(expected) if part in _tag_values(m)]:
            expected = tagged[0]
        else:
            key = f"{key}.{part}".lstrip(".")
    return cut(key) or "the file", _plain(expected)


def _plain(kind: Any) -> Any:
    """A type without what it is annotated with, and without None."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    members = _members(kind)
    return _plain(members[0]) if len(members) == 1 else kind


def _members(kind: Any) -> list[Any]:
    """The types of a union but None, an empty list if it is none."""
    if get_origin(kind) not in (Union, UnionType):
        return []
    return [member for member in get_args(kind) if member is not type(None)]


def _element(kind: Any) -> Any:
    """The type of the elements of a list or tuple type."""
    return _plain(get_args(kind)[0]) if get_args(kind) else Any


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_table(kind: Any) -> bool:
    """Return whether `kind` is a model, or a union of models."""
    return _is_model(kind) or any(map(_is_model, _members(kind)))


def _tag_values(kind: Any) -> set[Any]:
    """The values of a model's keys that have few."""
    fields = kind.model_fields.values() if _is_model(kind) else ()
    return {
        value for field in fields if get_origin(field.annotation) is Literal for value in get_args(field.annotation)
    }


def _tags(kind: Any, name: str) -> list[str]:
    """The values of the key `name` that tell the tables of a union from each other."""
    return [value for member in _members(kind) for value in get_args(member.model_fields[name].annotation)]


def toml_text(table: dict[str, Any]) -> str:
    """TOML that reads as `table`: numbers, text, booleans, lists and tables of them."""
    return _table(table).lstrip("\n")


def _table(table: dict[str, Any], path: str = "") -> str:
    """The table's own keys, then the tables in it, each under its header."""
    lines = [f"{key} = {_value(value)}\n" for key, value in table.items() if not _holds_tables(value)]
    for key, value in table.items():
        name = f"{path}.{key}".lstrip(".")
        if isinstance(value, dict):
            lines.append(f"\n[{name}]\n{_table(value, name)}")
        elif _holds_tables(value):
            lines += [f"\n[[{name}]]\n{_table(item, name)}" for item in value]
    return "".join(lines)


def _holds_tables(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value))


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float):
        return repr(value)
    # JSON's strings, integers and booleans are TOML's, but for the one control character that JSON lets through.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
