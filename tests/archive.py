"""The arrays of an .npz file, read whole: an archive that stays open is a ResourceWarning in some later test."""

from pathlib import Path

import numpy as np


def read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return dict(arrays)
