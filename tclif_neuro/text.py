"""Text and values from outside: made fit to be printed, and kept to a length and a depth."""

from __future__ import annotations

import unicodedata
from typing import Any

MAX_QUOTED = 200  # characters of a value that an error quotes
MAX_NESTING = 32  # containers in containers; a recipe has five

# Controls, lone surrogates, format characters (bidi overrides are among them), separators of lines and paragraphs.
_UNFIT = {"Cc", "Cs", "Cf", "Zl", "Zp"}


def clean(text: str) -> str:
    r"""`text` on one line, with nothing in it that a terminal would obey.

    >>> clean("a\x1b[2Jb\nc")
    'a\\x1b[2Jb\\nc'
    """
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in _UNFIT else c for c in text)


def cut(text: str, length: int = MAX_QUOTED) -> str:
    """`text`, its middle left out where it is longer than `length`."""
    half = (length - 5) // 2
    return text if len(text) <= length else f"{text[:half]} ... {text[-half:]}"


def quoted(value: object) -> str:
    """`repr(value)`, of at most `MAX_QUOTED` characters."""
    return cut(repr(value))


def check_nesting(value: Any) -> None:
    """Raise `ValueError` if `value` is lists and dicts in each other deeper than `MAX_NESTING`."""
    level, depth = [value], 0
    while level := [child for item in level for child in _children(item)]:
        depth += 1
        if depth > MAX_NESTING:
            raise ValueError(f"is nested deeper than {MAX_NESTING}")


def _children(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return list(item.values())
    return item if isinstance(item, list) else []
