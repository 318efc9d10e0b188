"""Files that are whole or not there, whenever the process is killed."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

StrPath = str | os.PathLike[str]


def write_atomically(path: StrPath, write: Callable[[BinaryIO], object]) -> None:
    """Call `write` on a temporary file in the same folder, fsync it, and put it in the place of `path` in one stroke.

    If that fails, `path` is as it was. An existing file keeps its permissions; a symbolic link keeps pointing to the
    file that is replaced. Raises `OSError`, also if `path` exists and is not a regular file, and what `write` raises.
    """
    target = os.path.realpath(path)
    mode = _mode_of(target)
    _remove_abandoned(target)
    temporary = f"{_prefix(target)}{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        with open(temporary, "xb") as file:
            if mode is not None:
                os.chmod(temporary, mode)
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
    _sync_folder(os.path.dirname(target))


def _prefix(target: str) -> str:
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{name}.")


def _remove_abandoned(target: str) -> None:
    """Remove the temporary files of writers of `target` that were killed."""
    for path in glob.glob(f"{glob.escape(_prefix(target))}*.tmp"):
        pid = path[len(_prefix(target)) :].split(".")[0]
        if pid.isdigit() and not os.path.exists(f"/proc/{pid}") and os.path.exists("/proc/self"):
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
