"""The losses to the limits of the rule: how many values reached a limit or were lost, of how many.

A count is [hits, of], under the name of its column in a log:

    clipped_error           errors at the limit of `trace_bits`, of those that are not 0
    clipped_posted_0        what layer 0 posts, y1 or y2, likewise
    clipped_trace_0         the traces of matrix 0 in the product, likewise
    lost_0, saturated_0     changes of a weight that moved nothing, or that went past the limit of the weights, of those
                            that are not 0
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[Any]
Losses = dict[str, tuple[int, int]]


def count(name: str, hits: Ints, of: Ints) -> Losses:
    """Count how many of `hits` are true, and how many of `of`."""
    return {name: (int(np.count_nonzero(hits)), int(np.count_nonzero(of)))}


def at_limit(name: str, values: Ints, limit: int) -> Losses:
    """Count how many of `values` are +-limit, of those that are not 0."""
    return count(name, np.abs(values) == limit, values)


def total(losses: Iterable[Mapping[str, tuple[int, int]]]) -> Losses:
    """The sum of counts, name by name."""
    found: Losses = {}
    for part in losses:
        for name, (hits, of) in part.items():
            before = found.get(name, (0, 0))
            found[name] = before[0] + hits, before[1] + of
    return found


def shares(losses: Mapping[str, tuple[int, int]]) -> dict[str, float]:
    """hits / of, 0 where there was nothing."""
    return {name: hits / of if of else 0.0 for name, (hits, of) in losses.items()}
