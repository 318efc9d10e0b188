"""Checkpoints: everything the next epoch depends on, as tensors and plain containers in one file."""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from tclif_neuro.errors import TclifError
from tclif_neuro.files import write_atomically
from tclif_neuro.learning.recipe.file import parse_recipe
from tclif_neuro.learning.recipe.model import build_model
from tclif_neuro.learning.recipe.sections import Recipe

NAME = "checkpoint.pt"
FORMAT = "tclif-neuro checkpoint 1"


class CheckpointError(TclifError):
    """A checkpoint that cannot be read or does not fit; the message names the file."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A run after an epoch.

    recipe: as nested containers. data: the digest of the task's arrays. steps, inputs, classes: of the task.
    model, optimiser: state dicts. rng: the state of each random generator. log: a record an epoch, as dicts.
    best: the weights that did best on the validation set, and None without one. best_epoch: whose they are.
    """

    recipe: dict[str, Any]
    data: str
    steps: int
    inputs: int
    classes: list[str]
    model: dict[str, Tensor]
    optimiser: dict[str, Any]
    rng: dict[str, Tensor]
    log: list[dict[str, Any]]
    best: dict[str, Tensor] | None
    best_epoch: int

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self.log)

    @property
    def weights(self) -> dict[str, Tensor]:
        """The model's state dict to use: the best on the validation set if there is one, else the last."""
        return self.model if self.best is None else self.best


_TYPES: dict[str, type | tuple[type, ...]] = {
    "recipe": dict,
    "data": str,
    "steps": int,
    "inputs": int,
    "classes": list,
    "model": dict,
    "optimiser": dict,
    "rng": dict,
    "log": list,
    "best": (dict, type(None)),
    "best_epoch": int,
}


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint`, whole or not at all."""
    content = {field.name: getattr(checkpoint, field.name) for field in fields(checkpoint)}

    def write(file: BinaryIO) -> None:
        torch.save({"format": FORMAT, **content}, file)

    write_atomically(path, write)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """The checkpoint in a file, or in a run's folder. Nothing in the file is executed. Raises `CheckpointError`."""
    path = Path(path)
    path = path / NAME if path.is_dir() else path
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise CheckpointError(f"{path}: is not a checkpoint, or is damaged: {reason}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(f"{path}: {FORMAT!r} expected, found {found!r}")
    for name, kind in _TYPES.items():
        if not isinstance(content.get(name, ...), kind):
            raise CheckpointError(f"{path}: {name}: is missing or of the wrong type")
    return Checkpoint(**{name: content[name] for name in _TYPES})


def load_trained(path: str | Path) -> tuple[nn.Sequential, Recipe]:
    """The trained model, in evaluation mode, and its recipe, from a checkpoint or the folder of a run.

    Raises `CheckpointError`, or `RecipeError` if the recipe in it is not one.
    """
    checkpoint = load_checkpoint(path)
    recipe = parse_recipe(checkpoint.recipe, str(path))
    model = build_model(recipe, checkpoint.inputs, len(checkpoint.classes))
    load_state(path, model, checkpoint.weights)
    return model.eval(), recipe


def load_state(path: str | Path, model: nn.Sequential, weights: dict[str, Tensor]) -> None:
    """Put `weights` into `model`; raises `CheckpointError` naming `path` if they do not fit."""
    try:
        model.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: the weights do not fit the recipe's model: {error}") from error
