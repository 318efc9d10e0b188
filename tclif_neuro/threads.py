"""Work in parts on all cores: compiled functions that release the GIL, called from a small pool of threads.

Parts are fixed by the work, never by the number of threads, so a result does not depend on the machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

_MAX_DIGITS = 4  # of a number of threads


def count() -> int:
    """Return the number of threads to use: OMP_NUM_THREADS if set, else the cores that this process may run on.

    Several ranks that torchrun starts on a machine divide its cores; the OMP_NUM_THREADS=1 that torchrun then sets by
    itself counts as not set.
    """
    ranks = _number("LOCAL_WORLD_SIZE") or 1
    asked = _number("OMP_NUM_THREADS")
    if asked is not None and not (asked == 1 and ranks > 1):
        return max(1, asked)
    return max(1, _cores() // ranks)


def _number(name: str) -> int | None:
    text = os.environ.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS else None


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux has it
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count(), thread_name_prefix="tclif")


# A forked child has the pool but not its threads, and would wait for them for ever.
os.register_at_fork(after_in_child=_pool.cache_clear)


def in_parts(function: Callable[..., Any], parts: int, *args: Any) -> None:
    """Call `function(part, *args)` for every part in 0 ... parts - 1, on all cores; raises what a part raises."""
    if parts == 1 or count() == 1:
        for part in range(parts):
            function(part, *args)
        return
    for _ in _pool().map(lambda part: function(part, *args), range(parts)):
        pass
