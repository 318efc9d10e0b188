"""Checkpoints: everything the next epoch depends on, as arrays and JSON in one .npz file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from tclif_neuro.arrays import ArraysError, read_arrays, write_arrays
from tclif_neuro.data.toml import explain
from tclif_neuro.errors import TclifError
from tclif_neuro.learning.recipe.file import differences, parse_recipe
from tclif_neuro.learning.recipe.model import build_model
from tclif_neuro.learning.recipe.sections import Recipe
from tclif_neuro.text import cut, quoted

NAME = "checkpoint.npz"
OLD_NAME = "checkpoint.pt"  # of versions that pickled; reading one could execute what is in it
FORMAT = "tclif-neuro checkpoint 2"

Count = Annotated[int, Field(ge=1, lt=2**31)]


class CheckpointError(TclifError):
    """A checkpoint that cannot be read or does not fit; the message names the file."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A run after an epoch.

    recipe: as nested containers. data: the digest of the task's arrays. steps, inputs, classes: of the task.
    model: the state dict; besides tensors it holds what modules keep as JSON (`get_extra_state`). optimiser: the state
    of each parameter, by "number/name". rng: the state of each random generator. log: a record per epoch, as dicts.
    best: the weights that did best on the validation set, and None without one. best_epoch: whose they are, else 0.
    device: where it was trained; written, all tensors are on the CPU. ranks: how many processes trained the last epoch
    together.
    """

    recipe: dict[str, Any]
    data: str
    steps: int
    inputs: int
    classes: list[str]
    model: dict[str, Any]
    optimiser: dict[str, Tensor]
    rng: dict[str, Tensor]
    log: list[dict[str, Any]]
    best: dict[str, Any] | None
    best_epoch: int
    device: str = "cpu"
    ranks: int = 1

    @property
    def epoch(self) -> int:
        """The number of epochs done."""
        return len(self.log)

    @property
    def weights(self) -> dict[str, Any]:
        """The model's state dict to use: the best on the validation set if there is one, else the last."""
        return self.model if self.best is None else self.best


class _Facts(BaseModel):
    """The JSON in a checkpoint. model, best: what their state dicts hold besides tensors."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal["tclif-neuro checkpoint 2"]
    recipe: dict[str, Any]
    data: str
    steps: Count
    inputs: Count
    classes: Annotated[list[str], Field(min_length=1)]
    log: list[dict[str, float | int | None]]
    best_epoch: Annotated[int, Field(ge=0)]
    ranks: Count = 1
    model: dict[str, Any]
    best: dict[str, Any] | None
    device: Annotated[str, Field(max_length=64)] = "cpu"


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint`, whole or not at all."""
    content = vars(checkpoint)
    facts = {"format": FORMAT} | {name: content[name] for name in _Facts.model_fields if name != "format"}
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name in ("model", "best", "optimiser", "rng"):
        state = content[name] or {}
        arrays |= {f"{name}/{key}": value.cpu().numpy() for key, value in state.items() if isinstance(value, Tensor)}
    for name in ("model", "best"):
        facts[name] = content[name] and {k: v for k, v in content[name].items() if not isinstance(v, Tensor)}
    write_arrays(path, arrays, facts)


def is_checkpoint(folder: Path) -> bool:
    """Return whether a run has left a checkpoint in `folder`, readable or not."""
    return (folder / NAME).exists() or (folder / OLD_NAME).exists()


def load_checkpoint(path: str | Path) -> Checkpoint:
    """The checkpoint in a file, or in a run's folder. Nothing in the file is executed. Raises `CheckpointError`."""
    path = Path(path)
    folder = path.is_dir() and path.name != NAME
    if path.name == OLD_NAME or (folder and (path / OLD_NAME).exists() and not (path / NAME).exists()):
        raise CheckpointError(
            f"{path / OLD_NAME if folder else path}: is a checkpoint of an older version, in a format that can hold "
            "programs, and is not read; train again, in another folder or with --fresh"
        )
    path = path / NAME if folder else path
    if not path.exists():
        raise CheckpointError(f"{path}: no such file")
    try:
        return _checkpoint(path)
    except ValidationError as error:
        raise CheckpointError(f"{path}: is not a checkpoint: {explain(error, _Facts)}") from error
    except ArraysError as error:
        raise CheckpointError(f"{path}: is not a checkpoint, or is damaged: {error}") from error


