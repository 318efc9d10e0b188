"""One training of the studies, from a job to its test accuracy."""

from __future__ import annotations

import tempfile
from typing import Any

from sim.study import Job, Result

NEURONS: dict[str, dict[str, Any]] = {
    "LIF": {"type": "lif"},
    "LIF, learnt leak": {"type": "lif", "learn_beta": True, "per_neuron": True},
    "TC-LIF": {"type": "tclif"},
    "TC-LIF, b2 = 1": {"type": "tclif", "c2": 6.0},  # b = (-0.5, 0.998) at the start, as the neurons below
    "relaxed TC-LIF": {"type": "relaxed"},
    "Adaptive TC-LIF": {"type": "adaptive"},
    "Adaptive TC-LIF, power": {"type": "adaptive", "schedule": {"form": "power"}},
}
KINDS = {False: "feed-forward", True: "recurrent"}


def job(task: str, neuron: str, rule: str, recurrent: bool, seed: int, **training: Any) -> dict[str, Any]:
    """A job for `train_job`. training: keys of the recipe's [training]; of its layers, if they start with `layer_`;
    `size` and `depth`, the neurons in a hidden layer and how many of those (128, 2)."""
    return {"task": task, "neuron": neuron, "rule": rule, "recurrent": recurrent, "seed": seed, **training}


def train_job(job: Job) -> Result:
    """Train the job's recipe; its test accuracy in per cent after every epoch, and the seconds that it took."""
    from tclif_neuro.learning.recipe.sections import Recipe
    from tclif_neuro.learning.training.train import train

    named = dict(job)
    task, neuron, recurrent = (named.pop(key) for key in ("task", "neuron", "recurrent"))
    size, depth = named.pop("size", 128), named.pop("depth", 2)
    own = {key.removeprefix("layer_"): named.pop(key) for key in list(named) if key.startswith("layer_")}
    layer = {**NEURONS[neuron], "size": size, "recurrent": recurrent, **own}
    if theta := named.pop("theta", 0):  # of the schedules, in steps
        layer["schedule"] = {"theta": theta, **layer.get("schedule", {})} if layer["type"] == "adaptive" else None
    layer = {key: value for key, value in layer.items() if value is not None}
    recipe = Recipe.model_validate(
        {"task": {"name": task}, "model": {"layers": [layer] * depth}, "training": named}, strict=False
    )
    curve: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        result = train(recipe, folder, progress=lambda p: curve.append(_accuracy(p)) if p.record else None)
        rate = _firing_rate(recipe, folder)
    return {"accuracy": 100 * result.test_accuracy, "rate": rate, "seconds": result.seconds, "curve": curve}


def _firing_rate(recipe: Any, folder: str) -> float:
    """Spikes per neuron and step of the trained hidden layers, over the first 1,000 test samples."""
    import torch

    from tclif_neuro.data import load_task
    from tclif_neuro.learning import load_trained
    from tclif_neuro.neurons.trace import trace

    model, _ = load_trained(folder)
    x = torch.from_numpy(load_task(recipe.task).x_test[:1000]).transpose(0, 1).contiguous()
    layers = trace(model, x)[:-1]
    return round(float(sum(layer.spikes.mean() for layer in layers)) / len(layers), 4)


def _accuracy(progress: Any) -> float:
    return round(100 * progress.record.test_accuracy, 3)
