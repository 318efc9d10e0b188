"""The optimisers of recipes, which are torch's own, and what a checkpoint keeps of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from tclif_neuro.learning.recipe.training import TrainingSection
from tclif_neuro.learning.rules.fptt import DUAL, MEAN

OPTIMISERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}
_MOMENTS = {"step", "exp_avg", "exp_avg_sq"}  # what Adam keeps of each parameter
_MOMENTUM = {"momentum_buffer"}  # and SGD, if it has momentum


def make_optimiser(parameters: Iterable[nn.Parameter], training: TrainingSection) -> torch.optim.Optimizer:
    """The optimiser that a recipe asks for."""
    options: dict[str, Any] = {"lr": training.lr, "weight_decay": training.weight_decay}
    if training.optimiser == "sgd":
        options |= {"momentum": training.momentum, "nesterov": training.nesterov}
    return OPTIMISERS[training.optimiser](parameters, **options)


def state_by_name(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's state for each parameter, by "number/name". Its options are the recipe's."""
    state = optimiser.state_dict()["state"]
    found = ((f"{number}/{name}", value) for number, kept in state.items() for name, value in kept.items())
    return {key: value for key, value in found if value is not None}  # SGD without momentum keeps a None


def restore_state(optimiser: torch.optim.Optimizer, stored: dict[str, Tensor]) -> None:
    """Give `optimiser` what `state_by_name` found. Raises `ValueError` if it is of other parameters."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    names: dict[int, set[str]] = {}
    for first, _, name in (key.partition("/") for key in stored):
        names.setdefault(int(first), set()).add(name)
    own, state = _own(optimiser), dict[int, dict[str, Tensor]]()
    for number, kept in names.items():
        if kept not in (own, own | {MEAN, DUAL}) or not 0 <= number < len(parameters):
            raise ValueError(f"parameter {number} of {len(parameters)} has the state {', '.join(sorted(kept))}")
        state[number] = {name: stored[f"{number}/{name}"] for name in kept}
        for name, value in state[number].items():
            shape = torch.Size() if name == "step" else parameters[number].shape
            if value.shape != shape or value.dtype != torch.float32:
                raise ValueError(f"{name} of parameter {number}: {value.dtype} {list(value.shape)}, not {list(shape)}")
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _own(optimiser: torch.optim.Optimizer) -> set[str]:
    if isinstance(optimiser, torch.optim.SGD):
        return _MOMENTUM if optimiser.param_groups[0]["momentum"] else set()
    return _MOMENTS
