"""TOML from outside: read within limits, and its mistakes named by the file's own keys."""

import os
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tclif_neuro.data.toml import MAX_BYTES, explain, nearest, parse_toml, read_toml
from tclif_neuro.errors import TclifError
from tclif_neuro.text import MAX_NESTING, MAX_QUOTED


class Wrong(TclifError):
    """What these tests ask for."""


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Cat(Table):
    kind: Literal["cat"]
    lives: int = 9


class Dog(Table):
    kind: Literal["dog"]
    tricks: tuple[int, ...] = ()


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


class House(Table):
    pet: Pet
    others: Annotated[tuple[Pet, ...], Field(min_length=1)] = (Cat(kind="cat"),)
    guest: Cat | None = None


def test_a_file_with_a_byte_order_mark_and_windows_lines_is_read(tmp_path):
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbf[task]\r\nname = 'x'\r\n")
    assert read_toml(path, Wrong) == {"task": {"name": "x"}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a = [" * 3000 + b"]" * 3000, "is not TOML"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "is not TOML"),
        (b"a = " + b"[" * (MAX_NESTING + 1) + b"]" * (MAX_NESTING + 1), f"nested deeper than {MAX_NESTING}"),
        (b"[" + b"a." * 100 + b"a]", f"nested deeper than {MAX_NESTING}"),
        (b"\xff\xfe", "is not TOML"),
        (b"#" * (MAX_BYTES + 1), f"the limit is {MAX_BYTES}"),
    ],
    ids=["open lists", "lists", "just too deep", "keys", "bytes", "long"],
)
def test_what_cannot_be_read_within_limits_is_one_line(tmp_path, content, words):
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(Wrong, match=words) as error:
        read_toml(path, Wrong)
    assert str(error.value).startswith(f"{path}: ") and len(str(error.value)) < len(str(path)) + 2 * MAX_QUOTED


def test_pipes_devices_and_folders_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path, tmp_path / "absent", "a\0b"):
        with pytest.raises(Wrong, match="cannot be read: "):
            read_toml(path, Wrong)


def test_the_deepest_that_is_allowed_is_read():
    depth = MAX_NESTING - 1  # the file itself is a table
    text = "a = " + "[" * depth + "]" * depth
    assert parse_toml(text, "text", Wrong)["a"] is not None


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"pet": {"kind": "cat", "live": 1}}, "pet.live = 1: there is no such key; did you mean 'lives'? allowed are "),
        ({"pet": {"kind": "cta"}}, "pet.kind = 'cta': did you mean 'cat'? one of cat, dog expected"),
        ({"pet": {}}, "pet.kind: is missing; one of cat, dog"),
        ({"pet": 3}, "pet = 3: a table expected"),
        ({}, "pet: is missing"),
        ({"pet": {"kind": "dog", "tricks": [1, "x"]}}, "pet.tricks[1] = 'x': should be a valid integer"),
        ({"pet": {"kind": "cat"}, "others": []}, "others = []: a list of at least one table expected, [[others]]"),
        ({"pet": {"kind": "cat"}, "others": [{"kind": "dog", "cat": 1}]}, "others[0].cat = 1: there is no such key;"),
        ({"pet": {"kind": "cat"}, "guest": {"kind": "dog"}}, "guest.kind = 'dog': 'cat' expected"),
        ({"pet": {"kind": "cat"}, "cat": 1}, "cat = 1: there is no such key; allowed are guest, others, pet"),
    ],
)
def test_a_mistake_is_named_by_the_keys_of_the_file(data, sentence):
    with pytest.raises(ValidationError) as error:
        House.model_validate(data)
    assert explain(error.value, House).startswith(sentence)


def test_what_is_quoted_is_cut():
    for data in (
        {"pet": "x" * 10**6},
        {"pet": {"kind": "x" * 10**6}},
        {"x" * 10**6: 1},
        {"pet": {"kind": "cat", "lives": "x" * 10**6}},
    ):
        with pytest.raises(ValidationError) as error:
            House.model_validate(data)
        assert len(explain(error.value, House)) < 3 * MAX_QUOTED
    assert nearest("x" * 10**6, ["xxx"]) == ""
