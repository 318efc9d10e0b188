"""From a recipe to a model."""

from __future__ import annotations

import torch
from torch import nn

from tclif_neuro.learning.recipe.custom import custom_neurons
from tclif_neuro.learning.recipe.sections import AdaptiveSection, CustomSection, LayerSection, Recipe
from tclif_neuro.neurons.kinds import KINDS
from tclif_neuro.neurons.layer import SpikingLayer
from tclif_neuro.neurons.modules import Readout
from tclif_neuro.neurons.norm import BatchNorm
from tclif_neuro.neurons.surrogate import Surrogate

NEURONS: dict[str, type[SpikingLayer]] = {kind.name: kind.module for kind in KINDS}


def build_model(recipe: Recipe, inputs: int, outputs: int) -> nn.Sequential:
    """The model of `recipe`, [T, B, inputs] -> [B, outputs], its weights drawn from `training.seed` alone.

    A layer is a `Linear`, a `BatchNorm` and a `Dropout` if asked for, the neurons, and another `Dropout` if asked for.
    A `Readout` ends it.
    """
    modules: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed)
        for layer in recipe.model.layers:
            modules += _layer(layer, inputs)
            inputs = layer.size
        readout = recipe.model.readout
        modules.append(Readout(inputs, outputs, bias=readout.bias, decay=readout.decay))
    return nn.Sequential(*modules)


def _layer(layer: LayerSection, inputs: int) -> list[nn.Module]:
    modules: list[nn.Module] = [nn.Linear(inputs, layer.size, bias=getattr(layer, "bias", True))]
    if layer.batch_norm:
        modules.append(BatchNorm(layer.size))
    if layer.current_dropout:
        modules.append(nn.Dropout(layer.current_dropout))
    modules.append(_neurons(layer))
    if layer.dropout:
        modules.append(nn.Dropout(layer.dropout))
    return modules


def _neurons(layer: LayerSection) -> SpikingLayer:
    if isinstance(layer, CustomSection):
        return custom_neurons(layer)
    arguments = layer.arguments()
    if isinstance(layer, AdaptiveSection):
        arguments["schedule"] = layer.schedule.schedule()
    return NEURONS[layer.type](  # type: ignore[attr-defined]
        layer.size, surrogate=Surrogate(layer.surrogate, layer.surrogate_k), **arguments
    )
