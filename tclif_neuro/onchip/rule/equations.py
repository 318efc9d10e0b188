"""The integer learning rule, each equation once: int64 arrays in NumPy and Lava, int64 scalars when compiled.

State in, state out; nothing is modified in place. Names: L the learning signal, psi the surrogate, d and e the
eligibility traces of an input (the two compartments' response to it), y1 and y2 what the neuron posts to its synapses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tclif_neuro.fixed.step import integrate
from tclif_neuro.network import ACT_SHIFT

Int = Any


def narrow(x: Int, shift: int, limit: int) -> Int:
    """`x / 2^shift` rounded to the nearest (halves away from zero), clipped to +-limit."""
    return np.sign(x) * np.minimum(limit, (np.abs(x) + ((1 << shift) >> 1)) >> shift)


def surrogate(soma: Int, vth: Int, shift: int, limit: int) -> Int:
    """The triangle `limit - |soma - vth| / 2^shift`, at least 0: the surrogate derivative of a spike by the soma."""
    return np.maximum(0, limit - (np.abs(soma - vth) >> shift))


def eligibility(d: Int, e: Int, x: Int, a1: Int, a2: Int, b1: Int, b2: Int) -> tuple[Int, Int]:
    """One step of the eligibility of input x (an integer), in the arithmetic of the neuron, its reset detached.

    d <- sat(mul(d, a1) + mul(e, b1) + (x << 6));    e <- sat(mul(e, a2) + mul(d, b2))
    """
    d, e, _, _ = integrate(d, e, x << ACT_SHIFT, 0, 0, a1, a2, b1, b2)
    return d, e


def error(potential: Int, target: Int, shift: int, limit: int) -> Int:
    """Return what an error neuron sends: `potential - target`, narrowed."""
    return narrow(potential - target, shift, limit)


def both_signs(y: Int) -> tuple[Int, Int]:
    """y as what a chip can post: its positive and its negative part."""
    return np.maximum(0, y), np.maximum(0, -y)


def shifted(x: Int, exponent: int) -> Int:
    """`x 2^exponent`, rounded down: what a `Dense` gives for the sum of its mantissas."""
    return x << exponent if exponent >= 0 else x >> -exponent


def posted(psi: Int, signal: Int, shift: int, limit: int) -> tuple[Int, Int]:
    """Return what a neuron posts to its synapses: `y1 = relu(psi L)`, `y2 = relu(-psi L)`, narrowed to [0, limit]."""
    return both_signs(narrow(psi * signal, shift, limit))


def moved(weight: Int, change: Int, shift: int, dither: Int) -> Int:
    """`weight + change / 2^shift`, before it is clipped.

    dither: random in [0, 2^shift), and the rounding is stochastic and right on average; 2^(shift-1), to the nearest.
    """
    return weight + ((change + dither) >> shift)


def update(weight: Int, change: Int, shift: int, dither: Int, low: int, high: int) -> Int:
    """`moved`, clipped to [low, high]."""
    return np.minimum(high, np.maximum(low, moved(weight, change, shift, dither)))
