"""A few updates by every rule, in float64: run alone on whole batches, or by two ranks that share each batch.

RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=... python -m tests.learning.ranks_child OUT.npz
"""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tclif_neuro.data.task import UNLABELLED
from tclif_neuro.learning.recipe.file import parse_recipe
from tclif_neuro.learning.recipe.model import build_model
from tclif_neuro.learning.rules.eprop import eprop_step
from tclif_neuro.learning.training.optimiser import make_optimiser
from tclif_neuro.learning.training.run import RULES, part_of_rank
from tclif_neuro.neurons import ranks

STEPS, BATCH, INPUTS, CLASSES, UPDATES = 9, 7, 4, 3, 3  # seven samples: the ranks have four and three
ONE_EACH, OF_STEPS, AT_END, VALUES = "a class each", "classes of steps", "a class at its own end", "values of steps"
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "bptt": (ONE_EACH, {}),
    "bptt, weights of classes": (ONE_EACH, {"class_weights": [0.5, 1.0, 3.0]}),
    "bptt, rates": (ONE_EACH, {"rates": {"upper": 0.01, "lower": 0.3, "weight": 1.0}}),
    "bptt, over time": (AT_END, {"loss": "ce_membrane"}),
    "bptt, steps": (OF_STEPS, {"label_smoothing": 0.1}),
    "bptt, values": (VALUES, {"loss": "mse"}),
    "eprop": (ONE_EACH, {"rule": "eprop"}),
    "eprop, steps": (OF_STEPS, {"rule": "eprop", "eprop": {"update_every": 2}}),
    "eprop, ends": (AT_END, {"rule": "eprop", "eprop": {"update_every": 4}}),
    "fptt": (ONE_EACH, {"rule": "fptt"}),
    "fptt, steps": (OF_STEPS, {"rule": "fptt", "fptt": {"update_every": 2}}),
}


def targets(kind: str, rng: np.random.Generator, update: int) -> Tensor:
    """[B] or [T, B]; of steps, the last samples are all of one rank, and have at times no target, or only late ones."""
    if kind == ONE_EACH:
        return torch.from_numpy(rng.integers(0, CLASSES, BATCH))
    if kind == VALUES:
        wanted = rng.random((STEPS, BATCH, CLASSES))
        wanted[:, 4:] = np.nan if update % 2 else wanted[:, 4:]
        return torch.from_numpy(wanted)
    y = np.full((STEPS, BATCH), UNLABELLED)
    if kind == AT_END:
        y[rng.integers(2, STEPS, BATCH), np.arange(BATCH)] = rng.integers(0, CLASSES, BATCH)
        return torch.from_numpy(y)
    y[:, :4] = rng.integers(0, CLASSES, (STEPS, 4))
    y[:5] = UNLABELLED
    if update % 2:
        y[5:7, 4:] = rng.integers(0, CLASSES, (2, 3))
    return torch.from_numpy(y)


def trained(name: str) -> dict[str, npt.NDArray[Any]]:
    """The weights after some updates, and the loss of each."""
    kind, section = CASES[name]
    norm = section.get("rule") != "eprop"  # which has none
    layers = [
        {"type": "tclif", "size": 6, "recurrent": True, "batch_norm": norm, "vth": 0.3},
        {"type": "adaptive", "size": 5, "vth": 0.3},
    ]
    training = {"optimiser": "sgd", "epochs": 1, "lr": 0.05, **section}
    recipe = parse_recipe({"task": {"name": "digits-rows"}, "model": {"layers": layers}, "training": training})
    torch.manual_seed(0)
    model, rng = build_model(recipe, INPUTS, CLASSES).double(), np.random.default_rng(0)
    optimiser, losses = make_optimiser(model.parameters(), recipe.training), []
    for update in range(UPDATES):
        x = torch.from_numpy(rng.random((STEPS, BATCH, INPUTS)))
        mine = part_of_rank(x, targets(kind, rng, update))
        ends = {"ends": kind == AT_END} if recipe.training.rule == "eprop" else {}
        rule: Any = eprop_step if ends else RULES[recipe.training.rule]
        losses.append(rule(model, optimiser, *mine, recipe.training, **ends).loss)
    tensors = {key: value.numpy() for key, value in model.state_dict().items() if isinstance(value, Tensor)}
    return {f"{name}/{key}": value for key, value in tensors.items()} | {f"{name}/loss": np.array(losses)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    with ranks.joined(60.0):
        assert ranks.size() == 2
        found = {key: value for name in CASES for key, value in trained(name).items()}
        if ranks.rank() == 0:
            np.savez(sys.argv[1], **found)  # type: ignore[arg-type]  # NumPy has it positional too
