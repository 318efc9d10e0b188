"""The Triton kernels' launches: the tensors that they want, their grids and tiles. Triton is imported late."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tclif_neuro.neurons.gpu_products import fixed_point, half_parts, number_of_parts, on, padded
from tclif_neuro.neurons.step import LIFParams, TCLIFParams

SEGMENT = 16  # steps between kept states
BLOCK = 128  # neurons of a feed-forward tile
STAGES = 8  # loads in flight in a feed-forward tile
PROGRAMS = 2048  # feed-forward tiles that walk back at a time, each with its scratch
SAMPLES = 8  # samples of a recurrent tile: the fewest columns of the tensor cores
RECURRENT_STAGES = 2

NONE, OVER_STEPS, OVER_TILE, PER_LANE = range(4)  # as in `gpu_kernels`

Coefficients = tuple[Tensor, Tensor, Tensor, Tensor]


class Kept(NamedTuple):
    """Left by a forward pass for the backward pass: the current, S[-1], the kept states, the spikes as bytes."""

    current: Tensor
    first: Tensor
    states: Tensor
    bits: Tensor


class Gradients(NamedTuple):
    """dE/dI, dE/d(UD, US, S) before the first step, and dE/da1, dE/da2 [2, rows, N or 1], dE/db1, dE/db2 [2, N]."""

    current: Tensor
    state: Tensor
    decays: Tensor | None
    couplings: Tensor | None


def forward(
    p: TCLIFParams | LIFParams, current: Tensor, state: Tensor, recurrent: Tensor | None, coefficients: Coefficients
) -> tuple[Tensor, Tensor, Kept]:
    """Spikes [T, B, N], the state after [3, B, N] and what `backward` needs, for the currents [T, B, N] and a state."""
    from tclif_neuro.neurons import gpu_kernels

    steps, batch, size = current.shape
    wide, rows = _wide(coefficients, size)
    spikes, bits, end = torch.empty_like(current), torch.empty_like(current, dtype=torch.int8), state.clone()
    kept = Kept(current, state[2], current.new_empty(-(-steps // SEGMENT), 2, batch, size), bits)
    arrays = current, end, spikes, bits, kept.states, *wide
    sizes = steps, batch * size, size, rows, _gamma(p), p.vth
    options = {"RESET": p.reset, "SCHEDULED": rows > 1, "SEGMENT": SEGMENT}
    with on(current):
        if recurrent is None:
            grid = (-(-batch * size // BLOCK),)
            gpu_kernels.forward[grid](*arrays, *sizes, **options, **neurons_tile())
        else:
            planes = fixed_point(recurrent, padded(size), padded(size))
            grid = (-(-batch // SAMPLES),)
            gpu_kernels.recurrent_forward[grid](*arrays, *planes, *sizes, **options, **samples_tile(size))
    return spikes, end, kept


def backward(
    p: TCLIFParams | LIFParams,
    kept: Kept,
    recurrent: Tensor | None,
    coefficients: Coefficients,
    to: tuple[Tensor, Tensor],
    wants: tuple[bool, bool],
) -> Gradients:
    """The gradients, from those of the spikes and of the state after. wants: those of a1 and a2, of b1 and b2.

    kept: that of `forward`; in a recurrent layer its current is the whole one, `I[t] + R S[t-1]`.
    """
    from tclif_neuro.neurons import gpu_kernels

    grad, to_state = to[0], to[1].clone()
    (_, batch, size), out = grad.shape, torch.empty_like(grad)
    tile = neurons_tile() if recurrent is None else samples_tile(size)
    blocks = -(-batch * size // BLOCK) if recurrent is None else -(-batch // SAMPLES)
    programs = min(blocks, PROGRAMS) if recurrent is None else blocks
    scratch = grad.new_empty(programs, SEGMENT, 2, BLOCK if recurrent is None else padded(size) * SAMPLES)
    wide, rows = _wide(coefficients, size)
    sums = Sums.of(coefficients, wants, grad, blocks)
    arrays = kept.current, kept.states, kept.first, grad, to_state, out, scratch, sums.decays, sums.couplings, *wide
    sizes = len(grad), batch * size, size, rows, blocks, *_constants(p)
    options = {"RESET": p.reset, "SURROGATE": p.surrogate.name, "SCHEDULED": rows > 1, "SEGMENT": SEGMENT, **tile}
    options |= {"BY_A": sums.mode, "BY_B": wants[1]}
    with on(grad):
        if recurrent is None:
            gpu_kernels.backward[(programs,)](*arrays, *sizes, **options)
        else:
            parts = half_parts(recurrent, padded(size), number_of_parts(padded(size), grad.device))
            gpu_kernels.recurrent_backward[(programs,)](*arrays, *parts, *sizes, PARTS=len(parts[0]), **options)
    return Gradients(out, to_state, *sums.gradients(rows))


def neurons_tile() -> dict[str, Any]:
    """The tile of a feed-forward layer, and its launch: products and sums are rounded one by one, as on the CPU."""
    return {"BLOCK": BLOCK, "STAGES": STAGES, "num_warps": BLOCK // 32, "enable_fp_fusion": False}


def samples_tile(size: int) -> dict[str, Any]:
    """The tile of a recurrent layer, and its launch. Fewer warps would leave their threads too few registers."""
    warps = 4 if padded(size) <= 64 else 8
    tile = {"N": padded(size), "SAMPLES": SAMPLES, "STAGES": RECURRENT_STAGES}
    return {**tile, "num_warps": warps, "enable_fp_fusion": False}


class Sums(NamedTuple):
    """Memory for the sums of the coefficients' gradients, lane by lane; those that are not wanted have none."""

    decays: Tensor
    couplings: Tensor
    mode: int

    @classmethod
    def of(cls, coefficients: Coefficients, wants: tuple[bool, bool], current: Tensor, blocks: int) -> Sums:
        """Room for the gradients that are wanted, of [2, ...]."""
        steps, batch, size = current.shape
        a1, a2 = coefficients[:2]
        scheduled, shared = len(a1) > 1, a1.shape[1] == a2.shape[1] == 1
        mode = NONE if not wants[0] else OVER_STEPS if not scheduled else OVER_TILE if shared else PER_LANE
        shape = {NONE: (0,), OVER_STEPS: (batch, size), OVER_TILE: (steps, blocks), PER_LANE: (steps, batch, size)}
        decays = current.new_zeros(2, *shape[mode], dtype=torch.float64 if mode == OVER_STEPS else torch.float32)
        couplings = current.new_zeros(2, *((batch, size) if wants[1] else (0,)), dtype=torch.float64)
        return cls(decays, couplings, mode)

    def gradients(self, rows: int) -> tuple[Tensor | None, Tensor | None]:
        """Those of a1 and a2, [2, rows, N] or, summed over the neurons, [2, rows, 1]; those of b1 and b2, [2, N]."""
        by_b = self.couplings.sum(1) if self.couplings.numel() else None
        if self.mode == NONE:
            return None, by_b
        if self.mode == OVER_STEPS:
            return self.decays.sum(1, keepdim=True), by_b
        by_step = self.decays.sum(2, keepdim=self.mode == OVER_TILE, dtype=torch.float64)
        row = torch.arange(by_step.shape[1], device=by_step.device).clamp(max=rows - 1)
        return by_step.new_zeros(2, rows, by_step.shape[2]).index_add_(1, row, by_step), by_b


def _wide(coefficients: Coefficients, size: int) -> tuple[list[Tensor], int]:
    """a1, a2 [rows, N] and b1, b2 [N]; and the rows."""
    rows = len(coefficients[0])
    return [c.detach().expand(*c.shape[:-1], size).contiguous() for c in coefficients], rows


def _gamma(p: TCLIFParams | LIFParams) -> float:
    return p.gamma if isinstance(p, TCLIFParams) else 0.0


def _constants(p: TCLIFParams | LIFParams) -> tuple[float, ...]:
    """gamma and Vth; both, and 1, as the gradient sees the reset; the surrogate's slope."""
    kept = 1.0 if p.reset_grad == "keep" else 0.0
    slope = p.surrogate.k * (math.pi if p.surrogate.name == "arctan" else 1.0)
    return _gamma(p), p.vth, kept * _gamma(p), kept * p.vth, kept, slope
