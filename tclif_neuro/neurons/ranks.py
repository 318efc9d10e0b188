"""Sums over the ranks of a training: processes, on one machine or several, that each see a part of every batch.

The ranks are those of torch.distributed's default group; without a group there is one rank, and every function here
gives back what it is given, bit for bit. With R ranks of weights w_r (the samples, or targets, that each one has), a
mean over the batch is sum_r (w_r / sum_s w_s) mean_r: `share` is that factor. So every rank takes its own loss times
its share, and the sum of the gradients over the ranks is the gradient of the whole batch, also through `BatchNorm`,
whose statistics are of all ranks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn

from tclif_neuro.errors import TclifError
from tclif_neuro.threads import count

TIMEOUT = 600.0  # seconds that a rank waits for the others
PARTING = 0.5  # seconds for gloo's threads to drop the tensors of the last sums


class RankError(TclifError):
    """Another rank that has ended, does not answer, or is not at the same place."""


def size() -> int:
    """Return the number of ranks."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """Return which rank this process is, from 0; before the group is joined, which one it is started as."""
    return distributed.get_rank() if size() > 1 else _started()[0]


@contextmanager
def joined(timeout: float = TIMEOUT) -> Iterator[None]:
    """Join the other processes of `torchrun`, if it started this one, and leave them at the end.

    timeout: seconds that a sum waits for the others. A group that is there already is used, and is left as it is.
    Raises `RankError` if the others do not come.
    """
    if size() > 1 or _started()[1] == 1:
        yield
        return
    torch.set_num_threads(count())
    with _others(timeout):
        distributed.init_process_group("gloo", timeout=timedelta(seconds=timeout))
    try:
        yield
    finally:
        # torch joins gloo's threads without letting go of Python's lock, and they need that lock to drop a tensor: who
        # leaves right after a sum would wait for ever.
        time.sleep(PARTING)
        distributed.destroy_process_group()


def _started() -> tuple[int, int]:
    """This process's rank, and of how many, as torchrun says in the environment; without it 0 of 1."""
    told = [os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE")]
    if not all(text.isascii() and text.isdecimal() for text in told):
        return 0, 1
    return int(told[0]), int(told[1])


@contextmanager
def _others(timeout: float | None = None) -> Iterator[None]:
    """Name what torch's errors mean: they come when another rank has gone, or at the deadline."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        waited = "in time" if timeout is None else f"within {timeout:g} s"
        reason = " ".join(str(error).split())[:200]
        raise RankError(
            f"rank {rank()}: another rank has ended or did not answer {waited}; start all of them again, and the "
            f"training goes on from its last epoch ({reason})"
        ) from error


def total(value: float) -> float:
    """The sum of a number over the ranks."""
    return totals([value])[0]


def totals(values: Sequence[float]) -> list[float]:
    """The sum of each number over the ranks, in double precision."""
    return list(values) if size() == 1 else _summed(torch.tensor(values, dtype=torch.float64)).tolist()


def longest(lengths: Tensor) -> int:
    """The longest of the samples of all ranks: what they do at every step, they do equally often."""
    own = lengths.max()
    if size() > 1:
        with _others():
            distributed.all_reduce(own, distributed.ReduceOp.MAX)
    return int(own)


def mean(value: float, weight: float) -> float:
    """The mean over the ranks of a number, by their weights; a rank of weight 0 counts nothing, whatever it has."""
    if size() == 1:
        return value
    summed, weights = totals([value * weight if weight else 0.0, weight])
    return summed / (weights or 1.0)


def sum_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """The sum over the ranks of each parameter's .grad, in one message; a rank that has none counts as 0."""
    learnt = [parameter for parameter in parameters if parameter.requires_grad]
    if size() == 1 or not learnt:
        return
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in learnt]
    whole = _summed(torch.cat([grad.reshape(-1) for grad in grads]))
    for parameter, grad in zip(learnt, whole.split([p.numel() for p in learnt]), strict=True):
        parameter.grad = grad.view_as(parameter).clone()


def differentiable_sum(x: Tensor) -> Tensor:
    """The sum of `x` over the ranks; its gradient is the sum of theirs, as every rank's loss depends on it."""
    return x if size() == 1 else _Sum.apply(x)


def share_weights(model: nn.Module) -> None:
    """Give every rank the weights and statistics of rank 0."""
    if size() > 1:
        with _others():
            for value in (*model.parameters(), *model.buffers()):
                distributed.broadcast(value.detach(), 0)


def check_equal(what: str, value: object) -> None:
    """Raise `RankError` unless `value` is the same on all ranks."""
    found: list[object] = [None] * size()
    if size() > 1:
        with _others():
            distributed.all_gather_object(found, value)
        for other, there in enumerate(found):
            if there != found[0]:
                raise RankError(
                    f"rank {other}: {what} is {there} there and {found[0]} on rank 0; all ranks need the same recipe, "
                    "data and folder"
                )


def _summed(x: Tensor) -> Tensor:
    with _others():
        distributed.all_reduce(x)
    return x


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _summed(x.clone())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _summed(grad.clone())
