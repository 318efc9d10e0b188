"""Weights that a hook makes before each forward pass: torch's `weight_norm`, `spectral_norm` and `prune`.

Between passes such a weight is out of date: after an optimiser's step, or after `load_state_dict`. Who reads one
without calling the module makes it first.
"""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

_M = TypeVar("_M", bound=nn.Module)
_MAKERS = (WeightNorm, SpectralNorm, BasePruningMethod)


def made_by_hooks(module: nn.Module) -> dict[int, str]:
    """The weights of `module` itself that hooks make: their names, by the hooks' ids."""
    return {
        key: hook._tensor_name if isinstance(hook, BasePruningMethod) else hook.name
        for key, hook in module._forward_pre_hooks.items()
        if isinstance(hook, _MAKERS)
    }


def make_weights(module: nn.Module) -> None:
    """Run the hooks of `module` itself that make its weights, as its forward pass would."""
    for key in made_by_hooks(module):
        module._forward_pre_hooks[key](module, ())


def foreign_hooks(module: nn.Module) -> bool:
    """Return whether `module` has other hooks of its forward pass than `made_by_hooks`'s: what they do is not known."""
    makers = made_by_hooks(module)
    return bool(module._forward_hooks) or any(key not in makers for key in module._forward_pre_hooks)


def plain_copy(module: _M) -> _M:
    """A copy with plain parameters in the place of parametrizations and of weights made by hooks, now up to date.

    torch's own removal of parametrizations works on the class, which copies share: it would break `module`.
    """
    plain = copy.deepcopy(module)
    for part in plain.modules():
        for key, name in made_by_hooks(part).items():
            del part._forward_pre_hooks[key]
            value = getattr(part, name)
            delattr(part, name)
            for kept in [n for n in (*part._parameters, *part._buffers) if n.startswith(f"{name}_")]:
                delattr(part, kept)
            part.register_parameter(name, _parameter(value))
        if parametrize.is_parametrized(part):
            assert isinstance(part.parametrizations, nn.ModuleDict)
            values = {
                name: _parameter(getattr(part, name), kept.original.requires_grad)
                for name, kept in part.parametrizations.items()
            }
            part.__class__ = parametrize.type_before_parametrizations(part)
            del part.parametrizations
            for name, value in values.items():
                part.register_parameter(name, value)
    return plain


def _parameter(value: Tensor, requires_grad: bool = True) -> nn.Parameter:
    return nn.Parameter(value.detach().clone(), requires_grad=requires_grad)
