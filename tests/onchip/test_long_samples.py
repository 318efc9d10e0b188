"""A wave of an ECG from the 60 steps up to its last, asked for in the last 12: learnt, with calibrated shifts."""

import os
from pathlib import Path

import numpy as np
import pytest

from sim.onchip.defaults import LATE, waves
from tclif_neuro.onchip.tasks.recipe_file import parse_learn_recipe
from tclif_neuro.onchip.tasks.run_task import run_task

DATA = Path(os.environ.get("TCLIF_DATA", "no such folder"))


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "ecg").is_dir(), reason="set TCLIF_DATA to a folder with ecg/")
def test_waves_of_sixty_steps_are_learnt_above_three_times_chance(tmp_path: Path) -> None:
    np.savez(tmp_path / "waves.npz", **waves(60))
    described = {
        "task": {"name": str(tmp_path / "waves.npz")},
        "network": {"recurrent": True, **LATE["network"]},
        "learning": {"passes": 3, **LATE["learning"]},
    }
    assert run_task(parse_learn_recipe(described)).accuracy["test"] > 3 / 6
