"""A layer's constants besides its parameters: kept in its state dict, compared on loading, shown by `print`."""

from __future__ import annotations

import functools
import json
import numbers
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tclif_neuro.errors import TclifError

_KEY = nn.modules.module._EXTRA_STATE_KEY_SUFFIX


def plain_number(owner: str, name: str, value: Any) -> None:
    """Raise `TclifError` unless `value` is one number: a layer's constant is not learnt, nor one per neuron."""
    if isinstance(value, Tensor) or not isinstance(value, numbers.Real | str | bool):
        what = f"a {type(value).__name__}" + (f" of {list(value.shape)}" if hasattr(value, "shape") else "")
        raise TclifError(f"{owner}: {name} is {what}; it is one number for the layer, and is not learnt")


class Constants(nn.Module):
    """A module whose `constants`, attributes by name, are part of its state dict.

    They are stored as one tensor, the bytes of a JSON text, so that a state dict holds tensors alone. Loading a state
    with other values is an error that names them; a state without any, of an earlier version, still loads.
    """

    constants: ClassVar[tuple[str, ...]] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.constants and not (isinstance(value, str | bool) or is_dataclass(value)):
            plain_number(type(self).__name__, name, value)
        super().__setattr__(name, value)

    def constant_values(self) -> dict[str, Any]:
        """The constants, as plain values."""
        found = {name: getattr(self, name) for name in self.constants}
        return {name: asdict(v) if is_dataclass(v) else v for name, v in found.items()}  # type: ignore[arg-type]

    def get_extra_state(self) -> Tensor:
        """The constants, as bytes of JSON."""
        text = json.dumps(self.constant_values(), default=float).encode()
        return torch.frombuffer(bytearray(text), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Nothing: the constants are compared, in `_load_from_state_dict`, and never changed."""

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        key = prefix + _KEY
        if key in missing_keys:
            missing_keys.remove(key)
        elif key in state_dict:
            error_msgs.extend(f"{prefix.rstrip('.')}: {what}" for what in self._differences(state_dict[key]))

    def _differences(self, state: Any) -> list[str]:
        """In which constants a state differs, each in words."""
        try:
            stored = json.loads(bytes(state.tolist()))
            stored = dict(stored)
        except (AttributeError, TypeError, ValueError):
            return ["the constants in the state cannot be read"]
        own = json.loads(json.dumps(self.constant_values(), default=float))
        names = [name for name in own if name in stored and stored[name] != own[name]]
        return [
            f"{name} is {stored[name]} in the state, {own[name]} in this {type(self).__name__}; make it with the same"
            for name in names
        ]

    def extra_repr(self) -> str:
        """Return what the module shows anyway, and its constants."""
        shown = [f"{name}={getattr(self, name)!r}" for name in self.constants]
        return ", ".join([super().extra_repr(), *shown] if super().extra_repr() else shown)


def outside_graphs(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`forward` of a layer, around which `torch.compile` breaks its graph: it runs as it is, and gives a plain tensor.

    `torch.compiler.disable` does that, but takes seconds to import; so it is called where something is being compiled.
    """

    def plainly(*args: Any, **kwargs: Any) -> Tensor:
        return forward(*args, **kwargs).as_subclass(Tensor)

    @functools.wraps(forward)
    def called(*args: Any, **kwargs: Any) -> Tensor:
        if torch.compiler.is_compiling():
            return torch.compiler.disable(plainly)(*args, **kwargs)
        return forward(*args, **kwargs)

    return called
