"""A number as a sum of synapses: 8-bit mantissas at exponents that a chip has, on sums that are exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.network import WEIGHT_EXP

Ints = npt.NDArray[Any]
Term = tuple[Ints, int]  # mantissas and their exponent

MANT_BITS, HIGH_EXP = 8, 7
FRACTION_BITS = 8  # of a coupling: 256ths
INTEGER_MAX = (255 << HIGH_EXP) + 127  # the largest integer that two mantissas make


class TermError(ValueError):
    """A number that no two synapses make."""


def integer_terms(values: Ints) -> list[Term]:
    """Integers up to `INTEGER_MAX` as sums of mantissas of one sign at the exponents 7 and 0.

    >>> [(m.tolist(), e) for m, e in integer_terms(np.array([300, -5]))]
    [([2, 0], 7), ([44, 0], 0), ([0, -5], 0)]
    """
    if np.abs(values).max(initial=0) > INTEGER_MAX:
        raise TermError(f"{int(np.abs(values).max())} exceeds {INTEGER_MAX}, the sum of two 8-bit weights")
    terms = []
    for sign in (1, -1):
        size = np.maximum(sign * values, 0)
        small = size.max(initial=0) <= 255  # one mantissa does
        terms += [(sign * part, e) for part, e in (((size * 0, 7), (size, 0)) if small else _high_and_low(size))]
    return [term for term in terms if term[0].any()]


def _high_and_low(size: Ints) -> tuple[tuple[Ints, int], tuple[Ints, int]]:
    high = np.minimum(size >> HIGH_EXP, 255)
    return (high, HIGH_EXP), (size - (high << HIGH_EXP), 0)


def fraction_terms(parts: Ints, coarser: int = 0) -> list[Term]:
    """Numbers in 256ths as mantissas of one sign with the largest exponent that keeps them whole.

    Above 255/256 the whole part gets a mantissa of its own. coarser: the sum is wanted `coarser` bits coarser. Raises
    `TermError` where an exponent would be below -8.

    >>> [(m.tolist(), e) for m, e in fraction_terms(np.array([-128])) + fraction_terms(np.array([351]))]
    [([-1], -1), ([1], 0), ([95], -8)]
    """
    terms = []
    for sign in (1, -1):
        size = np.maximum(sign * parts, 0)
        for part in (part for part in _whole_and_rest(size) if part.any()):
            zeros = _common_zeros(part)
            terms.append((sign * (part >> zeros), zeros - FRACTION_BITS - coarser))
    lowest = min((exponent for _, exponent in terms), default=0)
    if lowest < WEIGHT_EXP[0]:
        raise TermError(f"a coupling in 256ths would need the exponent {lowest}, below {WEIGHT_EXP[0]}")
    return terms


def _whole_and_rest(size: Ints) -> tuple[Ints, ...]:
    if (size >> _common_zeros(size)).max(initial=0) <= 255:
        return (size,)
    whole = size >> FRACTION_BITS << FRACTION_BITS
    return whole, size - whole


def _common_zeros(size: Ints) -> int:
    """Return how many low bits are zero in all of `size`, 0 for zeros."""
    bits = int(np.bitwise_or.reduce(size.ravel()))
    return max((bits & -bits).bit_length() - 1, 0)
