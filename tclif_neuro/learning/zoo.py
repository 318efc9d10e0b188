"""Trained models in safetensors files: float weights, with the recipe that they were trained by.

The format is a JSON header and raw arrays (huggingface.co/docs/safetensors): nothing in a file can be executed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from tclif_neuro.data.toml import explain
from tclif_neuro.files import read_regular, write_atomically
from tclif_neuro.learning.recipe.file import parse_recipe
from tclif_neuro.learning.recipe.sections import Recipe
from tclif_neuro.learning.training.checkpoint import Checkpoint, CheckpointError, Count, model_of
from tclif_neuro.text import cut

KEY = "tclif_neuro"  # of our entry in the header's metadata
SUFFIX = ".safetensors"
MOST_BYTES = 2**31
MOST_HEADER = 2**20  # bytes of JSON; a model of a hundred layers has some ten thousand


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedModel:
    """model: in evaluation mode. recipe: that it was trained by. classes: the name of each of its outputs."""

    model: nn.Sequential
    recipe: Recipe
    classes: tuple[str, ...]


class _Facts(BaseModel):
    """Our entry. extra: what the modules' states hold besides tensors."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal["tclif-neuro model 1"]
    recipe: dict[str, Any]
    inputs: Count
    classes: Annotated[list[str], Field(min_length=1)]
    extra: dict[str, Any]


def save_model(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write the weights of a checkpoint (the best on its validation set, else the last), whole or not at all."""
    facts = _Facts(
        format="tclif-neuro model 1",
        recipe=checkpoint.recipe,
        inputs=checkpoint.inputs,
        classes=checkpoint.classes,
        extra={name: value for name, value in checkpoint.weights.items() if not isinstance(value, Tensor)},
    )
    tensors = {name: value.contiguous() for name, value in checkpoint.weights.items() if isinstance(value, Tensor)}
    content = save(tensors, {KEY: facts.model_dump_json()})
    write_atomically(path, lambda file: file.write(content))


def load_model(name: str | Path) -> nn.Sequential:
    """A trained model, in evaluation mode: one of the library's own by its name, or that in a .safetensors file.

    >>> model = tn.load_model("digits-rows")
    >>> net = tn.quantize(model, calibration=x)

    Raises what `read_model` raises.
    """
    return read_model(name).model


def read_model(name: str | Path) -> TrainedModel:
    """As `load_model`, with the recipe and the names of the classes.

    Raises `CheckpointError` if there is no such model, or if the file is damaged or is none of ours; `RecipeError` if
    the recipe in it is not one.
    """
    path = Path(name) if str(name).endswith(SUFFIX) else _own(str(name))
    try:
        content = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        facts, weights = _facts(content), load(content)
    except ValidationError as error:
        raise CheckpointError(f"{path}: is not a model of this library: {explain(error, _Facts)}") from error
    except (SafetensorError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: is not a safetensors file, or is damaged: {cut(str(error))}") from error
    for key, value in weights.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise CheckpointError(f"{path}: {cut(key)}: holds NaN or infinity")
    recipe = parse_recipe(facts.recipe, str(path))
    model = model_of(path, recipe, facts.inputs, facts.classes, {**weights, **facts.extra})
    return TrainedModel(model=model, recipe=recipe, classes=tuple(facts.classes))


def names() -> list[str]:
    """The names of the models that come with the library."""
    return sorted(_files())


def _facts(content: bytes) -> _Facts:
    """Our entry in the header: eight bytes that say its length, then JSON."""
    size = int.from_bytes(content[:8], "little")
    if size > min(MOST_HEADER, len(content) - 8):
        raise ValueError(f"its header claims {size} bytes")
    header = json.loads(content[8 : 8 + size])
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    entry = metadata.get(KEY) if isinstance(metadata, dict) else None
    return _Facts.model_validate(json.loads(entry) if isinstance(entry, str) else {})


def _files() -> dict[str, Path]:
    folder = Path(str(resources.files("tclif_neuro"))) / "models"
    return {path.stem: path for path in folder.glob(f"*{SUFFIX}")}


def _own(name: str) -> Path:
    found = _files()
    if name not in found:
        known = ", ".join(sorted(found)) or "none is installed"
        raise CheckpointError(
            f"{cut(repr(name))}: is no model of the library (there are: {known}), and no file that ends in {SUFFIX}"
        )
    return found[name]
