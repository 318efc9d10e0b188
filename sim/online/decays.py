"""What the decays and their schedule do to learning by e-prop.

    python -m sim.online.decays --out docs/online [--seeds 2]

One layer of 128 recurrent neurons on digits, a pixel a step (T = 64), so that memory counts. First the decays at the
start of training, of the relaxed TC-LIF and as the minimum of the Adaptive one (Yin et al., 2024, figure 4); then the
shape of the Adaptive neuron's schedule (figure 5).
"""

from __future__ import annotations

import itertools
from typing import Any

from sim.online.training import job, train_job
from sim.study import COLOURS, Job, axes, options, run_jobs, spread, table, write

NEURONS = ("relaxed TC-LIF", "Adaptive TC-LIF")
DECAYS = (0.5, 0.8, 0.95)
FORMS = ("survival", "density")
THETAS = (2.0, 10.0, 60.0)
SHAPES = (2.0,)
TRAINING: dict[str, Any] = {"epochs": 6, "batch_size": 32, "lr": 1e-2, "depth": 1, "layer_reset_grad": "detach"}


def decay_job(neuron: str, decay: float, seed: int) -> dict[str, Any]:
    """Both compartments begin with `decay`."""
    return job("digits-pixels", neuron, "eprop", True, seed, layer_a1=decay, layer_a2=decay, **TRAINING)


def schedule_job(form: str, k: float, theta: float, seed: int) -> dict[str, Any]:
    """The Adaptive neuron's default minimum, another way towards it."""
    schedule = {"form": form, "k": k, "theta": theta}
    return job("digits-pixels", "Adaptive TC-LIF", "eprop", True, seed, layer_schedule=schedule, **TRAINING)


def jobs(seeds: int) -> tuple[list[Job], list[Job]]:
    """The two halves of the study."""
    decays = [decay_job(n, d, s) for n, d, s in itertools.product(NEURONS, DECAYS, range(seeds))]
    schedules = [schedule_job(f, k, t, s) for f, k, t, s in itertools.product(FORMS, SHAPES, THETAS, range(seeds))]
    return decays, schedules


def report(decays: list[list[float]], schedules: list[list[float]], seeds: int) -> str:
    """Two tables of test accuracies. decays: by neuron and decay. schedules: by form, k and theta."""
    decay_rows = [
        [neuron, *(spread(values) for values in part)]
        for neuron, part in zip(NEURONS, _cut(decays, DECAYS), strict=True)
    ]
    named = itertools.product(FORMS, SHAPES)
    schedule_rows = [
        [f"{form}, k = {k:g}", *(spread(values) for values in part)]
        for (form, k), part in zip(named, _cut(schedules, THETAS), strict=True)
    ]
    return "\n".join(
        [
            "# Decays and schedules\n",
            "`python -m sim.online.decays`: one recurrent layer of 128 neurons, digits a pixel a step (T = 64), e-prop,"
            f" {TRAINING['epochs']} epochs, seeds: {seeds}; test accuracy in per cent, mean and standard deviation. "
            "Six epochs are far from convergence: read the order, not the height.\n",
            "## a1 = a2 at the start; of the Adaptive neuron, their minimum\n",
            table(["", *(f"{d:g}" for d in DECAYS)], decay_rows),
            "## The schedule g(t) of the Adaptive neuron\n",
            table(["", *(f"theta = {t:g}" for t in THETAS)], schedule_rows),
        ]
    )


def _cut(values: list[Any], like: tuple[Any, ...]) -> list[list[Any]]:
    return [values[i : i + len(like)] for i in range(0, len(values), len(like))]


def plot(decays: list[list[float]], schedules: list[list[float]]) -> Any:
    """Mean test accuracy over the decay and over the schedule's scale."""
    figure, (left, right) = axes(2)
    for neuron, part, colour in zip(NEURONS, _cut(decays, DECAYS), COLOURS, strict=False):
        left.plot(DECAYS, [sum(v) / len(v) for v in part], "-o", color=colour, markersize=3, label=neuron)
    named = itertools.product(zip(FORMS, COLOURS, strict=False), zip(SHAPES, ("-",), strict=True))
    for ((form, colour), (k, style)), part in zip(named, _cut(schedules, THETAS), strict=True):
        means = [sum(v) / len(v) for v in part]
        right.plot(THETAS, means, style, marker="o", color=colour, markersize=3, label=f"{form}, k = {k:g}")
    right.set(xscale="log", xlabel="theta, steps")
    left.set(xlabel="a1 = a2 at the start", ylabel="test accuracy, %")
    for panel in (left, right):
        panel.legend(fontsize=7)
    return figure


def main() -> None:
    """Run the study; what was done before is not done again."""
    given = options(__doc__, 2)
    halves = jobs(given.seeds)
    results = run_jobs(
        train_job, [*halves[0], *halves[1]], given.out / "decays.jsonl", workers=given.workers, fresh=False
    )
    groups = [[r["accuracy"] for r in part] for part in _cut(results, tuple(range(given.seeds)))]
    count = len(halves[0]) // given.seeds
    parts = groups[:count], groups[count:]
    write(given.out, "decays", report(*parts, given.seeds), plot(*parts))


if __name__ == "__main__":
    main()
