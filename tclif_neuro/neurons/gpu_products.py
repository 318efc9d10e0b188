"""Products of weights with spikes on a GPU: exact integers forward, half-precision parts backward.

A weight matrix in fixed point is `unit` times integers of at most 2^22, in three digits of 8 bits. Products with spikes
are then sums of integers, which have no order, rounded once. Weights on a grid, multiples of a power of two that `unit`
divides, are not changed at all; then spikes are those of the CPU, bit for bit.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

_ROWS = 2**16  # of spikes that are floats at a time, in the gradient of a weight
TILE = {"ROWS": 64, "OUTPUTS": 64, "INPUTS": 64, "STAGES": 3}  # of a product with spikes
WARPS = 8
PARTS_UP_TO = {8: 64, 9: 128}  # neurons whose R fits in two parts of half precision, by the card's generation

# Bytes of a multiprocessor's memory that the recurrent kernels need, by the padded number of neurons; `python -m
# scripts.gpu_table` prints them, and a test holds them to what is compiled.
SHARED = {32: 32768, 64: 32768, 128: 98304, 256: 221184}


def padded(size: int) -> int:
    """Return the neurons of a recurrent tile: a power of two, as Triton wants, and enough for the tensor cores."""
    return max(32, 1 << (size - 1).bit_length())


def fits(size: int, device: torch.device) -> bool:
    """Return whether R of `size` neurons fits a multiprocessor of the card, or the interpreter's patience."""
    need = SHARED.get(padded(size))
    if need is None or device.type != "cuda":
        return need is not None
    card = torch.cuda.get_device_properties(device)
    return need <= getattr(card, "shared_memory_per_block_optin", 0)


def on(x: Tensor) -> Any:
    """The device of `x`, where kernels are then launched."""
    return torch.cuda.device(x.device) if x.device.type == "cuda" else nullcontext()


def number_of_parts(size: int, device: torch.device) -> int:
    """Return in how many parts of half precision R of `size` neurons, padded, is held backward."""
    generation = torch.cuda.get_device_capability(device)[0] if device.type == "cuda" else 9
    return 2 if size <= PARTS_UP_TO.get(generation, 64) else 1


def power_of_two(x: Tensor) -> Tensor:
    """Return the exponent e of the least 2^e above |x|."""
    return torch.frexp(x.abs()).exponent


def fixed_point(weight: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """The digits of `weight` [N, M] / unit, lowest first, [3, rows, columns] int8 with zeros outside; and unit [1].

    unit: the least power of two with which no digit and no sum of a row overflows; NaN if a weight is not finite.
    """
    sums = weight.abs().sum(1).amax()
    exponent = torch.maximum(power_of_two(weight.abs().amax()) - 22, power_of_two(sums) - 30)
    unit = torch.ldexp(torch.ones_like(sums), exponent)
    whole = (weight / unit).round().nan_to_num(0.0, 0.0, 0.0).to(torch.int32)
    digits = []
    for _ in range(3):
        digit = ((whole + 128) & 255) - 128
        digits.append(digit.to(torch.int8))
        whole = (whole - digit) >> 8
    unit = torch.where(sums.isfinite(), unit, torch.nan)
    return _pad(torch.stack(digits), rows, columns), unit.reshape(1)


def half_parts(weight: Tensor, size: int, number: int) -> tuple[Tensor, Tensor]:
    """`weight`^T / unit in `number` parts of half precision, one or two, [number, size, size]; and unit [1]."""
    largest = weight.abs().amax()
    unit = torch.ldexp(torch.ones_like(largest), power_of_two(largest))
    scaled = weight.T / unit
    high = scaled.half()
    parts = [high, (scaled - high.float()).half()][:number]
    return _pad(torch.stack(parts), size, size), torch.where(largest.isfinite(), unit, torch.nan).reshape(1)


def _pad(matrices: Tensor, rows: int, columns: int) -> Tensor:
    return functional.pad(matrices, (0, columns - matrices.shape[2], 0, rows - matrices.shape[1])).contiguous()


def total_current(current: Tensor, first: Tensor, bits: Tensor, recurrent: Tensor) -> Tensor:
    """`I[t] + R S[t-1]` [T, B, N] as the recurrent kernel made it, to the bit. first: S[-1]; bits: S as bytes."""
    total = torch.empty_like(current)
    digits, unit = fixed_point(recurrent, *recurrent.shape)
    add_product(current[:1], (first != 0).to(torch.int8)[None], digits, unit, total[:1])
    add_product(current[1:], bits[:-1], digits, unit, total[1:])
    return total


def add_product(base: Tensor, spikes: Tensor, digits: Tensor, unit: Tensor, out: Tensor) -> None:
    """out [..., N] = base [..., N] or [N] + spikes [..., M] (unit digits)^T, the product exact, and rounded once."""
    from tclif_neuro.neurons import gpu_dots

    rows, inputs, outputs = spikes.shape[:-1].numel(), spikes.shape[-1], out.shape[-1]
    if rows == 0:
        return
    grid = (-(-rows // TILE["ROWS"]), -(-outputs // TILE["OUTPUTS"]))
    with on(out):
        gpu_dots.add_product[grid](
            base, spikes, digits, unit, out, rows, inputs, outputs, *digits.shape[1:], 0 if base.ndim == 1 else outputs,
            **TILE,            num_warps=WARPS, enable_fp_fusion=False,
        )  # fmt: skip


def weight_gradient(bits: Tensor, grad: Tensor) -> Tensor:
    """`grad^T spikes` [N, M], of grad [..., N] and spikes [..., M] as bytes, which are floats a few rows at a time."""
    spikes, grad = bits.reshape(-1, bits.shape[-1]), grad.reshape(-1, grad.shape[-1])
    total = grad.new_zeros(grad.shape[1], spikes.shape[1])
    for start in range(0, len(grad), _ROWS):
        total.addmm_(grad[start : start + _ROWS].T, spikes[start : start + _ROWS].to(grad.dtype))
    return total


def bits_linear(bits: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`spikes weight^T + bias` [..., N] for spikes [..., M] as bytes; always the same to the bit."""
    out = weight.new_empty(*bits.shape[:-1], len(weight))
    base = weight.new_zeros(len(weight)) if bias is None else bias.detach()
    wide = (-(-n // 16) * 16 for n in weight.shape)  # aligned rows load faster
    add_product(base, bits, *fixed_point(weight.detach(), *wide), out)
    return out


class BitsLinear(torch.autograd.Function):
    """`bits_linear` of float spikes whose bytes are known; of the spikes it keeps the bytes alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, bits: Tensor) -> Tensor:
        """x: the spikes as floats, to which the gradient goes."""
        ctx.save_for_backward(weight, bits)
        return bits_linear(bits, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Both products in the precision that the user has set in torch."""
        weight, bits = ctx.saved_tensors
        wants_x, wants_weight, wants_bias, _ = ctx.needs_input_grad
        by_x = grads[0] @ weight if wants_x else None
        by_weight = weight_gradient(bits, grads[0]) if wants_weight else None
        return by_x, by_weight, grads[0].flatten(0, -2).sum(0) if wants_bias else None, None
