"""Bytes on disk: read within limits, written atomically."""

from __future__ import annotations

from tclif_neuro.files import StrPath, read_regular, write_atomically
from tclif_neuro.netx.format import NetFileError

MAX_BYTES = 2**30  # a thousand layers of 1024 x 1024 weights; what claims more is no .net file


def read_bytes(path: StrPath) -> bytes:
    """The bytes of a regular file of at most `MAX_BYTES`.

    Raises `NetFileError` (without the path) if it is missing, no regular file, empty, too large or unreadable.
    """
    try:
        data = read_regular(path, MAX_BYTES)
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
    """Return the reason for an error, on one line of printable ASCII: a hostile file has no say over the terminal."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ascii(text.splitlines()[0][:200])[1:-1]
