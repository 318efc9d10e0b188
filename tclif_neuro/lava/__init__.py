"""Lava: the same network as Lava processes, run in a guarded child process. Importing this does not import Lava.

- `tclif_neuro.lava.run(net, x)`: bit-exact with `run_reference` and `simulate`
- `tclif_neuro.onchip.learn(setup, x, y, backend="lava")`: on-chip learning
- `from tclif_neuro.lava.processes import TCLIF`: the neuron, for Lava networks of your own
- `from tclif_neuro.lava.loader import Network`: a .net file as a Lava process
- `tclif_neuro.lava.guarded("my_module:main", folder, timeout=60)`: any use of Lava, without its hangs
"""

from __future__ import annotations

from collections.abc import Callable

import numpy.typing as npt

from tclif_neuro.fixed.concerns import warn
from tclif_neuro.fixed.run import Run, encode
from tclif_neuro.lava.guarding.guard import LavaError, LavaMissing, available, guarded
from tclif_neuro.lava.guarding.job import Job
from tclif_neuro.lava.inference.job import TASK, read_job, total_processes, total_steps, write_job
from tclif_neuro.network import QuantizedNetwork

__all__ = ["LavaError", "LavaMissing", "available", "guarded", "run"]

_STEP = 5e-3  # seconds allowed for a step of a process; it takes about 0.16 ms


def run(
    net: QuantizedNetwork,
    x: npt.ArrayLike,
    *,
    lengths: npt.ArrayLike | None = None,
    record: bool = False,
    timeout: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Run `net` on the float input `x` [T, B, M] in Lava's fixed-point simulation on the CPU.

    The samples of the batch follow each other in one run. Spikes and states are those of `run_reference`, to the bit;
    time is the sample's own. Saturations are counted in TC-LIF layers and -1 in LIF layers.

    lengths: [B], the steps of each sample that are its own (None: all). In the others the network goes on, on zeros,
    and what it does then is not recorded.
    record: keep every step's spikes and states. timeout: seconds (default: 60 s and 5 ms per step and process).
    progress: called with the steps done and the steps of the run.

    Raises `LavaMissing`; `InputError` and `FormatError` for an input that does not fit; `LavaError` if Lava fails.
    """
    encoded = encode(net, x, lengths)
    steps = total_steps(net, *encoded.values.shape[:2])
    job = Job(task=TASK, steps=steps, seconds=_STEP * steps * total_processes(net))
    layers = job.done(
        lambda folder: write_job(folder, net, encoded, record),
        lambda folder: read_job(folder, len(net.layers)),
        timeout=timeout,
        progress=progress,
    )
    return warn(net, Run.of(net, encoded, layers))
