"""Running a network with one executor, in batches, timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from tclif_neuro.cli.commands.samples import Batch
from tclif_neuro.errors import unsaid
from tclif_neuro.executors import Backend, run
from tclif_neuro.fixed.run import Run
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
    """Run `net` on `batch` with the executor `name`, `size` samples at a time; `fixed.concerns` are left to be said.

    timeout: of each run in Lava, in seconds. tell: is told how many samples are done (Lava: steps).
    """
    with unsaid():
        if name == "simulator":
            first = batch.part(0, 1)
            run(net, first.x, lengths=first.lengths, record=record)  # compiles
        size = size or (len(batch) if name == "lava" else BATCH)
        progress = tell if name == "lava" else None
        runs, seconds = [], 0.0
        for start in range(0, len(batch), size):
            part, begin = batch.part(start, start + size), time.perf_counter()
            backend, options = cast(Backend, name), {"timeout": timeout, "progress": progress}
            runs.append(run(net, part.x, backend, lengths=part.lengths, record=record, **options))  # type: ignore[arg-type]
            seconds += time.perf_counter() - begin
            if tell is not None and name != "lava":
                tell(min(start + size, len(batch)), len(batch))
    return Timed(run=Run.join(runs), seconds=seconds)
