"""Batches for training, time first, in an order that a generator alone decides."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from tclif_neuro.data.sequences import DataError, time_first
from tclif_neuro.data.task import Part


class Batches:
    """A part of a task in batches: x [T, B, M] float32 and what they are to become.

    The targets are classes y [B]; or, of every step, time first: classes [T, B], `UNLABELLED` where there is none (of
    samples with lengths, all but their own last step), values [T, B, K], NaN where there is none; or values [B, K].
    ends: whether targets per step are in truth one per sample, at its end.
    batch_size: of all batches but the last, which may be smaller.
    """

    def __init__(self, part: Part, batch_size: int) -> None:
        if batch_size < 1:
            raise DataError(f"batch size {batch_size}: at least 1 is needed")
        self.x, self.batch_size = part.x, batch_size
        targets, self.ends = part.targets(), part.at_the_end
        self._per_step = targets.shape[1:2] == part.x.shape[1:2] and (targets.dtype.kind == "i" or targets.ndim == 3)
        self.y = torch.from_numpy(targets)

    def __len__(self) -> int:
        """The batches of an epoch."""
        return -(-len(self.x) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every sample once, in order."""
        return self._batches(torch.arange(len(self.x)), None)

    def shuffled(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Every sample once, in an order drawn from `generator`: the same state of it gives the same epoch again.

        Codes that draw draw from it too.
        """
        return self._batches(torch.randperm(len(self.x), generator=generator), generator)

    def _batches(self, order: Tensor, generator: torch.Generator | None) -> Iterator[tuple[Tensor, Tensor]]:
        for samples in order.split(self.batch_size):
            y = self.y[samples]
            x = torch.from_numpy(time_first(self.x.batch(samples.numpy(), generator)))
            yield x, y.transpose(0, 1).contiguous() if self._per_step else y
