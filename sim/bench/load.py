"""What else the machine does: the work of others while something is measured, and a warning where it is too much."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

OTHERS, STEAL, BEFORE = 0.1, 0.02, 0.25  # shares of the machine's cores from which on it counts as busy
_IDLE, _WAITING, _STEAL, _KINDS = 3, 4, 7, 8  # columns of /proc/stat, behind a core's name


class Load(NamedTuple):
    """While something was measured: the cores' mean share of time with work of others, and with none given to us.

    others: of processes that are not ours. steal: of other virtual machines on the same hardware. Both in [0, 1].
    """

    others: float
    steal: float


class _Moment(NamedTuple):
    wall: float
    busy: float
    steal: float
    ours: float


class Watch:
    """The load since it was made, or None where the system does not say (only Linux does).

    Counted as ours is what this process did and what its children did that have ended.
    """

    def __init__(self) -> None:
        self._begin = _moment()

    def load(self) -> Load | None:
        """The `Load` up to now."""
        begin, end = self._begin, _moment()
        if begin is None or end is None:
            return None
        whole = (end.wall - begin.wall) * len(_own_cores())
        others = end.busy - begin.busy - (end.ours - begin.ours)
        return Load(max(0.0, others / whole), max(0.0, (end.steal - begin.steal) / whole))


def _own_cores() -> set[str]:
    return {f"cpu{n}" for n in os.sched_getaffinity(0)}


def _moment() -> _Moment | None:
    with suppress(OSError, AttributeError, ValueError):
        own, tick = _own_cores(), os.sysconf("SC_CLK_TCK")
        rows = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
        spent = [sum(int(row[1 + i]) for row in rows if row[0] in own) / tick for i in range(_KINDS)]
        busy = sum(spent[:_STEAL]) - spent[_IDLE] - spent[_WAITING]
        used = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return _Moment(time.monotonic(), busy, spent[_STEAL], sum(u.ru_utime + u.ru_stime for u in used))
    return None


def mean(loads: Iterable[tuple[Load | None, float]]) -> Load | None:
    """The mean of loads, each over so many seconds."""
    known = [(load, seconds) for load, seconds in loads if load is not None]
    whole = sum(seconds for _, seconds in known)
    if not whole:
        return None
    return Load(*(sum(load[i] * seconds for load, seconds in known) / whole for i in range(len(Load._fields))))


def busy(machine: Mapping[str, Any]) -> list[str]:
    """Return the reasons why the figures of this run mean little: a sentence each; [] on a quiet machine.

    The load average, which is of the minute before, counts until the load meanwhile is known.
    """
    found = []
    during = machine.get("load during")
    if not during and machine["load before"] > BEFORE * machine["cores"]:
        found.append(f"the load average was {machine['load before']:.1f} before the first measurement")
    if during and during["others"] > OTHERS:
        found.append(f"other processes took {during['others']:.0%} of the cores' time during the measurements")
    if during and during["steal"] > STEAL:
        found.append(f"other virtual machines took {during['steal']:.0%} of the cores' time during the measurements")
    return found
