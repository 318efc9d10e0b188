"""The door to the compiled passes: what a layer is given is compared, size by size and type by type, before it is used.

A compiled pass reads and writes without looking at bounds, and torch broadcasts what does not fit: both would answer.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tclif_neuro.errors import TclifError, TclifWarning


def expect(what: str, x: Tensor, shape: Sequence[int], like: Tensor) -> None:
    """Raise `TclifError` unless `x` are floats of this shape, and of the type and device of `like`."""
    if tuple(x.shape) != tuple(shape):
        raise TclifError(f"{what}: {list(shape)} expected, got {list(x.shape)}")
    if not x.is_floating_point():
        raise TclifError(f"{what}: floats expected, got {x.dtype}")
    if x.dtype != like.dtype or x.device != like.device:
        raise TclifError(
            f"{what}: {like.dtype} on {like.device} expected, got {x.dtype} on {x.device}; convert one of them"
        )


def check_tensor(name: str, x: Any) -> None:
    """Raise `TclifError` unless `x` is a tensor of numbers that lie in memory one by one."""
    if not isinstance(x, Tensor):
        raise TclifError(
            f"{name}: a torch.Tensor expected, got a {type(x).__name__}; convert it, as by torch.as_tensor"
        )
    if x.is_nested or x.layout != torch.strided:
        kind = "nested" if x.is_nested else str(x.layout).removeprefix("torch.")
        raise TclifError(f"{name}: a dense tensor expected, got a {kind} one; convert it, as by to_dense()")


def _tracing() -> bool:
    """Return whether torch records operations for a graph: sizes are then symbols, and a comparison would fix them."""
    return torch._C._get_tracing_state() is not None


def check_current(name: str, current: Any, ndim: int, size: int) -> None:
    """Raise `TclifError` unless `current` is a float tensor [T, B, N] (ndim 3) or [B, N] for `size` neurons."""
    if _tracing():
        if ndim == 3:
            raise TclifError(
                f"{name}: a loop over time cannot be traced (jit.trace, onnx.export); trace one step, "
                "or export by tn.quantize"
            )
        return
    check_tensor(name, current)
    if current.ndim != ndim or current.shape[-1] != size:
        wanted = ", ".join(["T", "B", str(size)][-ndim:])
        raise TclifError(f"{name}: input [{wanted}] expected, got {list(current.shape)}")
    if not current.is_floating_point():
        raise TclifError(f"{name}: a current of floats expected, got {current.dtype}; use .float()")


def check_features(name: str, x: Any, size: int) -> None:
    """Raise `TclifError` unless `x` is a float tensor [..., N] with `size` features."""
    check_tensor(name, x)
    if x.ndim < 2 or x.shape[-1] != size or not x.is_floating_point():
        raise TclifError(f"{name}: floats [T, B, {size}] expected, got {list(x.shape)} of {x.dtype}")


def check_state(name: str, state: Any, kind: type[tuple[Tensor, ...]], row: Tensor) -> None:
    """Raise `TclifError` unless `state` is a `kind` of tensors of the batch and the neurons of `row` [B, N].

    row: the current of one step. Its type may differ, as under autocast, where the plain path is taken.
    """
    if not isinstance(state, kind):
        raise TclifError(f"{name}: the state is a {type(state).__name__}; a {kind.__name__} expected")
    if _tracing():
        return
    for part in state:
        if not isinstance(part, Tensor) or part.shape != row.shape:
            got = list(part.shape) if isinstance(part, Tensor) else type(part).__name__
            raise TclifError(
                f"{name}: a state of {got}, a current of {list(row.shape)} (samples, neurons); carry a state on with "
                "the batch that it belongs to, or begin at rest with state=None"
            )
        if not part.is_floating_point() or part.device != row.device:
            raise TclifError(
                f"{name}: a state of {part.dtype} on {part.device} with a current of {row.dtype} on {row.device}"
            )


def say_not_finite(name: str, potential: Tensor) -> None:
    """Warn of a membrane potential [B, N] of NaN or infinity: that neuron never fires, and no layer after it tells.

    What is not finite stays so, hence the potential after a sequence suffices. On a card nothing is looked at, since it
    would have to be waited for; nor where torch records a graph or maps the function.
    """
    if potential.device.type != "cpu" or _tracing() or torch._C._functorch.peek_interpreter_stack() is not None:
        return
    total = potential.detach().sum()  # a step is short: one sum costs a tenth of looking at each
    if not math.isfinite(total) and not potential.isfinite().all():
        warnings.warn(
            f"{name} of {potential.shape[-1]} neurons: a membrane potential is NaN or infinite, and its neuron will "
            "not fire again; an input or a weight before it is not finite, or couplings let states grow without end",
            TclifWarning,
            stacklevel=2,
        )


def check_layer(
    name: str, current: Tensor, coefficients: tuple[Tensor, Tensor, Tensor, Tensor], recurrent: Tensor | None
) -> None:
    """Raise `TclifError` unless the coefficients and R fit currents [T, B, N].

    coefficients: a1, a2 [K, n], with K at least 1; b1, b2 [n]; n is 1 or N. recurrent: R [N, N] or None.
    """
    if current.ndim != 3:
        raise TclifError(f"{name}: currents [T, B, N] expected, got {list(current.shape)}")
    size = current.shape[2]
    for label, c, ndim in zip(("a1", "a2", "b1", "b2"), coefficients, (2, 2, 1, 1), strict=True):
        if c.ndim != ndim or c.shape[-1] not in (1, size) or len(c) == 0:
            wanted = ["K", f"1 or {size}"][-ndim:]
            raise TclifError(f"{name}: {label} {wanted} expected for {size} neurons, got {list(c.shape)}")
    if recurrent is not None and tuple(recurrent.shape) != (size, size):
        raise TclifError(f"{name}: recurrent weights {[size, size]} expected, got {list(recurrent.shape)}")
