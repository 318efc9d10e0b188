"""Neurons of the user's own package, which a recipe file names: type = "my_package:MyNeuron"."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from tclif_neuro.learning.recipe.file import RecipeError
from tclif_neuro.learning.recipe.sections import CustomSection
from tclif_neuro.neurons.layer import SpikingLayer
from tclif_neuro.neurons.surrogate import Surrogate


def custom_neurons(layer: CustomSection) -> SpikingLayer:
    """The neurons of a custom layer. Of the keys that all layers share, the class gets those that it takes.

    Raises `RecipeError`, in a line, where the module or the class is not there, is no spiking layer, or does not take
    what the recipe gives it.
    """
    neuron = _find(layer.neuron)
    given: dict[str, Any] = {"surrogate": Surrogate(layer.surrogate, layer.surrogate_k), **layer.arguments()}
    taken = inspect.signature(neuron).parameters
    everything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in taken.values())
    for key in (key for key in given if key not in taken and not everything):
        if key in type(layer).model_fields and getattr(layer, key) != type(layer).model_fields[key].default:
            raise RecipeError(f"{layer.neuron}: takes no {key}, which the recipe sets to {getattr(layer, key)!r}")
    given = {key: value for key, value in given.items() if key in taken or everything}
    try:
        return neuron(layer.size, **(given | layer.options))
    except Exception as error:  # the user's code: whatever it raises is his to fix
        raise RecipeError(f"{layer.neuron}: cannot be made: {_line(error)}") from error


def _find(name: str) -> type[SpikingLayer]:
    place, _, wanted = name.partition(":")
    try:
        module = importlib.import_module(place)
    except Exception as error:
        raise RecipeError(
            f"{name}: {place} cannot be imported: {_line(error)}; install it, or put its folder into PYTHONPATH"
        ) from error
    found = getattr(module, wanted, None)
    if found is None:
        raise RecipeError(f"{name}: {place} has no {wanted}")
    if not (isinstance(found, type) and issubclass(found, SpikingLayer)):
        raise RecipeError(f"{name}: is no neuron module; derive it from tclif_neuro.neurons.layer.TwoCompartment")
    return found


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
