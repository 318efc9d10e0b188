"""What a network on the chip keeps when classes are added or its channels change places, on two data sets.

    TCLIF_DATA=FOLDER python -m sim.onchip.changes --out docs/onchip-study [--seeds 3]

FOLDER has events/nmnist-small.zip. The recipes are those of models/onchip; the seed is that of the weights, the order
and the rounding. Every learner starts from random weights and sees one sample after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sim.study import COLOURS, Job, Result, axes, options, run_jobs, spread, table, write

RECIPES = Path("models/onchip")
ROWS = {
    "new-class": ("new class", "digits"),
    "nmnist-new-class": ("new class", "N-MNIST"),
    "drift": ("drift", "digits"),
    "nmnist-drift": ("drift", "N-MNIST"),
}
TESTS = {"new class": ("old", "new"), "drift": ("before", "after")}


def measure(job: Job) -> Result:
    """Accuracy on both test sets at the end of both phases, in per cent, and over the samples learnt."""
    from tclif_neuro.onchip.tasks.recipe_file import changed, load_learn_recipe
    from tclif_neuro.onchip.tasks.run_task import run_task

    seeds = {"network.seed": job["seed"], "learning.seed": job["seed"]}
    result = run_task(changed(load_learn_recipe(RECIPES / f"{job['recipe']}.toml"), **seeds))
    found: Result = {"samples": [int(n) for n in result.curve("accuracy_" + next(iter(result.accuracy)))[0]]}
    for test in result.accuracy:
        found[test] = [round(100 * float(a), 3) for a in result.curve(f"accuracy_{test}")[1]]
        for phase in result.ends:
            found[f"{test} after {phase}"] = 100 * result.accuracy_after(phase)[test]
    return found


def report(find: Callable[[str], list[Result]], seeds: int) -> str:
    """A table for each change."""
    parts = [
        "# New classes, and channels that change places\n",
        "`python -m sim.onchip.changes`: scikit-learn's digits, a row per step, and N-MNIST, 399 recordings to learn "
        "and 100 to test, 2 x 17 x 17 pixels, 30 steps; 128 recurrent TC-LIF neurons, from random weights, one sample "
        f"after the other, by the recipes of `{RECIPES}` (test accuracy in per cent, mean and standard deviation over "
        f"{seeds} seeds). The shifts of the digits were chosen by hand, by looking at their test set; those of N-MNIST "
        "are calibrated, and nothing was chosen.\n",
    ]
    for change, (first, second) in TESTS.items():
        rows = {recipe: data for recipe, (name, data) in ROWS.items() if name == change}
        columns = [f"{test} after {phase}" for phase in (first, second) for test in (first, second)]
        cells = [
            [f"{data}, `{recipe}.toml`", *(spread([r[column] for r in find(recipe)]) for column in columns)]
            for recipe, data in rows.items()
        ]
        header = [f'"{test}", after the phase "{phase}"' for phase in (first, second) for test in (first, second)]
        parts.append(f"## {change[0].upper()}{change[1:]}\n\n{table(['', *header], cells)}")
    return "\n".join(parts)


def plot(find: Callable[[str], list[Result]]) -> Any:
    """Test accuracy over the samples learnt, seed 0, a panel for each recipe."""
    figure, panels = axes(2, rows=2)
    for panel, (recipe, (change, data)) in zip(panels, ROWS.items(), strict=True):
        first = find(recipe)[0]
        for test, colour in zip(TESTS[change], COLOURS[::2], strict=False):
            panel.plot(first["samples"], first[test], color=colour, label=test, linewidth=1)
        panel.set(xlabel="samples learnt", ylabel="test accuracy, %", ylim=(0, 100))
        panel.set_title(f"{change}, {data}", fontsize=9, loc="left")
        panel.legend(fontsize=7, loc="lower right")
    return figure


def main() -> None:
    """Run the study; what was done before is not done again."""
    given = options(__doc__, 3)
    jobs = [{"recipe": recipe, "seed": seed} for recipe in ROWS for seed in range(given.seeds)]
    results = run_jobs(measure, jobs, given.out / "changes.jsonl", workers=given.workers)

    def find(recipe: str) -> list[Result]:
        return [result for job, result in zip(jobs, results, strict=True) if job["recipe"] == recipe]

    write(given.out, "changes", report(find, given.seeds), plot(find))


if __name__ == "__main__":
    main()
