"""Running a network of integers, whoever executes it: one call, and the same bits from every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy.typing as npt

from tclif_neuro.errors import TclifError
from tclif_neuro.fixed.run import Run
from tclif_neuro.network import QuantizedNetwork

Backend = Literal["simulator", "reference", "lava"]


def run(
    net: QuantizedNetwork,
    x: npt.ArrayLike,
    backend: Backend = "simulator",
    *,
    lengths: npt.ArrayLike | None = None,
    record: bool = False,
    timeout: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Run `net` on the float input `x` [T, B, M], a batch of whole samples, each from rest.

    backend: "simulator" (compiled, on all cores), "reference" (NumPy) or "lava" (Lava on the CPU, in a child process;
        needs the extra `lava`). All give the same spikes and states, to the bit.
    lengths: [B], the steps of each sample that are its own (None: all). What follows them is padding: it is not read,
        and a sample's answer, spikes and states are those that it has without it, to the bit.
    record: keep every step's spikes and states: `run.spikes`, `run.states`, `run.layers[0].soma`.
    timeout: seconds allowed for Lava (None: estimated from the work). progress: called with what is done and the total:
        of Lava's steps, as they pass; of the samples, at the end, for the others.

    Raises `InputError` and `FormatError` if `x` does not fit, `LavaMissing` and `LavaError` where Lava is missing or
    fails. Issues a `TclifWarning` if inputs lie outside the network's code, a layer is silent or states saturate.

    >>> run(net, x).predictions
    >>> run(net, x, "lava", record=True).layers[0].soma
    """
    if backend not in get_args(Backend):
        raise TclifError(f"backend {backend!r}: {', '.join(get_args(Backend))} expected")
    if backend == "lava":
        from tclif_neuro import lava

        return lava.run(net, x, lengths=lengths, record=record, timeout=timeout, progress=progress)
    if backend == "reference":
        from tclif_neuro.fixed.reference import run_reference as execute
    else:
        from tclif_neuro.fixed.simulator import simulate as execute
    done = execute(net, x, lengths=lengths, record=record)
    if progress is not None:
        progress(done.input.shape[1], done.input.shape[1])
    return done
