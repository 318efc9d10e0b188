"""Spike trains that know they are sparse: products with them add the rows of what fired and skip the rest.

`Spikes` is a tensor like any other to the user. A `torch.nn.Linear` that meets one runs event-driven, forward and for
its weight gradient, where that is faster than the dense product; everything else sees a plain tensor.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.nn import functional

from tclif_neuro.threads import in_parts

DENSE_ABOVE = 0.3  # share of active inputs above which the dense product is faster (measured; see docs)
SMALL = 16  # narrower products are left dense


@dataclass(frozen=True, eq=False)
class Events:
    """Which entries of a [rows, M] matrix are spikes: in row r the columns `index[start[r] : start[r + 1]]`."""

    index: Tensor
    start: Tensor
    columns: int

    @classmethod
    def of(cls, spikes: Tensor) -> Events:
        """The events of [..., M] float spikes, rows flattened."""
        rows = spikes.detach().flatten(0, -2).contiguous().numpy()
        start = np.zeros(len(rows) + 1, np.int64)
        in_parts(_count, PARTS, rows, start[1:])
        np.cumsum(start, out=start)
        index = np.empty(start[-1], np.int16 if rows.shape[1] < 2**15 else np.int32)
        in_parts(_fill, PARTS, rows, start, index)
        return cls(torch.from_numpy(index), torch.from_numpy(start), rows.shape[1])

    @property
    def density(self) -> float:
        """The share of entries that are set."""
        return len(self.index) / max(1, (len(self.start) - 1) * self.columns)


PARTS = 16  # a fixed number, so that the order of sums does not depend on how many threads there are


@njit(inline="always")
def _share(part, rows):
    return rows * part // PARTS, rows * (part + 1) // PARTS


@njit(cache=True, nogil=True)
def _count(part, rows, counts):
    for r in range(*_share(part, rows.shape[0])):
        count = 0
        for n in range(rows.shape[1]):
            count += rows[r, n] != 0
        counts[r] = count


@njit(cache=True, nogil=True)
def _fill(part, rows, start, index):
    for r in range(*_share(part, rows.shape[0])):
        i, stop = start[r], start[r + 1]
        for n in range(rows.shape[1]):
            if i < stop:
                index[i] = n
                i += rows[r, n] != 0


@njit(cache=True, nogil=True)
def _gather(part, index, start, weight, bias, out):
    """out[r] = bias + the rows of `weight` [M, N] that row r's events name; four at a time."""
    for r in range(*_share(part, out.shape[0])):
        row = out[r]
        row[:] = bias
        i, stop = start[r], start[r + 1]
        while i + 4 <= stop:
            a, b, c, d = weight[index[i]], weight[index[i + 1]], weight[index[i + 2]], weight[index[i + 3]]
            for n in range(row.shape[0]):
                row[n] += (a[n] + b[n]) + (c[n] + d[n])
            i += 4
        while i < stop:
            a = weight[index[i]]
            for n in range(row.shape[0]):
                row[n] += a[n]
            i += 1


@njit(cache=True, nogil=True)
def _scatter(part, index, start, grad, out):
    """out[part, m] = the sum of the part's rows of `grad` [rows, N] whose events name m; out [PARTS, M, N]."""
    mine = out[part]
    for r in range(*_share(part, grad.shape[0])):
        row = grad[r]
        for i in range(start[r], start[r + 1]):
            to = mine[index[i]]
            for n in range(row.shape[0]):
                to[n] += row[n]


def weight_gradient(events: Events, grad: Tensor) -> Tensor:
    """`grad^T spikes` [N, M], for `grad` [rows, N] and the events of the spikes [rows, M]."""
    out = grad.new_zeros(PARTS, events.columns, grad.shape[1])
    in_parts(
        _scatter, PARTS, events.index.numpy(), events.start.numpy(), grad.detach().contiguous().numpy(), out.numpy()
    )
    return out.sum(0).T


class _EventLinear(torch.autograd.Function):
    """`x W^T + b` for spikes x, read from their events. The input gradient is dense."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, events: Events) -> Tensor:
        out = weight.new_empty(*x.shape[:-1], len(weight))
        offset = weight.new_zeros(len(weight)) if bias is None else bias.detach()
        rows = weight.detach().T.contiguous()
        arrays = (x.numpy() for x in (events.index, events.start, rows, offset, out.view(-1, len(weight))))
        in_parts(_gather, PARTS, *arrays)
        ctx.save_for_backward(weight, events.index, events.start)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        weight, index, start = ctx.saved_tensors
        grad = grads[0].flatten(0, -2)
        by_x = (grad @ weight).view(*grads[0].shape[:-1], weight.shape[1]) if ctx.needs_input_grad[0] else None
        by_weight = weight_gradient(Events(index, start, weight.shape[1]), grad) if ctx.needs_input_grad[1] else None
        return by_x, by_weight, grad.sum(0) if ctx.needs_input_grad[2] else None, None


class Spikes(Tensor):
    """Spikes [T, B, N] in {0, 1} from a compiled scan. Only `torch.nn.functional.linear` treats them specially."""

    _events: Events | None = None
    _marked: int = -1  # the tensor's version then; one changed in place since is no longer sure to hold spikes

    @classmethod
    def mark(cls, spikes: Tensor, events: Events | None = None) -> Spikes:
        """`spikes` as `Spikes`, sharing memory and gradient; with their events if these are known already."""
        marked = spikes.as_subclass(cls)
        marked._events = events
        marked._marked = marked._version
        return marked

    def events(self) -> Events:
        """Their events, found once."""
        if self._events is None:
            self._events = Events.of(self.as_subclass(Tensor))
        return self._events

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return copy.deepcopy(self.as_subclass(Tensor), memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.as_subclass(Tensor).__reduce_ex__(protocol)

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            if func is functional.linear and not kwargs and _worth_it(args[0], args[1]):
                bias = args[2] if len(args) > 2 else None
                return _EventLinear.apply(args[0].as_subclass(Tensor), args[1], bias, args[0].events())
            return func(*args, **(kwargs or {}))


def _worth_it(x: Tensor, weight: Tensor) -> bool:
    if not isinstance(x, Spikes) or x._marked != x._version:
        return False
    return weight.dtype == x.dtype and len(weight) >= SMALL and x.events().density <= DENSE_ABOVE
