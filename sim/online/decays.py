"""What the decays and their schedule do to learning by e-prop.

    python -m sim.online.decays --out docs/online [--seeds 2]

One layer of 128 recurrent neurons on digits, a pixel a step (T = 64), so that memory counts. First the decays at the
start of training, of the relaxed TC-LIF and as the minima of the Adaptive one (Yin et al., 2024, figure 4); then fixed
decays against time-varying ones over the epochs, and the shape of the Adaptive neuron's schedule (figure 5). All start
from the same couplings, b1 = -0.5 and b2 = 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from sim.online.training import job, train_job
from sim.study import COLOURS, Job, Result, axes, options, run_jobs, spread, table, write

Found = Sequence[tuple[Job, Result]]
NEURONS = ("relaxed TC-LIF", "Adaptive TC-LIF")
MEANING = {NEURONS[0]: "at the start", NEURONS[1]: "their minima at the start"}
DECAYS = (0.5, 0.8, 0.95)
FORMS = ("survival", "density")
THETAS = (2.0, 10.0, 60.0)
SHAPES = (2.0,)
TRAINING: dict[str, Any] = {"epochs": 6, "batch_size": 32, "lr": 1e-2, "depth": 1, "layer_reset_grad": "detach"}


def decay_job(neuron: str, a1: float, a2: float, seed: int) -> dict[str, Any]:
    """The dendrite begins with a1, the soma with a2."""
    return job("digits-pixels", neuron, "eprop", True, seed, layer_a1=a1, layer_a2=a2, **TRAINING)


def schedule_job(form: str, k: float, theta: float, seed: int) -> dict[str, Any]:
    """The Adaptive neuron's default minimum, another way towards it."""
    return job("digits-pixels", NEURONS[1], "eprop", True, seed, layer_schedule=shape(form, k, theta), **TRAINING)


def shape(form: str, k: float, theta: float) -> dict[str, Any]:
    """A schedule's section."""
    return {"form": form, "k": k, "theta": theta}


def jobs(seeds: int) -> tuple[list[Job], list[Job]]:
    """The two halves of the study; where the two decays differ, one seed alone."""
    decays = [
        decay_job(neuron, a1, a2, seed)
        for neuron, a1, a2, seed in itertools.product(NEURONS, DECAYS, DECAYS, range(seeds))
        if a1 == a2 or seed == 0
    ]
    schedules = [schedule_job(f, k, t, s) for f, k, t, s in itertools.product(FORMS, SHAPES, THETAS, range(seeds))]
    return decays, schedules


def of(found: Found, **wanted: Any) -> list[Result]:
    """The results of the jobs that have these values."""
    return [result for job, result in found if all(job.get(key) == value for key, value in wanted.items())]


def accuracies(found: Found, **wanted: Any) -> list[float]:
    """Those of all seeds."""
    return [result["accuracy"] for result in of(found, **wanted)]


def report(decays: Found, schedules: Found, seeds: int) -> str:
    """A table of test accuracies for each neuron's decays, and one for the schedules."""
    parts = [
        "# Decays and schedules\n",
        "`python -m sim.online.decays`: one recurrent layer of 128 neurons, digits a pixel a step (T = 64), e-prop,"
        f" {TRAINING['epochs']} epochs, seeds: {seeds}, and one where a1 and a2 differ; test accuracy in per cent, "
        "mean and standard deviation. All start from b1 = -0.5 and b2 = 1. Six epochs are far from convergence: read "
        "the order, not the height.\n",
    ]
    for neuron in NEURONS:
        parts.append(f"## {neuron}: a1 (dendrite) and a2 (soma), {MEANING[neuron]}\n")
        rows = [
            [
                f"a1 = {a1:g}",
                *(spread(accuracies(decays, neuron=neuron, layer_a1=a1, layer_a2=a2)) for a2 in DECAYS),
            ]
            for a1 in DECAYS
        ]
        parts.append(table(["", *(f"a2 = {a2:g}" for a2 in DECAYS)], rows))
    parts.append("## The schedule g(t) of the Adaptive neuron\n")
    rows = [
        [f"{form}, k = {k:g}", *(spread(accuracies(schedules, layer_schedule=shape(form, k, t))) for t in THETAS)]
        for form, k in itertools.product(FORMS, SHAPES)
    ]
    parts.append(table(["", *(f"theta = {t:g}" for t in THETAS)], rows))
    return "\n".join(parts)


def plot(decays: Found, schedules: Found) -> Any:
    """The grid of both decays of each neuron; fixed and time-varying decays over the epochs; the schedule's scale."""
    figure, (relaxed, adaptive, epochs, scales) = axes(4)
    for panel, neuron in zip((relaxed, adaptive), NEURONS, strict=True):
        cells = [[accuracies(decays, neuron=neuron, layer_a1=a1, layer_a2=a2) for a2 in DECAYS] for a1 in DECAYS]
        grid = [[sum(cell) / len(cell) for cell in row] for row in cells]
        panel.imshow(grid, origin="lower", vmin=10, vmax=75, cmap="viridis")
        for (i, row), k in itertools.product(enumerate(grid), range(len(DECAYS))):
            panel.text(k, i, f"{row[k]:.0f}", ha="center", va="center", color="white")
        panel.set_title(neuron, fontsize=9, loc="left")
        panel.set(xticks=range(3), xticklabels=DECAYS, yticks=range(3), yticklabels=DECAYS, xlabel="a2", ylabel="a1")
    for (neuron, style), (decay, colour) in itertools.product(
        zip(NEURONS, ("--", "-"), strict=True), zip(DECAYS, COLOURS, strict=False)
    ):
        curves = [result["curve"] for result in of(decays, neuron=neuron, layer_a1=decay, layer_a2=decay)]
        mean = [sum(epoch) / len(epoch) for epoch in zip(*curves, strict=True)]
        name = "fixed at the start" if neuron == NEURONS[0] else "falling from 1"
        epochs.plot(range(1, len(mean) + 1), mean, style, color=colour, label=f"{decay:g}, {name}")
    epochs.set(xlabel="epoch", ylabel="test accuracy, %")
    for (form, k), colour in zip(itertools.product(FORMS, SHAPES), COLOURS, strict=False):
        groups = [accuracies(schedules, layer_schedule=shape(form, k, theta)) for theta in THETAS]
        means = [sum(values) / len(values) for values in groups]
        scales.plot(THETAS, means, "-o", color=colour, markersize=3, label=f"{form}, k = {k:g}")
    scales.set(xscale="log", xlabel="theta, steps", ylabel="test accuracy, %")
    for panel in (epochs, scales):
        panel.legend(fontsize=7)
    return figure


def main() -> None:
    """Run the study; what was done before is not done again."""
    given = options(__doc__, 2)
    halves = jobs(given.seeds)
    todo = [*halves[0], *halves[1]]
    results = run_jobs(train_job, todo, given.out / "decays.jsonl", workers=given.workers)
    found = list(zip(todo, results, strict=True))
    parts = found[: len(halves[0])], found[len(halves[0]) :]
    write(given.out, "decays", report(*parts, given.seeds), plot(*parts))


if __name__ == "__main__":
    main()
