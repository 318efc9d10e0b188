"""Ratios between contenders, each at its own best number of threads, and at equal numbers of threads.

Times are of one contender at one job: by the number of threads, the turns, each the seconds of its runs.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Turns = Sequence[Sequence[float]]
Times = Mapping[int, Turns]


class Ratio(NamedTuple):
    """The ratio of two medians over all runs, and the least and the largest of the ratios of the turns' medians."""

    value: float
    low: float
    high: float

    @property
    def inverse(self) -> Ratio:
        """The ratio the other way round."""
        return Ratio(1 / self.value, 1 / self.high, 1 / self.low)


def median(turns: Turns) -> float:
    """The median of all runs."""
    return statistics.median(itertools.chain.from_iterable(turns))


def best(times: Times) -> int:
    """The number of threads with the least median."""
    return min(times, key=lambda threads: median(times[threads]))


def ratio(these: Turns, those: Turns) -> Ratio:
    """How many times those seconds these take; turn by turn, a machine that changes its speed disturbs both alike."""
    turns = [statistics.median(a) / statistics.median(b) for a, b in zip(these, those, strict=False)]
    return Ratio(median(these) / median(those), min(turns), max(turns))


def best_to_best(times: Times, first: Times) -> Ratio:
    """How many times the first's seconds, each at its own best number of threads."""
    return ratio(times[best(times)], first[best(first)])


def at_equal_threads(times: Times, first: Times) -> dict[int, Ratio]:
    """How many times the first's seconds, both with the same number of threads, by that number."""
    return {threads: ratio(turns, first[threads]) for threads, turns in times.items() if threads in first}


def gains(times: Times) -> dict[int, Ratio]:
    """How many times faster than with one thread, by the number of threads."""
    return {n: ratio(times[1], turns) for n, turns in times.items() if n != 1 and 1 in times}
