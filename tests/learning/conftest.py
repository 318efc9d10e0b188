"""A toy task that trains in no time."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def toy(tmp_path: Path, seed: int) -> Path:
    """60 sequences of 5 steps and 3 inputs: the class is the input that is on, amid noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(60) % 3
    x = rng.random((60, 5, 3)).astype(np.float32)
    x[np.arange(60), :, y] += 1
    path = tmp_path / "toy.npz"
    np.savez(path, x=x, y=y)
    return path
