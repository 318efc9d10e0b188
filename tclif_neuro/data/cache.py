"""A cache of recordings that were read once, kept on the disk as rows of bytes and memory-mapped from there.

A row is a sample; with the rows is kept which share of what was recorded is not in them.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tclif_neuro.data.paths import cache_folder
from tclif_neuro.data.sequences import DataError
from tclif_neuro.files import write_atomically

Array = npt.NDArray[Any]


class Row(NamedTuple):
    """One sample. content: bytes. dropped, total: how much of the recording is not in them, and how much there was."""

    content: npt.NDArray[np.uint8]
    dropped: int
    total: int


def kept_rows(rows: Iterable[Row], shape: tuple[int, int], identity: str, folder: str) -> tuple[Array, float]:
    """All rows, [n, bytes] memory-mapped, and the share that was dropped.

    identity: of what the rows are made from; with the same one they are not made again. folder: of the cache. Raises
    `DataError`.
    """
    path = cache_folder() / folder / f"{digest_of((identity, shape))}.npy"
    stored = _stored(path, shape)
    if stored is None:
        try:
            _write(path, rows, shape)
        except OSError as error:
            raise DataError(f"{path}: cannot be written: {error.strerror}; another folder: $TCLIF_CACHE") from error
        stored = _stored(path, shape)
    if stored is None:
        raise DataError(f"{path}: was written and cannot be read; another folder: $TCLIF_CACHE")
    return stored


def digest_of(items: object) -> str:
    """A digest of the text of `items`."""
    return hashlib.blake2b(repr(items).encode(), digest_size=16).hexdigest()


def file_identity(path: Path) -> str:
    """Identifies a file's content."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def files_identity(root: Path, names: Iterable[str]) -> str:
    """Identifies files of a folder by their names, sizes and times."""
    stats = [(name, (root / name).stat()) for name in names]
    return digest_of([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])


def _stored(path: Path, shape: tuple[int, int]) -> tuple[Array, float] | None:
    """Return what the cache holds and the share not in it; None if it is not what is asked for: it is made again."""
    try:
        words = np.load(path, mmap_mode="r", allow_pickle=False)
        dropped = json.loads(path.with_suffix(".json").read_text())["late"]
    except (OSError, ValueError, KeyError, EOFError, TypeError):
        return None
    return (words, dropped) if words.shape == shape and words.dtype == np.uint8 and isinstance(dropped, float) else None


def _write(path: Path, rows: Iterable[Row], shape: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        words = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape)
        dropped = total = 0
        for i, row in enumerate(rows):
            words[i] = row.content
            dropped, total = dropped + row.dropped, total + row.total
        words.flush()
        del words
        share = {"late": dropped / max(total, 1)}
        write_atomically(path.with_suffix(".json"), lambda file: file.write(json.dumps(share).encode()))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
