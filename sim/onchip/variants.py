"""What the limits of a chip cost: float e-prop and the integer rule, with one limit changed at a time.

    python -m sim.onchip.variants --out docs/onchip-study [--seeds 3]

Digits, a row a step, from random weights, one sample after the other. Every row of the table is a change of
`models/onchip/digits-rows.toml`; the seed is that of the weights and of the rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sim.study import COLOURS, Job, Result, axes, options, run_jobs, spread, table, write

RECIPE = Path("models/onchip/digits-rows.toml")
Changes = dict[str, Any]
GROUPS: dict[str, dict[str, Changes]] = {
    "rule": {
        "float e-prop": {"rule": "float"},
        "exact": {},
        "exact, epoch 1, random feedback": {"learning.update_every": 1, "learning.feedback": "random"},
    },
    "update": {
        "every step": {"learning.update_every": 1},
        "every 4 steps": {"learning.update_every": 4},
        "at the end of the sample": {},
    },
    "rounding": {"stochastic": {}, "to the nearest": {"learning.rounding": "nearest"}},
    "feedback": {"symmetric": {}, "random": {"learning.feedback": "random", "learning.hidden.signal_shift": 14}},
    "bits of a weight": {},
    "bits of a trace": {},
}
STEPS, TARGET = 8, 4.0  # of a sample; thresholds that the right class's potential should reach, as in the recipe
SPLIT = 1  # the settings were chosen on split 0
FLOAT_RATE, FLOAT_BATCH = 3e-3, 16  # single samples would take PyTorch minutes


def _fewer_weight_bits(bits: int) -> Changes:
    """A step of the weight is then larger, so the same change is fewer of them."""
    less = 8 - bits
    rates = {"hidden.rate_shift": 12, "hidden.recurrent_rate_shift": 12, "readout.rate_shift": 10}
    shifts = {f"learning.{key}": value + less for key, value in rates.items()}
    return {"learning.weight_bits": bits, **shifts} if less else {}


def _fewer_trace_bits(bits: int) -> Changes:
    """All traces lose their last bits, so that they still fit."""
    less = 7 - bits
    if not less:
        return {}
    lost = {
        "hidden.trace_shift": 8,
        "hidden.recurrent_trace_shift": 1,
        "readout.trace_shift": 6,
        "hidden.surrogate_shift": 10,
    }
    shifts = {f"learning.{key}": value + less for key, value in lost.items()}
    # y = psi L / 2^s: psi and L have lost `less` bits each, y has to lose as many; trace times y then loses twice that.
    shifts |= {"learning.error_shift": 11 + less, "learning.hidden.signal_shift": 12 - less}
    rates = {"hidden.rate_shift": 12, "hidden.recurrent_rate_shift": 12, "readout.rate_shift": 10}
    return {"learning.trace_bits": bits, **shifts, **{f"learning.{k}": v - 2 * less for k, v in rates.items()}}


GROUPS["bits of a weight"] = {str(bits): _fewer_weight_bits(bits) for bits in (8, 7, 6, 5, 4)}
GROUPS["bits of a trace"] = {str(bits): _fewer_trace_bits(bits) for bits in (7, 6, 5, 4, 3)}


def measure(job: Job) -> Result:
    """Test accuracy in per cent over the samples learnt."""
    changes = {key: value for key, value in job.items() if key not in ("rule", "seed")}
    if job.get("rule") == "float":
        return _float(job["seed"])
    from tclif_neuro.onchip.tasks.recipe_file import changed, load_learn_recipe
    from tclif_neuro.onchip.tasks.run_task import run_task

    recipe = changed(
        load_learn_recipe(RECIPE), **{"network.seed": job["seed"], "learning.seed": job["seed"], **changes}
    )
    result = run_task(recipe)
    samples, accuracy = result.curve("accuracy_test")
    return {
        "accuracy": 100 * result.accuracy["test"],
        "samples": [int(n) for n in samples],
        "curve": [round(100 * float(a), 3) for a in accuracy],
    }


def _float(seed: int) -> Result:
    """The same network and learning signal in floating point: e-prop and Adam, in small batches."""
    import torch

    import tclif_neuro as tn
    from tclif_neuro.data import load_task
    from tclif_neuro.onchip.tasks.recipe_file import load_learn_recipe

    recipe, task = load_learn_recipe(RECIPE), load_task("digits-rows", SPLIT + seed)
    torch.manual_seed(seed)
    neurons = tn.RelaxedTCLIF(128, recurrent=True, a1=0.9, a2=0.9, reset_grad="detach")
    model = torch.nn.Sequential(
        torch.nn.Linear(8, 128, bias=False), neurons, tn.Readout(128, len(task.classes), bias=False)
    )
    weights = [p for p in model.parameters() if p.ndim == 2]
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.ndim == 2)
    optimiser = torch.optim.Adam(weights, lr=FLOAT_RATE)
    learner = tn.EPropLearner(model, optimiser.step, tn.EPropOptions(loss="mean_square"))
    ramp = TARGET * torch.arange(1, STEPS + 1) / STEPS
    wanted = torch.eye(len(task.classes))[torch.from_numpy(task.y_train)]
    x = torch.from_numpy(task.x_train).transpose(0, 1)
    generator = torch.Generator().manual_seed(seed)
    x_test, y_test = torch.from_numpy(task.x_test).transpose(0, 1), torch.from_numpy(task.y_test)
    curve, samples = [], []
    for done in range(1, recipe.learning.passes + 1):
        for batch in torch.randperm(len(wanted), generator=generator).split(FLOAT_BATCH):
            learner.sequence(x[:, batch], ramp[:, None, None] * wanted[batch])
        for group in optimiser.param_groups:
            group["lr"] *= 0.5 if done in recipe.learning.slower else 1.0
        with torch.no_grad():
            curve.append(round(100 * float((model(x_test).argmax(1) == y_test).float().mean()), 3))
        samples.append(done * len(wanted))
    return {"accuracy": curve[-1], "samples": samples, "curve": curve}


def named_jobs(seeds: int) -> list[tuple[str, str, dict[str, Any]]]:
    """Group, name and job of every row and seed."""
    rows = [(group, name, changes) for group, part in GROUPS.items() for name, changes in part.items()]
    return [(group, name, {**changes, "seed": seed}) for group, name, changes in rows for seed in range(seeds)]


def report(find: Callable[[str, str], list[Result]], seeds: int) -> str:
    """A table for each thing that was changed."""
    parts = [
        "# What the limits of a chip cost\n",
        "`python -m sim.onchip.variants`: scikit-learn's digits, a row a step, 128 recurrent TC-LIF neurons, from "
        f"random weights, one sample after the other (`{RECIPE}`). Test accuracy in per cent in the end, mean and "
        f"standard deviation over {seeds} seeds. In each table one thing differs from that recipe. Every seed has its "
        "own weights, random bits and split of the digits, none of them the split that the settings were chosen on.\n",
    ]
    for group, rows in GROUPS.items():
        cells = [[name, spread([r["accuracy"] for r in find(group, name)])] for name in rows]
        parts.append(f"## {group[0].upper()}{group[1:]}\n\n{table(['', 'test accuracy, %'], cells)}")
    return "\n".join(parts)


def plot(find: Callable[[str, str], list[Result]]) -> Any:
    """Mean test accuracy over the samples learnt, a panel for each thing that was changed."""
    figure, panels = axes(3, rows=2)
    for panel, (group, rows) in zip(panels, GROUPS.items(), strict=True):
        for name, colour in zip(rows, COLOURS, strict=False):
            results = find(group, name)
            mean = [sum(c) / len(c) for c in zip(*(r["curve"] for r in results), strict=True)]
            panel.plot(results[0]["samples"], mean, color=colour, label=name, linewidth=1)
        panel.set(xlabel="samples learnt", ylabel="test accuracy, %", ylim=(60, 98))
        panel.set_title(group, fontsize=9, loc="left")
        panel.legend(fontsize=7, loc="lower right")
    return figure


def main() -> None:
    """Run the study; what was done before is not done again."""
    given = options(__doc__, 3)
    named = named_jobs(given.seeds)
    jobs = list({str(job): job for _, _, job in named}.values())
    results = run_jobs(measure, jobs, given.out / "variants.jsonl", workers=given.workers)
    by_job = {str(job): result for job, result in zip(jobs, results, strict=True)}

    def find(group: str, name: str) -> list[Result]:
        return [by_job[str(job)] for g, n, job in named if (g, n) == (group, name)]

    write(given.out, "variants", report(find, given.seeds), plot(find))


if __name__ == "__main__":
    main()
