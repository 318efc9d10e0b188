"""Files that are whole or not there, whenever the process is killed; and reading that can neither hang nor run on."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO

StrPath = str | os.PathLike[str]


def open_regular(path: StrPath, limit: int) -> BinaryIO:
    """Open a regular file of at most `limit` bytes for reading. Raises `OSError`, which names the file.

    It is looked at before it is opened: a pipe would wait for a writer for ever, a device could have no end.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        kind = "it is a folder" if stat.S_ISDIR(status.st_mode) else "it is not a regular file"
        raise OSError(errno.EINVAL, kind, os.fspath(path))
    if status.st_size > limit:
        raise OSError(errno.EFBIG, f"it has {status.st_size} bytes, the limit is {limit}", os.fspath(path))
    return open(path, "rb")


def read_regular(path: StrPath, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit`; see `open_regular`."""
    with open_regular(path, limit) as file:
        return file.read(limit)


def write_atomically(path: StrPath, write: Callable[[BinaryIO], object]) -> None:
    """Have `write` fill a file in memory, put that beside `path`, fsync it, and let it replace `path` in one stroke.

    If that fails, `path` is as it was. An existing file keeps its permissions; a symbolic link keeps pointing to the
    file that is replaced. Raises `OSError`, which names `path`, also if that exists and is not a regular file; and what
    `write` raises.
    """
    content = BytesIO()
    write(content)
    try:
        _replace(os.path.realpath(path), content.getbuffer())
    except OSError as error:  # a full disk has no file name, and nobody knows the temporary one
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _replace(target: str, content: memoryview) -> None:
    mode = _mode_of(target)
    _remove_abandoned(target)
    temporary = f"{_prefix(target)}{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        with open(temporary, "xb") as file:
            if mode is not None:
                os.chmod(temporary, mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
    _sync_folder(os.path.dirname(target))


def _prefix(target: str) -> str:
    """Return the prefix of the temporary files of `target`, for writers whose process numbers are valid here."""
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{name}.{_place()}.")


def _place() -> str:
    """Return the scope of process numbers: the host, and its container; both may share a folder with others."""
    namespace = 0
    with suppress(OSError):
        namespace = os.stat("/proc/self/ns/pid").st_ino
    host = "".join(c for c in socket.gethostname() if c.isalnum() or c == "-")
    return f"{host[:32]}-{namespace}"


def _remove_abandoned(target: str) -> None:
    """Remove the temporary files of writers of `target` that were killed."""
    prefix = _prefix(target)
    for path in glob.glob(f"{glob.escape(prefix)}*.tmp"):
        pid = path[len(prefix) :].split(".")[0]
        if pid.isdecimal() and not os.path.exists(f"/proc/{pid}") and os.path.exists("/proc/self"):
            with suppress(OSError):
                os.unlink(path)


def _mode_of(target: str) -> int | None:
    """The permissions of the file at `target`, None if there is none."""
    try:
        status = os.stat(target)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "exists and is not a regular file", target)
    return stat.S_IMODE(status.st_mode)


def _sync_folder(folder: str) -> None:
    """Bring the renaming to the disk. Not all file systems can; the file itself is complete either way."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
