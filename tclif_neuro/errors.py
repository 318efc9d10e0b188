"""The roots of the errors that a user can cause, and of the warnings that a user should read."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class TclifError(Exception):
    """Base of every error that the user can cause and fix; the command line prints it and exits with status 2.

    lines: whether the message's own line breaks are part of it, as in the account of a failed process. Otherwise it is
    one line, and a break in it comes from a value that it quotes.
    """

    lines = False


class TclifWarning(UserWarning):
    """A result stands, but something in it was lost, clipped, saturated or silent; the message says what, and where."""


def warn(message: str) -> None:
    """Issue a `TclifWarning` that points at the first line outside this package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("tclif_neuro"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, TclifWarning, stacklevel=level)


@contextmanager
def said() -> Iterator[list[str]]:
    """Keep the texts of the `TclifWarning`s in the block, each once, there when it has ended; other warnings pass."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TclifWarning)
        yield texts
    for warning in caught:
        if not issubclass(warning.category, TclifWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        elif str(warning.message) not in texts:
            texts.append(str(warning.message))


@contextmanager
def unsaid() -> Iterator[None]:
    """Issue no `TclifWarning` while the block runs: whoever runs it says what matters, once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TclifWarning)
        yield
