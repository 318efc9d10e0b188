"""The model that NeuroBench is given, and the measures that it lacks; importing this needs the package neurobench."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neurobench.metrics.abstract import AccumulatedMetric
from neurobench.metrics.static import ConnectionSparsity, Footprint
from neurobench.metrics.workload import ActivationSparsity, ClassificationAccuracy, SynapticOperations
from neurobench.models import NeuroBenchModel
from torch import Tensor

from tclif_neuro.neurobench.replay import Kept, Replay, Spikes


class Replayed(NeuroBenchModel):
    """A network whose activity is recorded, then replayed to the hooks; batches have samples first."""

    def __init__(self, replay: Replay, record: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.replay, self.record = replay, record
        self.updates = 0
        self.add_activation_module(Spikes)

    def __call__(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Samples [B, T, M] and their lengths [B]; returns the classes, [B] or [B, T]."""
        x, lengths = batch
        activity = self.record(x.transpose(0, 1).contiguous(), lengths)
        self.replay(activity.inputs, activity.spikes, lengths)
        self.updates = int(lengths.sum()) * sum(self.replay.states)
        answers: Tensor = activity.answers.argmax(-1)
        return answers.T

    def __net__(self) -> Replay:
        """The modules that are hooked."""
        return self.replay

    def activation_layers(self) -> list[dict[str, Any]]:
        """The spiking layers, without the readout."""
        found: list[dict[str, Any]] = super().activation_layers()
        return [entry for entry in found if not isinstance(entry["layer"], Kept)]


class _Mean(AccumulatedMetric):
    """A sum over batches by another."""

    def __init__(self) -> None:
        super().__init__(requires_hooks=False)
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.total, self.count = 0, 0

    def add(self, total: int, count: int) -> float:
        """Add a batch, and return the mean so far."""
        self.total, self.count = self.total + total, self.count + count
        return self.compute()

    def compute(self) -> float:
        """The mean."""
        return self.total / max(1, self.count)


class MembraneUpdates(_Mean):
    """Updates of states per sample: each state of each neuron in each step. NeuroBench's own knows snnTorch's alone."""

    def __call__(self, model: Replayed, preds: Tensor, data: tuple[Tensor, ...]) -> float:
        """Add those of the batch that the model ran last."""
        return self.add(model.updates, len(data[0]))


class StepAccuracy(_Mean):
    """The share of the steps with a label (not negative) that have the right class."""

    def __call__(self, model: Replayed, preds: Tensor, data: tuple[Tensor, ...]) -> float:
        """Add the steps of a batch: preds and labels [B, T]."""
        known = data[1] >= 0
        return self.add(int((preds == data[1])[known].sum()), int(known.sum()))


def adapt(
    replay: Replay, record: Callable[[Tensor, Tensor], Any], labels: str | None
) -> tuple[Replayed, list[list[type]]]:
    """The model, and its measures: static ones, and those of a workload. labels: of "samples", of "steps", or None."""
    right = {None: [], "samples": [ClassificationAccuracy], "steps": [StepAccuracy]}[labels]
    workload = [SynapticOperations, ActivationSparsity, MembraneUpdates, *right]
    return Replayed(replay, record), [[Footprint, ConnectionSparsity], workload]
