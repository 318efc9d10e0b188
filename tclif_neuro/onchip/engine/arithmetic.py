"""Loihi 2's learning engine as Lava's bit-approximate model has it: int64 in NumPy, int64 scalars when compiled.

State in, state out. `LearningConnectionModelBitApproximate` of lava-nc 0.10 is the norm, its oddities included: one
random number per epoch rounds all synapses of a connection alike, products are rounded down, y1 and y2 decay.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

TRACE_MAX = 127  # lava: W_TRACE
IMPULSE_BITS = 8  # fraction of an impulse (lava: W_TRACE_FRACTIONAL_PART)
WEIGHT_MIN, WEIGHT_MAX = -256, 255  # of mantissas; odd ones too
LOST = 3  # bits that the product of two traces loses (7 + 7 + 4 bits in an accumulator of 15)
ACCUMULATOR = 7  # bits of the accumulator below the weight's
LIMIT = 2**15  # of the accumulator (lava: W_ACCUMULATOR_U)
FOREVER = 2**60  # a time constant so long that the trace keeps its value: exp(-1 / 2^60) is 1
Y_TAU = 65535  # of y1, y2 between their posting and their use (lava: Loihi3FLearningRule)
DITHER, DECAY_X, IMPULSE, DECAY_Y = range(4)  # random numbers: of the weights; of x1 and x2 twice; of y1 and y2
_STREAM = 2**19  # mixes the seeds of what is drawn, so that equal seeds of other things do not give equal numbers

Int = Any
Float = Any


def halved(payload: Int) -> Int:
    """Return a payload as a trace: half of it, halves rounded to even (`np.round`)."""
    return (payload + ((payload >> 1) & 1)) >> 1


def decayed(trace: Int, factor: Float, random: Float) -> Int:
    """A trace one step of the chip later: `factor trace`, rounded up if `random` in [0, 1) is below the fraction."""
    value = factor * trace
    whole = np.floor(value)
    return np.int64(whole) + (random < value - whole)


def increased(trace: Int, whole: int, fraction: int, random: int) -> Int:
    """A trace after a spike. fraction: of the impulse, / 2^8. random: in [0, 2^7), so that a half is sure to count."""
    return np.minimum(TRACE_MAX, trace + whole + (random < fraction))


def accumulated(total: Int, x: Int, y: Int, shift: int) -> Int:
    """The accumulator after one product: `total + (x y >> 3) 2^shift`, both saturating. x or y may be negative."""
    product = ((x * y) >> LOST) << shift
    product = np.minimum(LIMIT - 1, np.maximum(-LIMIT - 1, product))
    return np.minimum(LIMIT - 1, np.maximum(-LIMIT - 1, total + product))


def rounded(total: Int, dither: int) -> Int:
    """The weight of an accumulator: `total / 2^7`, up if what is lost exceeds 127 - dither."""
    return np.minimum(WEIGHT_MAX, np.maximum(WEIGHT_MIN, (total + dither) >> ACCUMULATOR))


def impulse_parts(impulse: float) -> tuple[int, int]:
    """Whole and fraction, / 2^8, of an impulse."""
    whole = math.floor(impulse)
    return whole, round((impulse - whole) * 2**IMPULSE_BITS)


def decay_factors(tau: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """Return the part a step of the chip leaves of traces with time constants `tau`, 0 for a time constant of 0."""
    constants = np.array(tau)
    return np.where(constants == 0, 0.0, np.exp(-1 / np.where(constants == 0, 1, constants)))


def generators(seed: int, matrix: int, epochs: int, steps: int) -> list[np.random.Generator]:
    """Return the random generators of matrix number `matrix`, after `epochs` epochs of `steps` steps of the chip.

    Of the weights, one per epoch; of the decay of x1 and x2, their impulses, the decay of y1 and y2, their impulses,
    two per step. The numbers are those of a run that has not stopped.
    """
    made = [np.random.default_rng([_STREAM, seed, matrix, kind]) for kind in range(5)]
    drawn = 2 * steps * epochs
    # an impulse takes half of the generator's 64 bits
    for generator, numbers in zip(made, (epochs, drawn, drawn // 2, drawn, drawn // 2), strict=True):
        generator.bit_generator.advance(numbers)  # type: ignore[attr-defined]
    return made


def draws(seed: int, matrix: int, before: int, epochs: int, steps: int) -> npt.NDArray[np.float64]:
    """[epochs, 4]: what each epoch after the first `before` ones uses, in the columns `DITHER` ... `DECAY_Y`.

    The first number of a generator is never used.
    """
    weight, x, impulse, y, _ = generators(seed, matrix, before, steps)
    every, total = 2 * steps, 2 * steps * epochs + 1
    return np.stack(
        [
            127 - np.floor(128 * weight.random(epochs + 1)[1:]),
            x.random(total)[every::every],
            impulse.integers(0, TRACE_MAX + 1, total)[every::every],
            y.random(total)[every::every],
        ],
        axis=1,
    )
