"""A second device that computes: tensors that say they are on `meta`, and hold their numbers on the CPU all the same.

It is as strict as a GPU: an operation takes tensors of one device, a random one the device's own generator, and nothing
becomes a NumPy array that was not copied to the CPU before. So what forgets a device fails here as it would there.

    with elsewhere():
        model.to(ELSEWHERE)(x.to(ELSEWHERE)).sum().backward()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

ELSEWHERE = torch.device("meta")
_CROSSING = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)  # what goes from one device to another


class _There(Tensor):
    """A tensor of the other device. numbers: what it holds, on the CPU."""

    numbers: Tensor

    @staticmethod
    def __new__(cls, real: Tensor) -> _There:
        made = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, real.shape, strides=real.stride(), dtype=real.dtype, device=ELSEWHERE
        )
        made.numbers = real
        assert isinstance(made, _There)
        return made

    is_meta = property(lambda self: False)  # type: ignore[assignment]  # a meta tensor cannot be loaded into, say

    def as_subclass(self, cls: Any) -> Any:
        """Itself: that it is a class of its own is to be seen by nobody."""
        return self

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        raise RuntimeError(f"{func}: a tensor has outlived `elsewhere()`")


class _Data(TorchFunctionMode):
    """Tensors made of numbers in Python go to the device by way of the CPU; torch would make real ones of `meta`."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is Tensor.new_tensor:
            like, *args_ = args
            return torch.tensor(*args_, **{"dtype": like.dtype, **(kwargs or {})}).to(like.device)
        return func(*args, **(kwargs or {}))


class _Elsewhere(TorchDispatchMode):
    """Every operation on the device. double: whether it has float64, which MPS does not."""

    def __init__(self, double: bool) -> None:
        super().__init__()
        self.double, self.generator = double, torch.Generator().manual_seed(0)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
        there = [tensor for tensor in tensors if isinstance(tensor, _There)]
        self._check(func, tensors, there)
        asked = kwargs.get("device")
        to = bool(there) if asked is None else torch.device(asked).type == ELSEWHERE.type
        if func is torch.ops.aten.copy_.default:
            to = isinstance(args[0], _There)
        if asked is not None:
            kwargs["device"] = torch.device("cpu")
        run = partial(func, *tree_map(_real, args), **tree_map(_real, kwargs))
        out = self._drawn(func, kwargs, run) if to and torch.Tag.nondeterministic_seeded in func.tags else run()
        known = {id(tensor.numbers): tensor for tensor in there}  # an operation in place returns what it was given
        return tree_map(lambda x: self._placed(x, known) if to else x, out)

    def _check(self, func: Any, tensors: list[Tensor], there: list[_There]) -> None:
        here = [tensor for tensor in tensors if not isinstance(tensor, _There) and tensor.ndim]
        if there and here and func not in _CROSSING:
            raise RuntimeError(f"{func}: tensors of two devices, {[list(t.shape) for t in tensors]}")

    def _placed(self, x: Any, known: dict[int, _There]) -> Any:
        if not isinstance(x, Tensor):
            return x
        if x.dtype == torch.float64 and not self.double:
            raise TypeError("the device has no float64")
        return known.get(id(x)) if id(x) in known else _There(x)

    def _drawn(self, func: Any, kwargs: dict[str, Any], run: Callable[[], Any]) -> Any:
        if kwargs.get("generator") is not None:
            raise RuntimeError(f"{func}: a generator of the CPU for a tensor elsewhere")
        before = torch.get_rng_state()
        torch.set_rng_state(self.generator.get_state())
        out = run()
        self.generator.set_state(torch.get_rng_state())
        torch.set_rng_state(before)
        return out


def _real(x: Any) -> Any:
    return x.numbers if isinstance(x, _There) else x


@contextmanager
def elsewhere(*, double: bool = True) -> Iterator[None]:
    """Inside, `ELSEWHERE` is a device that computes, with a generator of its own as `torch.cuda` has one."""
    import torch._dynamo  # which an optimiser imports, and which then makes tensors of its own

    mode = _Elsewhere(double)
    torch.meta = SimpleNamespace(  # type: ignore[attr-defined]
        get_rng_state=lambda device: mode.generator.get_state(),
        set_rng_state=lambda state, device: mode.generator.set_state(state),
    )
    try:
        with _Data(), mode:
            yield
    finally:
        del torch.meta  # type: ignore[attr-defined]
