"""Lava's profilers of a Loihi 2 board, which come with Intel's lava-loihi: made for a run, and read after it.

Never run by us, who have no board: they follow public scripts. A quantity that a release does not have is left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

KINDS = ("Loihi2Power", "Loihi2ExecutionTime", "Loihi2Activity", "Loihi2Memory")
QUANTITIES = ("total_power", "vdd_power", "vddm_power", "vddio_power", "time_per_step", "avg_time_per_step")  # W, us


def make_profilers(steps: int) -> list[Any]:
    """One of each kind that this release has, for a run of `steps` steps."""
    from lava.utils import loihi2_profiler as kinds

    arguments = {"Loihi2Power": {"num_steps": steps}}
    return [getattr(kinds, name)(**arguments.get(name, {})) for name in KINDS if hasattr(kinds, name)]


def read_profilers(profilers: list[Any]) -> dict[str, float]:
    """The mean of every public quantity that they have, by "profiler.quantity"."""
    found = {}
    for profiler in profilers:
        kind = type(profiler).__name__
        names = {*QUANTITIES, *(name for name in getattr(profiler, "__dict__", {}) if not name.startswith("_"))}
        for name in sorted(names):
            values = np.asarray(getattr(profiler, name, None))
            if values.size and np.issubdtype(values.dtype, np.number):
                found[f"{kind}.{name}"] = float(values.mean())
    return found
