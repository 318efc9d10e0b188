"""Batches for training, time first, in an order that a generator alone decides, on the device of the model."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from tclif_neuro.data.sequences import DataError, Sequences, time_first
from tclif_neuro.data.task import Part

RESIDENT = 2**30  # bytes, as float32, of the samples up to which a device keeps all of them
_CPU = torch.device("cpu")


class Batches:
    """A part of a task in batches: x [T, B, M] float32 and what they are to become.

    The targets are classes y [B]; or, of every step, time first: classes [T, B], `UNLABELLED` where there is none (of
    samples with lengths, all but their own last step), values [T, B, K], NaN where there is none; or values [B, K].
    ends: whether targets per step are in truth one per sample, at its end.
    batch_size: of all batches but the last, which may be smaller.
    device: of x and y. Another than the CPU keeps all samples, if they take at most `RESIDENT` bytes and are not drawn
    anew each time; others go there batch by batch. The numbers, and their order, are the same on every device.
    """

    def __init__(self, part: Part, batch_size: int, device: torch.device = _CPU) -> None:
        if batch_size < 1:
            raise DataError(f"batch size {batch_size}: at least 1 is needed")
        self.x, self.batch_size, self.device = part.x, batch_size, device
        targets, self.ends = part.targets(), part.at_the_end
        self._per_step = targets.shape[1:2] == part.x.shape[1:2] and (targets.dtype.kind == "i" or targets.ndim == 3)
        self.y = torch.from_numpy(targets)
        self._y = self.y.to(device)
        self._kept = _copied(part.x, device) if device != _CPU and _may_stay(part.x) else None

    def __len__(self) -> int:
        """The batches of an epoch."""
        return -(-len(self.x) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every sample once, in order."""
        return self._batches(torch.arange(len(self.x)), None)

    def shuffled(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Every sample once, in an order drawn from `generator`: the same state of it gives the same epoch again.

        Codes that draw draw from it too. generator: on the CPU.
        """
        return self._batches(torch.randperm(len(self.x), generator=generator), generator)

    def _batches(self, order: Tensor, generator: torch.Generator | None) -> Iterator[tuple[Tensor, Tensor]]:
        for samples in order.split(self.batch_size):
            y = self._y[samples.to(self.device)]
            yield self._inputs(samples, generator), y.transpose(0, 1).contiguous() if self._per_step else y

    def _inputs(self, samples: Tensor, generator: torch.Generator | None) -> Tensor:
        if self._kept is not None:
            return self._kept[samples.to(self.device)].transpose(0, 1).contiguous()
        return torch.from_numpy(time_first(self.x.batch(samples.numpy(), generator))).to(self.device)


def _may_stay(x: Sequences) -> bool:
    samples, steps, inputs = x.shape
    return not x.drawn_anew and 4 * samples * steps * inputs <= RESIDENT


def _copied(x: Sequences, device: torch.device) -> Tensor:
    """All samples [n, T, M] on `device`; on the CPU there is never more than a piece of them."""
    out, start = torch.empty(x.shape, device=device), 0
    for chunk in x.chunks():
        out[start : start + len(chunk)] = torch.from_numpy(chunk).to(device)
        start += len(chunk)
    return out