def _checkpoint(path: Path) -> Checkpoint:
    stored = read_arrays(path)
    facts = dict(_Facts.model_validate(stored.facts))
    del facts["format"]
    tensors: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimiser": {}, "rng": {}}
    for name, array in stored.arrays.items():
        part, _, key = name.partition("/")
        if part not in tensors or array.dtype.kind not in "biuf":
            raise ArraysError(f"{cut(name)}: is no array of a checkpoint")
        tensors[part][key] = _tensor(name, array)
    if (facts["best"] is None) != (facts["best_epoch"] == 0) or facts["best_epoch"] > len(facts["log"]):
        raise ArraysError(f"best_epoch {facts['best_epoch']} of {len(facts['log'])} does not fit the weights")
    facts["model"] = {**tensors["model"], **facts["model"]}
    facts["best"] = None if facts["best"] is None else {**tensors["best"], **facts["best"]}
    return Checkpoint(**facts, optimiser=tensors["optimiser"], rng=tensors["rng"])


def _tensor(name: str, array: npt.NDArray[Any]) -> Tensor:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ArraysError(f"{cut(name)}: holds NaN or infinity")
    try:
        return torch.from_numpy(array)
    except TypeError as error:
        raise ArraysError(f"{cut(name)}: {array.dtype} is no type of a tensor") from error


def load_trained(path: str | Path, recipe: Recipe | None = None) -> tuple[nn.Sequential, Recipe]:
    """The trained model, in evaluation mode, and its recipe, from a checkpoint or the folder of a run.

    recipe: the recipe of the run; None: the one in the checkpoint, which may not name neurons of other packages.

    Raises `CheckpointError`, or `RecipeError` if the recipe in it is not valid.
    """
    checkpoint = load_checkpoint(path)
    theirs = parse_recipe(checkpoint.recipe, str(path), custom=recipe is not None)
    recipe = theirs if recipe is None else recipe
    its, ours = (each.model.model_dump(mode="json") for each in (theirs, recipe))
    for key, there, here in differences(its, ours, "model"):
        raise CheckpointError(
            f"{path}: is of another recipe: {key} is {quoted(there)} there and {quoted(here)} in the one given"
        )
    return model_of(path, recipe, checkpoint.inputs, checkpoint.classes, checkpoint.weights), recipe


def model_of(
    path: str | Path, recipe: Recipe, inputs: int, classes: Sequence[str], weights: Mapping[str, Any]
) -> nn.Sequential:
    """The recipe's model with the `weights` read from `path`, in evaluation mode.

    Raises `CheckpointError` if they do not fit; a model with more weights than there are is not even made.
    """
    sizes = [inputs, *(layer.size for layer in recipe.model.layers), len(classes)]
    needed = sum(a * b for a, b in pairwise(sizes))
    needed += sum(layer.size**2 for layer in recipe.model.layers if layer.recurrent)
    tensors = [value for value in weights.values() if isinstance(value, Tensor)]
    held = sum(value.numel() for value in tensors if value.is_floating_point())
    if needed > held:
        raise CheckpointError(f"{path}: its recipe's model has {needed} weights, the file holds {held} numbers")
    model = build_model(recipe, inputs, len(classes))
    load_state(path, model, weights)
    return model.eval()


def load_state(path: str | Path, model: nn.Sequential, weights: Mapping[str, Any]) -> None:
    """Put `weights` into `model`; raises `CheckpointError` naming `path` if they do not fit."""
    try:
        model.load_state_dict(weights)
    except TclifError:
        raise
    except Exception as error:  # what is not a tensor reaches each module's own reading
        reason = cut(" ".join(str(error).split()), 400)
        raise CheckpointError(f"{path}: the weights do not fit the recipe's model: {reason}") from error
