"""Bytes on disk: read within limits, written atomically."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress

from tclif_neuro.netx.format import NetFileError

MAX_BYTES = 2**30  # a thousand layers of 1024 x 1024 weights; what claims more is no .net file

StrPath = str | os.PathLike[str]


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


def write_atomically(path: StrPath, data: bytes) -> None:
    """Make `path` hold `data`, or fail and leave it as it was: a temporary file in the same folder, fsync, rename.

    An existing file keeps its permissions; a symbolic link keeps pointing to the file that is replaced.
    Raises `NetFileError` (without the path) if that is not possible.
    """
    try:
        target = os.path.realpath(path)
        folder = os.path.dirname(target)
        mode = _mode_of(target)
        temporary = os.path.join(folder, f".{secrets.token_hex(8)}.tmp")
        try:
            _write(temporary, data, mode)
            os.replace(temporary, target)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
        _sync_folder(folder)
    except (OSError, ValueError) as error:
        raise NetFileError(f"cannot be written: {reason(error)}") from error


def _mode_of(target: str) -> int | None:
    """The permissions of the file at `target`, None if there is none."""
    try:
        status = os.stat(target)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise NetFileError("cannot be written: exists and is not a regular file")
    return stat.S_IMODE(status.st_mode)


def _write(path: str, data: bytes, mode: int | None) -> None:
    """Write `data` to a new file, down to the disk."""
    with open(path, "xb") as file:
        if mode is not None:
            os.chmod(path, mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: str) -> None:
    """Bring the renaming to the disk. Not all file systems can; the file itself is complete either way."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def reason(error: Exception) -> str:
    """What went wrong, on one line of printable ASCII: a hostile file has no say over the terminal."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ascii(text.splitlines()[0][:200])[1:-1]
