"""Spike trains that know they are sparse: products with them add the rows of what fired and skip the rest.

`Spikes` is a tensor like any other to the user. A `torch.nn.Linear` that meets one runs event-driven, forward and for
its weight gradient, where that is faster than the dense product; everything else sees a plain tensor.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.nn import functional

from tclif_neuro.compiled import kernel
from tclif_neuro.errors import TclifError
from tclif_neuro.memory import empty
from tclif_neuro.neurons.entries import expect
from tclif_neuro.neurons.gpu_products import BitsLinear
from tclif_neuro.threads import in_parts

DENSE_ABOVE = 0.3  # share of active inputs above which the dense product is faster (measured; see docs)
SMALL = 16  # narrower products are left dense


@dataclass(frozen=True, eq=False)
class Events:
    """The spikes in a [rows, M] matrix: in row r the columns `index[start[r] : start[r + 1]]`."""

    index: Tensor
    start: Tensor
    columns: int

    def __post_init__(self) -> None:
        rows, index = self.start, self.index
        if rows.ndim != 1 or index.ndim != 1 or rows.dtype != torch.int64 or len(rows) == 0:
            raise TclifError(f"events: start [rows + 1] of int64 expected, got {list(rows.shape)} of {rows.dtype}")
        if int(rows[-1]) > len(index):
            raise TclifError(f"events: start ends at {int(rows[-1])}, there are {len(index)} events")

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.start) - 1

    @classmethod
    def of(cls, spikes: Tensor) -> Events:
        """The events of [..., M] float spikes, rows flattened."""
        if spikes.ndim < 2:
            raise TclifError(f"events: spikes [..., M] of at least two axes expected, got {list(spikes.shape)}")
        rows = spikes.detach().reshape(spikes.shape[:-1].numel(), spikes.shape[-1]).contiguous().numpy()
        start = np.zeros(len(rows) + 1, np.int64)
        in_parts(_count, PARTS, rows, start[1:])
        np.cumsum(start, out=start)
        narrow = (kind for kind in (np.uint8, np.int16, np.int32) if rows.shape[1] <= np.iinfo(kind).max + 1)
        index = np.empty(start[-1], next(narrow))
        in_parts(_fill, PARTS, rows, start, index)
        return cls(torch.from_numpy(index), torch.from_numpy(start), rows.shape[1])

    def dense(self, like: Tensor) -> Tensor:
        """The spikes again, [rows, M] of `like`'s type."""
        out = empty(self.rows, self.columns, like=like).zero_()
        in_parts(_set, PARTS, self.index.numpy(), self.start.numpy(), out.numpy())
        return out

    @property
    def density(self) -> float:
        """The share of entries that are set."""
        return len(self.index) / max(1, self.rows * self.columns)

    @property
    def few(self) -> bool:
        """True if products with them are faster from the events than dense."""
        return self.density <= DENSE_ABOVE


PARTS = 16  # a fixed number, so that the order of sums does not depend on how many threads there are


@njit(inline="always")
def _share(part, rows):
    return rows * part // PARTS, rows * (part + 1) // PARTS


@kernel
def _count(part, rows, counts):
    for r in range(*_share(part, rows.shape[0])):
        count = 0
        for n in range(rows.shape[1]):
            count += rows[r, n] != 0
        counts[r] = count


@kernel
def _fill(part, rows, start, index):
    for r in range(*_share(part, rows.shape[0])):
        i, stop = start[r], start[r + 1]
        for n in range(rows.shape[1]):
            if i < stop:
                index[i] = n
                i += rows[r, n] != 0


@kernel
def _set(part, index, start, out):
    for r in range(*_share(part, out.shape[0])):
        for i in range(start[r], start[r + 1]):
            out[r, index[i]] = 1


@kernel
def _gather(part, index, start, weight, out):
    """out[r] += the rows of `weight` [M, N] that row r's events name; four at a time."""
    for r in range(*_share(part, out.shape[0])):
        row = out[r]
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


@kernel
def _scatter(part, index, start, grad, out):
    """out[part, m] = the sum of the part's rows of `grad` [rows, N] whose events name m; out [PARTS, M, N]."""
    mine = out[part]
    for r in range(*_share(part, grad.shape[0])):
        row = grad[r]
        for i in range(start[r], start[r + 1]):
            to = mine[index[i]]
            for n in range(row.shape[0]):
                to[n] += row[n]


def _columns(x: Tensor) -> int:
    """Those of a matrix; of anything else a number, so that it can be named as what does not fit."""
    return x.shape[1] if x.ndim == 2 else 1


def weight_gradient(events: Events, grad: Tensor) -> Tensor:
    """`grad^T spikes` [N, M], for `grad` [rows, N] and the events of the spikes [rows, M]."""
    expect("gradient of an event-driven product", grad, (events.rows, _columns(grad)), grad)
    out = grad.new_zeros(PARTS, events.columns, grad.shape[1])
    in_parts(
        _scatter, PARTS, events.index.numpy(), events.start.numpy(), grad.detach().contiguous().numpy(), out.numpy()
    )
    return out.sum(0).T


def add_rows(events: Events, weight: Tensor, out: Tensor) -> None:
    """out [rows, N] += `spikes weight^T`, for the events of the spikes [rows, M] and `weight` [N, M]."""
    expect("weight of an event-driven product", weight, (_columns(out), events.columns), out)
    expect("result of an event-driven product", out, (events.rows, len(weight)), weight)
    arrays = (x.numpy() for x in (events.index, events.start, weight.detach().T.contiguous(), out))
    in_parts(_gather, PARTS, *arrays)


