"""The scan's engine on a GPU: whether it runs, and the one differentiable call. Triton is imported late."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tclif_neuro.errors import TclifError, warn
from tclif_neuro.neurons import gpu_launch
from tclif_neuro.neurons.gpu_launch import Kept
from tclif_neuro.neurons.gpu_products import bits_linear, fits, total_current, weight_gradient
from tclif_neuro.neurons.step import LIFParams, TCLIFParams


@cache
def missing() -> str:
    """Return why Triton cannot be used in this process; nothing where it can."""
    try:
        import triton
        import triton.language as tl
    except ImportError:
        return 'Triton is not installed (pip install "tclif-neuro[gpu]", on Linux, from Python 3.11)'
    return "" if hasattr(tl, "range") else f"Triton {triton.__version__} is too old; 3.7 is known to work"


@cache
def _say(message: str) -> None:
    """Warn once in a process."""
    warn(message)


def interpreted() -> bool:
    """Return whether Triton's interpreter runs the kernels on the CPU, for tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def runs(x: Tensor, recurrent: Tensor | None) -> bool:
    """Return whether Triton, asked for by name, runs currents like `x` [T, B, N] through a layer with R or None: those
    in float32 on an NVIDIA card of compute capability 8 or more, or interpreted.

    Other types and, beside a card, tensors on the CPU are left to the other engines; so is a recurrent layer whose
    weights do not fit a multiprocessor's memory, with a warning. Raises `TclifError` where Triton can run nothing.
    """
    _check(x.device)
    here = x.device.type == "cuda" or interpreted()
    if not here or x.dtype != torch.float32 or x.numel() == 0:
        return False
    if recurrent is None or fits(len(recurrent), x.device):
        return True
    _say(
        f"TCLIF_SCAN=triton: the recurrent weights of {len(recurrent)} neurons do not fit a multiprocessor of "
        f"{x.device}; that layer runs without Triton"
    )
    return False


def _check(device: torch.device) -> None:
    """Raise `TclifError` where Triton is missing or cannot run on `device`, or beside the CPU there is no card."""
    if device.type == "cpu":
        wrong = "" if interpreted() or torch.cuda.is_available() else "torch sees no NVIDIA card here"
    elif device.type != "cuda" or not torch.version.cuda:
        wrong = f"a tensor is on {device}, which is no NVIDIA card"
    else:
        capability = torch.cuda.get_device_capability(device)
        wrong = "" if capability >= (8, 0) else f"{device} is of compute capability {capability[0]}.{capability[1]} < 8"
    wrong = missing() or wrong
    if wrong:
        raise TclifError(f"TCLIF_SCAN=triton: {wrong}; without TCLIF_SCAN every layer runs, on every device")


class Scan(torch.autograd.Function):
    """A layer's sequence, forward and backward: (spikes, state after, spikes as bytes)."""

    @staticmethod
    def forward(
        ctx: Any,
        p: TCLIFParams | LIFParams,
        made: tuple[Tensor, Tensor, Tensor | None] | None,
        current: Tensor,
        state: Tensor,
        recurrent: Tensor | None,
        *coefficients: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run `gpu_launch.forward`. made: the arguments of `bits_linear`, if it made the current and can again."""
        a1, a2, b1, b2 = coefficients
        weight = None if recurrent is None else recurrent.detach()
        current = current.detach().contiguous()
        spikes, end, kept = gpu_launch.forward(p, current, state.detach(), weight, (a1, a2, b1, b2))
        source = (kept.current, None, None) if made is None else (made[0], made[1], made[2])
        ctx.save_for_backward(*source, *kept[1:], recurrent, a1, a2, b1, b2)
        ctx.made = made is not None
        ctx.p = p
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(kept.bits)
        return spikes, end, kept.bits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Run `gpu_launch.backward`; R's gradient is one product over all steps."""
        *source, first, states, bits, recurrent, a1, a2, b1, b2 = ctx.saved_tensors
        current = bits_linear(*source) if ctx.made else source[0]
        kept, coefficients = Kept(current, first, states, bits), (a1, a2, b1, b2)
        wants_current, wants_state, wants_recurrent, *wants = ctx.needs_input_grad[2:]
        grad = torch.zeros_like(kept.current) if grads[0] is None else grads[0].contiguous()
        to_state = grad.new_zeros(3, *kept.first.shape) if grads[1] is None else grads[1].contiguous()
        if recurrent is not None:
            kept = kept._replace(current=total_current(kept.current, kept.first, kept.bits, recurrent))
        to = grad, to_state
        found = gpu_launch.backward(ctx.p, kept, recurrent, coefficients, to, (any(wants[:2]), any(wants[2:])))
        by_recurrent = None
        if recurrent is not None and wants_recurrent:
            by_recurrent = weight_gradient(kept.bits[:-1], found.current[1:]) + found.current[0].T @ kept.first
        by_sequence = (found.current if wants_current else None, found.state if wants_state else None, by_recurrent)
        each = (g for pair in found[2:] for g in ((None, None) if pair is None else pair))
        return None, None, *by_sequence, *(narrow(g, c) for g, c in zip(each, coefficients, strict=True))


def narrow(grad: Tensor | None, like: Tensor) -> Tensor | None:
    """The gradient of a coefficient that was broadcast from `like`, in its shape and type."""
    return None if grad is None else grad.sum_to_size(like.shape).to(like.dtype)
