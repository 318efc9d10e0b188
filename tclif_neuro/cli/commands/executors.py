"""The executors of integers by name, and running one of them in batches."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tclif_neuro.cli.commands.samples import Batch
from tclif_neuro.errors import TclifError
from tclif_neuro.fixed.run import LayerRun, Run
from tclif_neuro.network import QuantizedNetwork

BATCH = 256  # samples at a time; Lava takes all at once, since each run starts a dozen processes

Tell = Callable[[int, int], None]  # how much is done, of how much


@dataclass(frozen=True, kw_only=True, eq=False)
class Timed:
    """A run, and the seconds it took without compiling."""

    run: Run
    seconds: float


def execute(
    name: str,
    net: QuantizedNetwork,
    batch: Batch,
    *,
    record: bool = False,
    size: int | None = None,
    timeout: float | None = None,
    tell: Tell | None = None,
) -> Timed:
    """Run `net` on `batch` with the executor `name`, `size` samples at a time.

    timeout: of each run in Lava, in seconds. tell: is told how many samples are done (Lava: steps).
    """
    run = _executor(name, timeout, tell)
    if name == "simulator":
        run(net, batch.x[:, :1], record)  # compiles
    size = size or (len(batch) if name == "lava" else BATCH)
    runs, seconds = [], 0.0
    for start in range(0, len(batch), size):
        begin = time.perf_counter()
        runs.append(run(net, batch.part(start, start + size).x, record))
        seconds += time.perf_counter() - begin
        if tell is not None and name != "lava":
            tell(min(start + size, len(batch)), len(batch))
    return Timed(run=join(runs), seconds=seconds)


def _executor(name: str, timeout: float | None, tell: Tell | None) -> Callable[..., Run]:
    if name == "simulator":
        from tclif_neuro.fixed.simulator import simulate

        return lambda net, x, record: simulate(net, x, record=record)
    if name == "reference":
        from tclif_neuro.fixed.reference import run_reference

        return lambda net, x, record: run_reference(net, x, record=record)
    if name == "lava":
        from tclif_neuro import lava

        return lambda net, x, record: lava.run(net, x, record=record, timeout=timeout, progress=tell)
    raise TclifError(f"backend {name!r}: simulator, reference or lava expected")


def join(runs: list[Run]) -> Run:
    """The runs of several batches as one run of all their samples."""
    if len(runs) == 1:
        return runs[0]
    layers = tuple(_join_layer(layers) for layers in zip(*(run.layers for run in runs), strict=True))
    return Run(input=np.concatenate([run.input for run in runs], axis=1), layers=layers, readout=runs[0].readout)


def _join_layer(parts: tuple[LayerRun, ...]) -> LayerRun:
    spikes = [part.spikes for part in parts if part.spikes is not None]
    states = [part.states for part in parts if part.states is not None]
    counted = all(part.saturations >= 0 for part in parts)
    return LayerRun(
        spikes=np.concatenate(spikes, axis=1) if spikes else None,
        states=np.concatenate(states, axis=2) if states else None,
        final=np.concatenate([part.final for part in parts], axis=1),
        counts=np.concatenate([part.counts for part in parts]),
        saturations=sum(part.saturations for part in parts) if counted else -1,
    )
