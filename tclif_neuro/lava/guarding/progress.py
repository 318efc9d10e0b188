"""The progress of a run: one number in a file, mapped by the process that counts and the one that watches."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_FILE = "steps_done"


def create_counter(folder: Path) -> np.memmap[tuple[int], np.dtype[np.int64]]:
    """A new counter in `folder`, at 0."""
    return np.memmap(folder / _FILE, np.int64, "w+", shape=(1,))


def counter(folder: Path) -> np.memmap[tuple[int], np.dtype[np.int64]]:
    """The counter in `folder`; an assignment to its one element is seen by everybody who has it."""
    return np.memmap(folder / _FILE, np.int64, "r+", shape=(1,))
