"""Recipes for the toy task of `conftest`."""

from pathlib import Path
from typing import Any

from tclif_neuro.learning import Recipe, parse_recipe
from tests.seeds import OFFSET


def toy_recipe(path: Path, **training: Any) -> Recipe:
    """Everything random in use: shuffling, noise, dropout; and state beside the weights: Adam, batch normalisation."""
    layers = [
        {"type": "tclif", "size": 6, "recurrent": True, "batch_norm": True, "dropout": 0.2},
        {"type": "adaptive", "size": 5},
    ]
    training = {"epochs": 4, "batch_size": 16, "input_noise": 0.1, "lr": 0.01, **training}
    training["seed"] = training.get("seed", 0) + OFFSET
    return parse_recipe({"task": {"name": str(path)}, "model": {"layers": layers}, "training": training})