def event_linear(events: Events, weight: Tensor, bias: Tensor | None, shape: Sequence[int]) -> Tensor:
    """`spikes weight^T + bias` in `shape` [..., N], for the events of the spikes; always the same to the bit."""
    expect("bias of an event-driven product", weight[:, 0] if bias is None else bias, weight.shape[:1], weight)
    out = empty(*shape, like=weight)
    out[:] = 0 if bias is None else bias.detach()
    add_rows(events, weight, out.view(-1, len(weight)))
    return out


class _EventLinear(torch.autograd.Function):
    """`x W^T + b` for spikes x, of which only the events are kept. Many spikes are multiplied as dense matrices."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, events: Events) -> Tensor:
        ctx.save_for_backward(weight, events.index, events.start)
        ctx.few = events.few
        if not ctx.few:
            return functional.linear(x, weight, bias)
        return event_linear(events, weight, bias, (*x.shape[:-1], len(weight)))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        weight, index, start = ctx.saved_tensors
        grad = grads[0].flatten(0, -2)
        by_x = None
        if ctx.needs_input_grad[0]:
            by_x = torch.mm(grad, weight, out=empty(len(grad), weight.shape[1], like=grad))
            by_x = by_x.view(*grads[0].shape[:-1], weight.shape[1])
        by_weight, events = None, Events(index, start, weight.shape[1])
        if ctx.needs_input_grad[1]:
            by_weight = weight_gradient(events, grad) if ctx.few else grad.T @ events.dense(grad)
        return by_x, by_weight, grad.sum(0) if ctx.needs_input_grad[2] else None, None


Made = tuple[Events, Tensor, Tensor | None]  # the arguments with which `event_linear` makes a current again
MadeOfBits = tuple[Tensor, Tensor, Tensor | None]  # and `bits_linear`


class Current(Tensor):
    """The current [T, B, N] that a `Linear` made of spikes. It knows how, so a scan need not keep it for backward."""

    _made: Made | MadeOfBits | None = None
    _marked: int = -1

    @classmethod
    def mark(cls, current: Tensor, made: Made | MadeOfBits) -> Current:
        """`current` as `Current`, sharing memory and gradient."""
        marked = current.as_subclass(cls)
        marked._made = made
        marked._marked = _version(marked)
        return marked

    @classmethod
    def recipe(cls, current: Tensor) -> Made | None:
        """Return how `current` was made of events, if that is known and it has not been changed in place since."""
        made = cls._recipe(current)
        return made if made is not None and isinstance(made[0], Events) else None

    @classmethod
    def bits_recipe(cls, current: Tensor) -> MadeOfBits | None:
        """The same of spikes as bytes."""
        made = cls._recipe(current)
        return made if made is not None and isinstance(made[0], Tensor) else None

    @classmethod
    def _recipe(cls, current: Tensor) -> Made | MadeOfBits | None:
        if not isinstance(current, cls) or current.is_inference():
            return None
        return current._made if current._marked == current._version else None

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return copy.deepcopy(self.as_subclass(Tensor), memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.as_subclass(Tensor).__reduce_ex__(protocol)

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # results are plain


class Spikes(Tensor):
    """Spikes [T, B, N] in {0, 1} from a compiled scan. Only `torch.nn.functional.linear` treats them specially."""

    _events: Events | None = None
    _bits: Tensor | None = None  # the same as bytes, on a GPU, which has no use for events
    _marked: int = -1  # the tensor's version then; one changed in place since is no longer sure to hold spikes

    @classmethod
    def mark(cls, spikes: Tensor, events: Events | None = None, bits: Tensor | None = None) -> Spikes:
        """`spikes` as `Spikes`, sharing memory and gradient; with their events or bytes if these are known already."""
        marked = spikes.as_subclass(cls)
        marked._events, marked._bits = events, bits
        marked._marked = _version(marked)
        return marked

    def events(self) -> Events:
        """Their events, found once; each time anew where changes in place are not counted."""
        if self._events is None or self.is_inference():
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
            bias = args[2] if len(args) > 2 else None
            if func is functional.linear and not kwargs and _worth_it(args[0], args[1], bias):
                if args[0]._bits is not None:
                    out = BitsLinear.apply(args[0].as_subclass(Tensor), args[1], bias, args[0]._bits)
                    return Current.mark(out, (args[0]._bits, args[1], bias))
                events = args[0].events()
                out = _EventLinear.apply(args[0].as_subclass(Tensor), args[1], bias, events)
                return Current.mark(out, (events, args[1], bias)) if events.few else out
            return func(*args, **(kwargs or {}))


def _worth_it(x: Tensor, weight: Any, bias: Any) -> bool:
    """Return whether `x W^T + b` is to be made of events. What does not fit is left to torch, which says so."""
    if not isinstance(x, Spikes) or not _unchanged(x) or not isinstance(weight, Tensor):
        return False
    fits = weight.ndim == 2 and weight.shape[1] == x.shape[-1] and (bias is None or bias.shape == weight.shape[:1])
    alike = all(w is None or (w.dtype == x.dtype and w.device == x.device) for w in (weight, bias))
    return fits and alike and len(weight) >= SMALL


def _version(x: Tensor) -> int:
    """Return how often `x` was changed in place; tensors of `torch.inference_mode()` do not count."""
    return -1 if x.is_inference() else x._version


def _unchanged(x: Spikes) -> bool:
    """Return whether `x` surely holds spikes still; where changes are not counted, it is looked at."""
    if x.is_inference():
        plain = x.as_subclass(Tensor)
        return bool(((plain == 0) | (plain == 1)).all())
    return x._marked == x._version
