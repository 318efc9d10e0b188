"""The files that commands write: checked before the work begins, and whole or not there at the end."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from tclif_neuro.errors import TclifError
from tclif_neuro.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class OutputError(TclifError):
    """A file that cannot be written where it was asked for."""


def check_output(path: Path, suffixes: tuple[str, ...], inputs: Iterable[Path] = ()) -> None:
    """Raise `OutputError` unless a file can be put at `path`: in a folder, with a suffix that fits, not over `inputs`.

    Any other file that is there will be replaced.
    """
    if path.suffix.lower() not in suffixes:
        raise OutputError(f"{path}: the name of this file must end in {' or '.join(suffixes)}")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder")
    for other in inputs:
        if other.exists() and path.exists() and path.samefile(other):
            raise OutputError(f"{path}: is also read from; choose another name")


def make_folder(path: Path) -> None:
    """Make the folder `path`, unless it is there. Raises `OutputError` if it is a file."""
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path}: is a file; give the name of a folder")
    path.mkdir(parents=True, exist_ok=True)


def save_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Write an .npz file."""

    def write(file: BinaryIO) -> None:
        np.savez_compressed(file, **arrays)

    write_atomically(path, write)


def save_figure(path: Path, figure: Figure) -> None:
    """Write a figure in the format of the name's suffix: the same figure gives the same bytes."""
    suffix = path.suffix.lower().lstrip(".")
    metadata = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[suffix]

    def write(file: BinaryIO) -> None:
        figure.savefig(file, format=suffix, metadata=metadata)

    write_atomically(path, write)
