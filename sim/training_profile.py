"""Where the time of a training step goes: processor seconds of each compiled kernel, and of all the rest.

    python -m sim.training_profile [--steps 784] [--batch 64] [--repeat 5]

The network is the benchmark's, 1-64-256-256-10, feed-forward and recurrent. Processor time of the whole process, the
median of `repeat` steps after two others.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from sim.bench.contenders import Job
from sim.bench.measure import training
from tclif_neuro.neurons import scan, spikes
from tclif_neuro.threads import in_parts

NAMES = {
    "forward": "neurons forward",
    "backward": "neurons backward",
    "_gather": "products with spikes, forward",
    "_scatter": "weight gradients from events",
    "_count": "finding events",
    "_fill": "finding events",
    "_set": "finding events",
}


def profile(step: Callable[[], None], repeat: int) -> dict[str, float]:
    """Median processor seconds of each kernel in a step, of the rest, and of all."""
    spent: Counter[str] = Counter()

    def watched(kernel: Any, *arguments: Any) -> None:
        begin = time.process_time()
        in_parts(kernel, *arguments)
        spent[NAMES[kernel.__name__]] += time.process_time() - begin

    scan.in_parts = spikes.in_parts = watched
    rows = []
    for _ in range(2 + repeat):
        spent.clear()
        begin = time.process_time()
        step()
        whole = time.process_time() - begin
        rows.append({**spent, "PyTorch: dense products above all": whole - sum(spent.values()), "all": whole})
    scan.in_parts = spikes.in_parts = in_parts
    return {name: statistics.median(row.get(name, 0.0) for row in rows[2:]) for name in rows[-1]}


def main() -> None:
    """Measure both networks and print the figures."""
    parser = argparse.ArgumentParser(description="Where the time of a training step goes.")
    parser.add_argument("--steps", type=int, default=784)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=5)
    asked = parser.parse_args()
    for recurrent in (False, True):
        job = Job(work="train", build="tclif", steps=asked.steps, batch=asked.batch, recurrent=recurrent)
        print("recurrent" if recurrent else "feed-forward", *job.sizes, f"T = {job.steps}, batch {job.batch}")
        *_, step = training(job)
        for name, seconds in sorted(profile(step, asked.repeat).items(), key=lambda item: item[1]):
            print(f"  {name:36} {seconds:.3f} s")


if __name__ == "__main__":
    main()
