"""The neurons of `fixed.step`, compiled from the same source over floating point that computes them exactly.

A float32 holds every integer up to 2^24, a state needs 2^23, and vectors of eight float32 multiply and round several
times faster than those of integers. Two things make it exact:

* The product `x k / 4096` has more than 24 bits. Rounded towards zero, as the hardware can, and then truncated, it is
  the exact product truncated: rounding towards zero never crosses an integer. So kernels run between
  `set_rounding(TOWARDS_ZERO)` and `set_rounding(TO_NEAREST)`.
* A sum above 2^24 may be rounded, but stays above 2^24. What is subtracted after it (a reset, at most 2^23 - 64) leaves
  more than 2^23, so the state saturates all the same. Inputs that could themselves exceed `FLOAT32_INPUT` need float64,
  in which nothing is ever rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

from tclif_neuro.compiled import inlined, over_reals
from tclif_neuro.fixed import step
from tclif_neuro.network import STATE_MAX

FLOAT32_INPUT = 2**23  # |synaptic input| + |bias| up to this is exact in float32, in every kind of neuron


def _mul(x: float, k: float) -> float:
    """`k` is a decimal, the integer coefficient / 4096."""
    return np.trunc(x * k)


def _sat(x: float) -> float:
    return min(max(x, -float(STATE_MAX)), float(STATE_MAX))


@overload(_sat)
def _sat_as(x: Any) -> Callable[..., Any]:
    """The bounds in the type of `x`: numba would widen a float32 that meets a Python number."""
    top = (np.float32 if x == types.float32 else np.float64)(STATE_MAX)

    def sat(x: Any) -> Any:
        return min(max(x, -top), top)

    return sat


def _int32(x: float) -> float:
    return x - np.floor((x + 2.0**31) * 2.0**-32) * 2.0**32


@overload(_int32)
def _int32_as(x: Any) -> Callable[..., Any]:
    """Leave float32 as it is, since nothing in it ever wraps: `FLOAT32_INPUT` is far below 2^31."""

    def same(x: Any) -> Any:
        return x

    def wrapped(x: Any) -> Any:
        return x - np.floor((x + 2.0**31) * 2.0**-32) * 2.0**32

    return same if x == types.float32 else wrapped


_ARITHMETIC = njit(_mul), _sat, _int32
tclif_delayed = step.bind(inlined, *_ARITHMETIC).tclif_delayed
_neurons = step.bind(over_reals, *_ARITHMETIC, STATE_MAX=STATE_MAX)
tclif_immediate, lif = _neurons.tclif_immediate, _neurons.lif
