"""Memory and time of a training step over the length of the sample: BPTT and e-prop.

    python -m sim.online.memory --out docs/online

Yin et al. (2024), figure 6. Every measurement is a process of its own; memory is its peak less what it had before the
first step of a sample. The input of e-prop is made as it goes, a chunk of steps at a time, as a stream would bring it.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.study import COLOURS, Job, Result, axes, run_jobs, table, write

if TYPE_CHECKING:
    from torch import Tensor

RULES = {"bptt": "BPTT", "eprop": "e-prop"}
STEPS = {"bptt": (250, 500, 1000, 2000, 4000), "eprop": (250, 1000, 4000, 20_000, 100_000)}
INPUTS, HIDDEN, OUTPUTS, BATCH, CHUNK = 16, 128, 10, 8, 250


def measure(job: Job) -> Result:
    """MiB and seconds of one sample of `steps` steps, after a short one that compiles what is to be compiled."""
    import torch

    torch.manual_seed(0)
    run = {"bptt": _bptt, "eprop": _eprop}[job["rule"]](job["recurrent"])
    run(2 * CHUNK)
    before, start = peak(), time.perf_counter()
    run(job["steps"])
    seconds = time.perf_counter() - start
    return {"MiB": peak() - before, "process MiB": peak(), "seconds": seconds}


def peak() -> float:
    """The largest memory of this process so far, MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status names no VmHWM: this study needs Linux")


def chunks(steps: int) -> Iterator[Tensor]:
    """`steps` steps of random input, [CHUNK, B, M] at a time."""
    import torch

    generator = torch.Generator().manual_seed(1)
    for start in range(0, steps, CHUNK):
        yield torch.rand(min(CHUNK, steps - start), BATCH, INPUTS, generator=generator)


def _model(recurrent: bool) -> Any:
    from torch import nn

    import tclif_neuro as tn

    neurons = tn.AdaptiveTCLIF(HIDDEN, recurrent=recurrent, reset_grad="detach")
    return nn.Sequential(nn.Linear(INPUTS, HIDDEN), neurons, tn.Readout(HIDDEN, OUTPUTS))


def _bptt(recurrent: bool) -> Any:
    import torch

    model = _model(recurrent)

    def run(steps: int) -> None:
        torch.nn.functional.cross_entropy(model(torch.cat(list(chunks(steps)))), torch.zeros(BATCH).long()).backward()

    return run


def _eprop(recurrent: bool) -> Any:
    import torch

    from tclif_neuro.learning.eprop.learner import EPropLearner

    learner = EPropLearner(_model(recurrent))
    return lambda steps: learner.sequence(chunks(steps), torch.zeros(BATCH).long())


def jobs() -> list[dict[str, Any]]:
    """Every rule and length."""
    return [
        {"rule": rule, "recurrent": recurrent, "steps": steps}
        for rule, recurrent in itertools.product(RULES, (False, True))
        for steps in STEPS[rule]
    ]


def main() -> None:
    """Measure, one at a time; what was measured before is not measured again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    todo = jobs()
    results = run_jobs(measure, todo, given.out / "memory.jsonl", workers=1, fresh=True)
    rows, (figure, panels) = [], axes(2)
    for (rule, recurrent), colour in zip(itertools.product(RULES, (False, True)), COLOURS, strict=False):
        name = f"{RULES[rule]}, {'recurrent' if recurrent else 'feed-forward'}"
        found = [r for j, r in zip(todo, results, strict=True) if (j["rule"], j["recurrent"]) == (rule, recurrent)]
        for steps, result in zip(STEPS[rule], found, strict=True):
            micro = f"{1e6 * result['seconds'] / steps:.0f}"
            rows.append([name, f"{steps:,}", f"{result['MiB']:.1f}", f"{result['process MiB']:.0f}", micro])
        for panel, key in zip(panels, ("MiB", "seconds"), strict=True):
            panel.plot(STEPS[rule], [max(r[key], 0.1) for r in found], "-o", color=colour, markersize=3, label=name)
    for panel, label in zip(panels, ("peak memory, MiB", "time, s"), strict=True):
        panel.set(xscale="log", yscale="log", xlabel="steps T of the sample", ylabel=label)
    panels[0].legend(fontsize=7)
    text = (
        "# Memory over the length of a sample\n\n"
        f"`python -m sim.online.memory`: one training step of an Adaptive TC-LIF network {INPUTS}-{HIDDEN}-{OUTPUTS}, "
        f"batch {BATCH}; the peak of the memory that it takes on top of what the process had after a sample of "
        f"{2 * CHUNK} steps, and that of the process, most of which is PyTorch. One thread.\n\n"
    )
    write(given.out, "memory", text + table(["", "steps", "MiB", "whole process, MiB", "µs a step"], rows), figure)


if __name__ == "__main__":
    main()
