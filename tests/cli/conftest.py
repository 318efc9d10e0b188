"""What the commands made, shared by their tests."""

import numpy as np
import pytest

from tests.cli.calls import CLASSES, INPUTS, RECIPE, STEPS, run


@pytest.fixture(scope="session")
def folder(tmp_path_factory, seed):
    """Data, a recipe, a run, a network: made by the commands themselves."""
    folder = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(seed + 3)
    y = np.arange(90) % CLASSES
    x = rng.random((90, STEPS, INPUTS)) < 0.15 + 0.7 * (np.arange(INPUTS) % CLASSES == y[:, None, None])
    np.savez(folder / "data.npz", x=x.astype(np.float32), y=y)
    (folder / "tiny.toml").write_text(RECIPE.format(data=folder / "data.npz", epochs=8))
    assert run("train", folder / "tiny.toml", "-o", folder / "run")["epochs"] == 8
    run("export", folder / "run", "-o", folder / "tiny.net")
    return folder
