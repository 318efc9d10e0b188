"""Batches for training, time first, in an order that a generator alone decides."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from tclif_neuro.data.task import DataError, Floats, Labels


class Batches:
    """A data set in batches: x [T, B, M] and y [B].

    x: [n, T, M], y: [n], not copied. batch_size: of all batches but the last, which may be smaller.
    """

    def __init__(self, x: Floats, y: Labels, batch_size: int) -> None:
        if batch_size < 1:
            raise DataError(f"batch size {batch_size}: at least 1 is needed")
        self.x = torch.from_numpy(x)
        self.y = torch.from_numpy(y)
        self.batch_size = batch_size

    def __len__(self) -> int:
        """The batches of an epoch."""
        return -(-len(self.x) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every sample once, in order."""
        return self._batches(torch.arange(len(self.x)))

    def shuffled(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Every sample once, in an order drawn from `generator`: the same state of it gives the same epoch again."""
        return self._batches(torch.randperm(len(self.x), generator=generator))

    def _batches(self, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        for samples in order.split(self.batch_size):
            yield self.x[samples].transpose(0, 1).contiguous(), self.y[samples]
