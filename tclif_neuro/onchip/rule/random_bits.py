"""Random bits from a counter: the same in NumPy, compiled and in Lava, in whatever order they are asked for."""

from __future__ import annotations

from typing import Any

MASK = 2**32 - 1

Int = Any  # an int64 array in NumPy, an int64 scalar when compiled


def mix(x: Int) -> Int:
    """A permutation of the integers in [0, 2^32) that looks random. The multipliers stay below 2^31: no overflow."""
    x = ((x ^ (x >> 16)) * 0x2C1B3C6D) & MASK
    x = ((x ^ (x >> 12)) * 0x297A2D39) & MASK
    return x ^ (x >> 15)


def key(seed: int, matrix: int, sample: int, step: int) -> int:
    """Return the key that the bits of one update of one matrix depend on: each argument in [0, 2^32)."""
    return mix((mix((mix((mix(seed) + matrix) & MASK) + sample) & MASK) + step) & MASK)


def bits(key: Int, synapse: Int) -> Int:
    """32 random bits of synapse number `synapse`, in [0, 2^32)."""
    return mix(mix(key ^ synapse))
