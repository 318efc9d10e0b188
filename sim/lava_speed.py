"""The fast simulator against Lava's CPU run of the same network: milliseconds per sample, and how many times faster.

    python -m sim.lava_speed [--steps 784] [--batch 64] [--repeat 3]

The network is 1-64-256-256-10, TC-LIF with random weights that fire at about 10 %, feed-forward and recurrent. Every
measurement is a process of its own, with 1, 2, ... all threads; Lava, a process for each layer, is kept to as many
cores. Ratios are best to best and at equal threads. Lava runs two batches of different length and the difference is
taken, so that neither its start nor ours (compilation) counts. Runs alternate; medians are printed, and in brackets the
range of the turns. That both give the same logits is checked on the way.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sim.bench import ratios
from sim.bench.__main__ import REFERENCE_BATCH, TIMED_SIMULATIONS, warn
from sim.bench.contenders import CONTENDERS, Job, cores, thread_counts
from sim.bench.integers import SIZES
from sim.bench.machine import machine
from sim.bench.runner import Row, count, run_all

LAVA = next(c for c in CONTENDERS if c.name == "lava")
SIMULATOR = next(c for c in CONTENDERS if c.name == "simulator")


def rows(steps: int, batch: int, threads: Sequence[int]) -> list[Row]:
    """Lava, the simulator in a batch, and one sample alone; feed-forward and recurrent."""
    wanted = ((LAVA, REFERENCE_BATCH, 1), (SIMULATOR, batch, TIMED_SIMULATIONS), (SIMULATOR, 1, TIMED_SIMULATIONS))
    return [
        Row(
            contender=who,
            job=Job(
                work="simulate", build=who.build, steps=steps, batch=b, recurrent=recurrent, threads=n, timed=timed
            ),
        )
        for recurrent in (False, True)
        for n in threads
        for who, b, timed in wanted
    ]


def times(rows: Sequence[Row], build: str, batch: int, recurrent: bool) -> ratios.Times:
    """Seconds per sample."""
    found = [r for r in rows if (r.job.build, r.job.batch, r.job.recurrent) == (build, batch, recurrent)]
    return {row.job.threads: row.turns for row in found}


def lines(rows: Sequence[Row], batch: int, recurrent: bool) -> list[str]:
    """A table of one network's figures."""
    lava = times(rows, "lava", REFERENCE_BATCH, recurrent)
    found = [f"{'recurrent' if recurrent else 'feed-forward'} {'-'.join(map(str, SIZES))}, {rows[0].job.steps} steps"]
    for label, own in (
        ("Lava on the CPU", lava),
        (f"simulator, batch of {batch}", times(rows, "simulator", batch, recurrent)),
        ("simulator, one sample", times(rows, "simulator", 1, recurrent)),
    ):
        found.extend(
            f"  {label:26} {count(n, 'thread'):10} {ratios.median(turns) * 1e3:10.2f} ms per sample"
            f"  {_faster(ratios.ratio(lava[n], turns))}"
            for n, turns in own.items()
        )
        ratio = ratios.best_to_best(own, lava).inverse
        found.append(f"  {label:26} {'best':10} {ratios.median(own[ratios.best(own)]) * 1e3:10.2f} ms per sample")
        found[-1] += f"  {_faster(ratio)}"
    return found


def _faster(ratio: ratios.Ratio) -> str:
    return f"{ratio.value:6.0f} times faster ({ratio.low:.0f}-{ratio.high:.0f})"


def main() -> None:
    """Measure both networks and print the figures."""
    parser = argparse.ArgumentParser(description="The fast simulator against Lava on the CPU.")
    parser.add_argument("--steps", type=int, default=784)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="of one process")
    asked = parser.parse_args()
    where, todo = machine(), rows(asked.steps, asked.batch, thread_counts(cores()))
    warn(where)
    load = run_all(todo, asked.repeat, asked.timeout, lambda line: print(line, file=sys.stderr, flush=True))
    failed = [row.failure for row in todo if row.failure]
    if failed or not all(row.figures for row in todo):
        raise SystemExit(f"not all was measured: {'; '.join(failed)}")
    for recurrent in (False, True):
        logits = {str(f["logits"]) for row in todo if row.job.recurrent == recurrent for f in row.figures}
        assert len(logits) == 1, "the simulator and Lava differ"
        print(*lines(todo, asked.batch, recurrent), sep="\n")
    where["load during"] = load and load._asdict()
    print(f"{where['processor']}, {', '.join(where['instruction sets'])}")
    print(f"Python {where['python']}, {where['versions']}")
    print(f"load {where['load before']:.2f} before, {where['load during']} during")
    warn(where)


if __name__ == "__main__":
    main()
