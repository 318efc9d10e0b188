"""The spikes of a model while it is evaluated, counted layer by layer as they come; none are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tclif_neuro.neurons import ranks
from tclif_neuro.neurons.layer import SpikingLayer
from tclif_neuro.neurons.within import within


@dataclass
class Activity:
    """spikes: of each layer, in all. lengths: [B], the own steps of the samples that come next (None: all).

    steps, samples: how many there were, of all samples together.
    """

    sizes: list[int]
    spikes: list[float] = field(default_factory=list)
    lengths: Tensor | None = None
    steps: int = 0
    samples: int = 0

    def begin(self, x: Tensor, lengths: Tensor | None) -> None:
        """A batch x [T, B, M] comes next."""
        self.lengths = lengths
        self.samples += x.shape[1]
        self.steps += x.shape[0] * x.shape[1] if lengths is None else int(lengths.sum())

    def count(self, layer: int, spikes: Tensor) -> None:
        """Add the spikes [T, B, N] of a layer, without those in the padding."""
        spikes = spikes.detach().as_subclass(Tensor)
        if self.lengths is not None:
            spikes = within(spikes, self.lengths)
        self.spikes[layer] += float(spikes.sum(dtype=torch.int64))

    def add_ranks(self) -> None:
        """Add what the other processes of one training have counted, of other samples."""
        samples, steps, *self.spikes = ranks.totals([self.samples, self.steps, *self.spikes])
        self.samples, self.steps = int(samples), int(steps)

    @property
    def rates(self) -> tuple[float, ...]:
        """Each layer's spikes per neuron and step."""
        return tuple(n / max(1, self.steps * size) for n, size in zip(self.spikes, self.sizes, strict=True))

    @property
    def spikes_per_sample(self) -> float:
        """The spikes of all layers together."""
        return sum(self.spikes) / max(1, self.samples)


@contextmanager
def counted(model: nn.Module) -> Iterator[Activity]:
    """The activity of the spiking layers of `model`, in their order, inside the block."""
    layers = [module for module in model.modules() if isinstance(module, SpikingLayer)]
    activity = Activity([layer.size for layer in layers], [0.0] * len(layers))
    hooks = [
        layer.register_forward_hook(lambda module, x, out, i=i: activity.count(i, out))
        for i, layer in enumerate(layers)
    ]
    try:
        yield activity
    finally:
        for hook in hooks:
            hook.remove()
