"""A recurrent layer's products in Triton: its weights stay on the chip, its neurons are the rows of the tensor cores.

Forward, `R S[t-1]` is exact: R is in fixed point, `unit` times integers of 24 bits, whose three digits of 8 bits are
each multiplied with the spikes as integers. Integer sums have no order; the one rounding is that of the result to
float32. Backward, dE/dI is real: `R^T dE/dI[t+1]` is of half-precision parts of both, two of the gradient, scaled to
each sample's largest, and one or two of R.
"""

from __future__ import annotations

import triton
import triton.language as tl

from tclif_neuro.neurons.gpu_steps import part


@part
def _square(N: tl.constexpr):
    return tl.arange(0, N)[:, None] * N + tl.arange(0, N)[None, :]


@part
def load_planes(planes, unit, N: tl.constexpr):
    """The digits of R / unit, lowest first, of [3, N to, N from] int8, each in -128 ... 127; and unit, a power of 2."""
    at = planes + _square(N)
    return tl.load(at), tl.load(at + N * N), tl.load(at + 2 * N * N), tl.load(unit)


@part
def exact(planes, spikes):
    """The integers `R / unit S`. R, its planes, may be a block of columns: sums wrap, and the last one fits."""
    low, middle, high, _ = planes
    return (tl.dot(high, spikes) * 256 + tl.dot(middle, spikes)) * 256 + tl.dot(low, spikes)


@part
def carried(planes, spikes):
    """`R S[t-1]` [N to, samples] for the spikes [N from, samples]."""
    return exact(planes, (spikes != 0).to(tl.int8)).to(tl.float32) * planes[3]


@part
def load_parts(parts, unit, N: tl.constexpr, PARTS: tl.constexpr):
    """R^T / unit in half precision, of [PARTS, N from, N to]; what that leaves out, or the same again; and unit."""
    at = parts + _square(N)
    return tl.load(at), tl.load(at + (PARTS - 1) * N * N), tl.load(unit), PARTS


@part
def carried_back(weights, to_current):
    """`R^T dE/dI[t+1]` [N from, samples]."""
    high, low, unit, PARTS = weights
    # The power of two in each sample's largest, and its inverse: by their bits, so that scaling rounds nothing.
    size = tl.abs(to_current)
    largest = tl.max(tl.where(size == size, size, 0.0), axis=0)  # a NaN is none, and goes its way
    power = largest.to(tl.int32, bitcast=True) & 0x7F800000
    scaled = to_current * (0x7F000000 - power).to(tl.float32, bitcast=True)[None, :]
    half = scaled.to(tl.float16)
    rest = (scaled - half.to(tl.float32)).to(tl.float16)
    both = tl.permute(tl.join(half, rest), (0, 2, 1)).reshape(half.shape[0], 2 * half.shape[1])
    product = tl.dot(high, both).reshape(half.shape[0], 2, half.shape[1])  # side by side: R is read once
    upper, lower = tl.split(tl.permute(product, (0, 2, 1)))
    total = upper + lower
    if PARTS == 2:
        total += tl.dot(low, half)
    return total * (power.to(tl.float32, bitcast=True) * unit)[None, :]


@triton.jit(do_not_specialize=["rows"])
def add_product(
    base, spikes, digits, unit, out, rows, inputs, outputs, to_size, from_size, base_step,
    ROWS: tl.constexpr, OUTPUTS: tl.constexpr, INPUTS: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """out [rows, outputs] = base + spikes [rows, inputs] R^T; digits [3, to_size, from_size], unit: R.

    R may be padded by zeros. base: a row of outputs every base_step, or at 0 one for all.
    """
    row = (tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS))[:, None]
    output = (tl.program_id(1) * OUTPUTS + tl.arange(0, OUTPUTS))[None, :]
    inside, plane = (row < rows) & (output < outputs), to_size * from_size
    total = tl.zeros([ROWS, OUTPUTS], tl.int32)
    for start in tl.range(0, inputs, INPUTS, num_stages=STAGES):
        column = start + tl.arange(0, INPUTS)
        s = tl.load(spikes + row * inputs + column[None, :], mask=(row < rows) & (column < inputs)[None, :], other=0)
        at = digits + output * from_size + column[:, None]
        known = (output < to_size) & (column < from_size)[:, None]
        low, middle = tl.load(at, mask=known, other=0), tl.load(at + plane, mask=known, other=0)
        high = tl.load(at + 2 * plane, mask=known, other=0)
        total += (tl.dot(s, high) * 256 + tl.dot(s, middle)) * 256 + tl.dot(s, low)
    sums = tl.load(base + row * base_step + output, mask=inside, other=0.0) + total.to(tl.float32) * tl.load(unit)
    tl.store(out + row * outputs + output, sums, mask=inside)
