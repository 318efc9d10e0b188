"""What `tclif learn` comes to with its defaults: shifts, target and rates are found from the data, nothing is chosen.

    TCLIF_DATA=FOLDER python -m sim.onchip.defaults --out docs/onchip-study [--seeds 3]

FOLDER has events/nmnist-small.zip and ecg/. A recipe names its task, recurrent neurons and the passes, and nothing
else; but for one of an ECG, which shows what a long sample needs. The seed is that of the weights, the order and the
rounding.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sim.study import COLOURS, Job, Result, axes, options, run_jobs, spread, table, write

NMNIST = {"name": "nmnist", "data": "events/nmnist-small.zip", "bins": {"pool": 2}}
WAVES = 1200  # of an ECG, to learn from
# What only the last steps tell is asked for in them, of a readout that forgets, of neurons that forget more slowly.
LATE = {"network": {"readout_decay": 0.8, "a1": 0.95, "a2": 0.95, "b1": -0.2}, "learning": {"asked": 48}}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A recipe: what it is called, its [task] (of an ECG, the steps of a wave), its passes and what else it says."""

    called: str
    task: dict[str, Any] | int
    passes: int = 24
    more: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


ROWS = {
    "digits-rows": Row(called="`digits-rows`", task={"name": "digits-rows"}),
    "digits-pixels": Row(called="`digits-pixels`", task={"name": "digits-pixels"}),
    "nmnist": Row(called="N-MNIST, 399 recordings, `models/onchip/nmnist-small.toml`", task=NMNIST),
    "ecg-24": Row(called="the wave of an ECG, from the 24 steps up to its last", task=24, passes=10),
    "ecg-60": Row(called="the same, from 60 steps", task=60, passes=10),
    "ecg-60-late": Row(called="the same, asked for in the last 12", task=60, passes=10, more=LATE),
}


def waves(length: int) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of an own task: x, the `length` steps of an ECG up to the last one of a wave; y, which wave it is."""
    from tclif_neuro.data import load_task

    found = {}
    task = load_task("ecg")
    for end, part in (("", task.train), ("_test", task.test)):
        x, y = part.x.all(), part.y
        last = np.argwhere(y[:, :-1] != y[:, 1:])  # sample, step
        last = last[(last[:, 1] >= length) & (y[tuple(last.T)] >= 0)]
        if not end:
            last = last[np.random.default_rng(0).permutation(len(last))[:WAVES]]
        found["x" + end] = np.stack([x[i, t - length + 1 : t + 1] for i, t in last]).astype(np.uint8)
        found["y" + end] = y[tuple(last.T)]
    return found


def measure(job: Job) -> Result:
    """Accuracy on the test set, in per cent, in the end and over the samples learnt."""
    from tclif_neuro.onchip.tasks.recipe_file import parse_learn_recipe
    from tclif_neuro.onchip.tasks.run_task import run_task

    row = ROWS[job["recipe"]]
    with tempfile.TemporaryDirectory() as folder:
        task = row.task
        if isinstance(task, int):
            path = Path(folder) / "waves.npz"
            np.savez(path, **waves(task))
            task = {"name": str(path)}
        described = {
            "task": task,
            "network": {"recurrent": True, "seed": job["seed"], **row.more.get("network", {})},
            "learning": {"passes": row.passes, "seed": job["seed"], **row.more.get("learning", {})},
        }
        result = run_task(parse_learn_recipe(described))
    samples, accuracy = result.curve("accuracy_test")
    return {
        "classes": result.setup.net.outputs,
        "steps": result.setup.net.steps,
        "samples": [int(n) for n in samples],
        "curve": [round(100 * float(a), 3) for a in accuracy],
        "accuracy": 100 * result.accuracy["test"],
    }


def report(find: Callable[[str], list[Result]], seeds: int) -> str:
    """A row per task."""
    cells = []
    for name, row in ROWS.items():
        first = find(name)[0]
        accuracy = spread([result["accuracy"] for result in find(name)])
        cells.append([row.called, f"{first['steps']}", f"{row.passes}", accuracy, f"{100 / first['classes']:.0f}"])
    said = ", ".join(f"`{key} = {value}`" for part in LATE.values() for key, value in part.items())
    return (
        "# With nothing chosen\n\n"
        "`python -m sim.onchip.defaults`: recipes of `tclif learn` that name the task, `recurrent = true` and the "
        "passes; shifts, target and rates are [found from the data](../learn.md#calibration). 128 TC-LIF neurons, "
        "from random weights, one sample after the other (test accuracy in per cent, mean and standard deviation "
        f"over {seeds} seeds, at the end of the last pass). The last row alone says more, {said}, which was chosen "
        "by looking at its test set, with seed 0.\n\n" + table(["task", "steps", "passes", "test", "chance"], cells)
    )


def plot(find: Callable[[str], list[Result]]) -> Any:
    """Test accuracy over the share of the samples that are learnt, seed 0."""
    figure, (panel,) = axes(1)
    for name, colour in zip(ROWS, COLOURS, strict=False):
        first = find(name)[0]
        share = np.array(first["samples"]) / first["samples"][-1]
        panel.plot(share, first["curve"], color=colour, label=name, linewidth=1)
    panel.set(xlabel="share of the samples learnt", ylabel="test accuracy, %", ylim=(0, 100))
    panel.legend(fontsize=7, loc="lower right")
    return figure


def main() -> None:
    """Run the study; what was done before is not done again."""
    given = options(__doc__, 3)
    jobs = [{"recipe": recipe, "seed": seed} for recipe in ROWS for seed in range(given.seeds)]
    results = run_jobs(measure, jobs, given.out / "defaults.jsonl", workers=given.workers)

    def find(recipe: str) -> list[Result]:
        return [result for job, result in zip(jobs, results, strict=True) if job["recipe"] == recipe]

    write(given.out, "defaults", report(find, given.seeds), plot(find))


if __name__ == "__main__":
    main()
