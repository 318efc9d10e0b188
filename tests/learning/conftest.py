"""A toy task that trains in no time."""

from pathlib import Path

import pytest

from tests.learning.toys import toy_file


@pytest.fixture
def toy(tmp_path: Path, seed: int) -> Path:
    return toy_file(tmp_path / "toy.npz", seed)
