"""The float model that a network was made from, from the folder of its training run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from tclif_neuro.cli.commands.samples import Batch
from tclif_neuro.data.toml import parse_toml
from tclif_neuro.errors import TclifError
from tclif_neuro.learning.recipe.file import RecipeError, differences, load_recipe, parse_recipe
from tclif_neuro.learning.recipe.sections import Recipe
from tclif_neuro.learning.training.checkpoint import load_trained
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.neurons.trace import LayerTrace, trace
from tclif_neuro.text import quoted


def load_floats(net: QuantizedNetwork, trained: Path, recipe: Path | None = None) -> torch.nn.Sequential:
    """The model in the run folder `trained`, by `recipe`, its recipe file; None: by the recipe in its checkpoint.

    Raises `TclifError` if it cannot be the model that `net` was made from.
    """
    model, used = load_trained(trained, None if recipe is None else load_recipe(recipe))
    _check_recipe(net, used, trained)
    first = next(module for module in model.modules() if isinstance(module, torch.nn.Linear))
    if first.in_features != net.inputs:
        raise TclifError(f"{trained}: its model has {first.in_features} inputs, the network {net.inputs}")
    return model


def trace_floats(
    net: QuantizedNetwork, trained: Path, batch: Batch, recipe: Path | None = None
) -> Sequence[LayerTrace]:
    """The activity of the model in the run folder `trained` on `batch`; see `load_floats`.

    Raises `TclifError` if it cannot be the model that `net` was made from.
    """
    lengths = None if batch.lengths is None else torch.from_numpy(batch.lengths)
    return trace(load_floats(net, trained, recipe), torch.from_numpy(batch.x), lengths)


def _check_recipe(net: QuantizedNetwork, recipe: Recipe, trained: Path) -> None:
    """Raise `TclifError` that names the first key in which the run's recipe is not the one that `net` carries."""
    if not net.recipe:
        return
    source = "the recipe in the network"
    ours = parse_recipe(parse_toml(net.recipe, source, RecipeError), source, custom=True)  # compared, and never made
    elsewhere = {"task": {"folder", "found"}}  # a recipe may move, and what was found in the data was not asked for
    theirs, mine = (each.model_dump(mode="json", exclude=elsewhere) for each in (recipe, ours))
    for key, there, here in differences(theirs, mine):
        raise TclifError(
            f"{trained}: is not the run that this network was made from: {key} is {quoted(there)} there and "
            f"{quoted(here)} in the network's recipe"
        )
