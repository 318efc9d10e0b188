"""Weights of another run to start from: checked against the model name by name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from tclif_neuro.data.paths import find
from tclif_neuro.learning.training.checkpoint import CheckpointError, load_checkpoint, load_state


def start_from(model: nn.Sequential, path: str, digest: str) -> str:
    """Give `model` the weights kept in a checkpoint or in the folder of a run.

    Returns a digest of `digest` and these weights, so that a run that started elsewhere is known as another one.
    Raises `CheckpointError` that names the first weight that is missing, too many, or of another shape.
    """
    weights = load_checkpoint(find(path)).weights
    _check(path, dict(model.state_dict()), weights)
    load_state(path, model, weights)
    both = hashlib.blake2b(digest.encode(), digest_size=16)
    for name, value in sorted(weights.items()):
        both.update(name.encode())
        both.update(value.numpy().tobytes() if isinstance(value, Tensor) else repr(value).encode())
    return both.hexdigest()


def _check(path: str, model: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    for name in {**model, **weights}:
        here, there = (shape(state[name]) if name in state else "missing" for state in (model, weights))
        if here != there:
            raise CheckpointError(f"{path}: {name} is {there} there and {here} in the recipe's model")


def shape(value: Any) -> str:
    """The shape of a tensor, in words."""
    return f"{list(value.shape)}" if isinstance(value, Tensor) else "no tensor"
