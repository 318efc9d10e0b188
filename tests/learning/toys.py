"""A toy task, and recipes for it."""

from pathlib import Path
from typing import Any

import numpy as np

from tclif_neuro.learning import Recipe, parse_recipe
from tests.seeds import OFFSET


def toy_file(path: Path, seed: int) -> Path:
    """60 sequences of 5 steps and 3 inputs: the class is the input that is on, amid noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(60) % 3
    x = rng.random((60, 5, 3)).astype(np.float32)
    x[np.arange(60), :, y] += 1
    np.savez(path, x=x, y=y)
    return path


def toy_recipe(path: Path, **training: Any) -> Recipe:
    """Everything random in use: shuffling, noise, dropout; and state beside the weights: Adam, batch normalisation."""
    layers = [
        {"type": "tclif", "size": 6, "recurrent": True, "batch_norm": True, "dropout": 0.2},
        {"type": "adaptive", "size": 5},
    ]
    training = {"epochs": 4, "batch_size": 16, "input_noise": 0.1, "lr": 0.01, **training}
    training["seed"] = training.get("seed", 0) + OFFSET
    return parse_recipe({"task": {"name": str(path)}, "model": {"layers": layers}, "training": training})
