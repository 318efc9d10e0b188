"""The places of a task's files: beside its recipe, in the working directory, or among the data sets."""

from __future__ import annotations

import os
from pathlib import Path

from tclif_neuro.data.sequences import DataError


def find(name: str, folder: str | None = None, data_dir: Path | None = None) -> Path:
    """The file or folder `name`: absolute, or in the recipe's `folder`, here, in `data_dir` or in $TCLIF_DATA.

    ~ is the home folder. Raises `DataError` that says where it was looked for.
    """
    try:
        path = Path(name).expanduser()
    except RuntimeError as error:
        raise DataError(f"{name}: {error}") from None
    if "\0" in name:
        raise DataError(f"{name!r}: has a zero in it, which no file's name has")
    candidates = [path] if path.is_absolute() else [place / path for place in _places(folder, data_dir)]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    looked = "" if path.is_absolute() else f"; looked in {', '.join(str(c.parent) for c in candidates)}"
    raise DataError(f"{name}: no such file{looked}")


def data_folder(data_dir: Path | None) -> Path:
    """Return the folder of the data sets: `data_dir`, else $TCLIF_DATA, else the cache folder."""
    if data_dir is not None:
        return data_dir
    return Path(os.environ["TCLIF_DATA"]) if os.environ.get("TCLIF_DATA") else cache_folder()


def cache_folder() -> Path:
    """Return the folder for what can be made again: $TCLIF_CACHE, else `tclif-neuro` in $XDG_CACHE_HOME or ~/.cache."""
    if os.environ.get("TCLIF_CACHE"):
        return Path(os.environ["TCLIF_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tclif-neuro"


def _places(folder: str | None, data_dir: Path | None) -> list[Path]:
    places = [Path.cwd() if folder is None else Path(folder), Path.cwd(), data_dir, os.environ.get("TCLIF_DATA")]
    return list(dict.fromkeys(Path(place).absolute() for place in places if place))
