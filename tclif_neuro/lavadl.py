"""The computations of an unmodified lava-dl: which layers it computes as we do, and how they are written for it.

netx (lava-dl 0.6.0) reads one matrix of integers per layer, chooses an exponent and a number of bits for it, and Lava's
`Dense` then clips and truncates; for some matrices this changes the weights. `why_not_exact` follows it step by step.
"""

from __future__ import annotations

from math import floor, inf, log2
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.network import BIAS_MANT, InputCoding, Layer

Ints = npt.NDArray[np.int64]

STOCK_BIAS_EXP = 6  # lava-dl gives every bias this exponent


def scaled(x: npt.NDArray[Any], exponent: int) -> Ints | None:
    """`x 2^exponent`, or None if that is not whole. `scaled(y, -exponent)` undoes it."""
    wide = x.astype(np.int64)
    if exponent >= 0:
        return wide << exponent
    whole = not (wide & ((1 << -exponent) - 1)).any()
    return wide >> -exponent if whole else None


def stock_weights(layer: Layer) -> list[Ints] | None:
    """The weights, and the recurrent weights if there are any, without exponents; None if they are not whole."""
    both = [layer.synapses] if layer.recurrent is None else [layer.synapses, layer.recurrent]
    weights = [scaled(synapses.weight, synapses.exponent) for synapses in both]
    return [w for w in weights if w is not None] if all(w is not None for w in weights) else None


def stock_bias(layer: Layer) -> Ints | None:
    """The bias as mantissas of lava-dl's exponent, None if it is none of them."""
    bias = scaled(layer.bias_mant, layer.bias_exp - STOCK_BIAS_EXP)
    return None if bias is None or bias.min() < BIAS_MANT[0] or bias.max() > BIAS_MANT[1] else bias


def why_not_stock(layer: Layer, coding: InputCoding | None) -> str:
    """Return why lava-dl cannot compute `layer` exactly as we do; "" if it can.

    coding: how the network's input is coded, of the first layer; None of the others.
    """
    if layer.neuron.two_compartment:
        return "lava-dl has no two-compartment neuron"
    if layer.recurrent is not None and coding is not None and coding.bits:
        return "lava-dl gives recurrent synapses the message bits of the graded input (its issue 372)"
    if stock_bias(layer) is None:
        return f"the bias has the exponent {layer.bias_exp}, lava-dl's is {STOCK_BIAS_EXP}"
    weights = stock_weights(layer)
    if weights is None:
        return "the weights with their negative exponent are not whole numbers, lava-dl knows no exponent"
    return why_not_exact(weights, max(map(abs, coding.range)) if coding else 1)


def why_not_exact(weights: list[Ints], input_max: int = 1) -> str:
    """Return why lava-dl would compute with other weights than these; "" if not.

    weights: one matrix, or the input's and the recurrent.

    input_max: the largest magnitude of an input.
    """
    low, high = (int(f(np.hstack(weights))) for f in (np.min, np.max))
    if low == high == 0:
        return "all weights are zero, lava-dl divides by the largest"
    signed = low < 0 <= high
    shift = _left_shift(low, high, signed)
    if shift < 0:
        return f"weights in [{low}, {high}] do not fit lava-dl's 8 bits"
    zeros = _common_zeros(weights)
    for w in filter(np.any, weights):
        mixed = bool((w < 0).any() and (w > 0).any())
        # The low bits that `Dense` cuts off: never more than are zero, but fewer than none cuts off everything.
        if shift + zeros - signed + mixed < 0:
            return "odd weights in a matrix that lava-dl takes for one of mixed sign are lost"
        if w.max() <= 0 and (int(w.min()) << shift) < -255:
            return f"weights of one sign down to {w.min()}: lava-dl clips them at {-255 / 2**shift:g}"
    if max(int(np.abs(w).sum(axis=1).max()) for w in weights) * input_max << shift >= 2**31:
        return "the summed input could exceed lava-dl's 32 bits"
    return ""


def _left_shift(low: int, high: int, signed: bool) -> int:
    """Return how far netx shifts the weights up to fill 8 bits; the result of the synapse is shifted back."""
    if signed:
        return floor(log2(min(127 / high if high else inf, -128 / low))) + 1
    return floor(log2(-256 / low if low < 0 else 255 / high))


def _common_zeros(weights: list[Ints]) -> int:
    """Return how many low bits are zero in all weights: netx reserves no bits for them."""
    bits = int(np.bitwise_or.reduce(np.concatenate([np.abs(w).ravel() for w in weights])))
    return (bits & -bits).bit_length() - 1
