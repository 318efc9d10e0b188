"""Bytes on disk: read within limits, written atomically."""

from __future__ import annotations

import os
import stat

from tclif_neuro.files import StrPath, write_atomically
from tclif_neuro.netx.format import NetFileError

MAX_BYTES = 2**30  # a thousand layers of 1024 x 1024 weights; what claims more is no .net file


def read_bytes(path: StrPath) -> bytes:
    """The bytes of a regular file of at most `MAX_BYTES`.

    Raises `NetFileError` (without the path) if it is missing, no regular file, empty, too large or unreadable.
    """
    try:
        status = os.stat(path)  # before opening: a pipe would wait for a writer for ever
        if not stat.S_ISREG(status.st_mode):
            raise NetFileError("is not a regular file")
        if status.st_size > MAX_BYTES:
            raise NetFileError(f"has {status.st_size} bytes, the limit is {MAX_BYTES}")
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise NetFileError(f"cannot be read: {reason(error)}") from error
    if not data:
        raise NetFileError("is empty")
    return data


def write_bytes(path: StrPath, data: bytes) -> None:
    """Make `path` hold `data`, or fail and leave it as it was; see `files.write_atomically`.

    Raises `NetFileError` (without the path) if that is not possible.
    """
    try:
        write_atomically(path, lambda file: file.write(data))
    except (OSError, ValueError) as error:
        raise NetFileError(f"cannot be written: {reason(error)}") from error


def reason(error: Exception) -> str:
    """What went wrong, on one line of printable ASCII: a hostile file has no say over the terminal."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ascii(text.splitlines()[0][:200])[1:-1]
