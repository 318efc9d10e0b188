"""The signs of the two couplings: the generalized neuron, started in each quadrant.

    python -m sim.papers.quadrants --out docs/papers [--quick]

[T] figure 2, scaled to a CPU: handwritten digits, a pixel per step, 64 steps for the 784 of S-MNIST.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from typing import Any

from sim.papers.figures import Found, draw, mean_curve, select
from sim.study import COLOURS, Job, Result, axes, spread, table

QUADRANTS = {"I": (1, 1), "II": (-1, 1), "III": (-1, -1), "IV": (1, -1)}  # the signs of b1 and b2
KINDS = {False: "feed-forward"}  # True: "recurrent" trains as well, and takes half as long again
COUPLING, DECAY = 0.5, 0.95


def jobs(quick: bool) -> list[dict[str, Any]]:
    """Every quadrant, network and seed."""
    size, epochs, limit, seeds = (8, 1, 32, 1) if quick else (64, 12, None, 3)
    return [
        {"quadrant": q, "recurrent": r, "size": size, "epochs": epochs, "limit": limit, "seed": seed}
        for r, q, seed in itertools.product(KINDS, QUADRANTS, range(seeds))
    ]


def measure(job: Job) -> Result:
    """Test accuracy in per cent after every epoch; the last layer's rate and couplings after training."""
    import torch
    from torch import nn

    import tclif_neuro as tn
    from sim.papers.training import fit, tensors
    from tclif_neuro.data import load_task

    torch.manual_seed(job["seed"])
    first, second = QUADRANTS[job["quadrant"]]
    start = {"a1": DECAY, "a2": DECAY, "b1": first * COUPLING, "b2": second * COUPLING, "gamma": 0.0}
    layers: list[nn.Module] = []
    for inputs in (1, job["size"]):
        neurons = tn.GeneralizedTCLIF(job["size"], recurrent=job["recurrent"], **start)
        layers += [nn.Linear(inputs, job["size"]), neurons]
    model = nn.Sequential(*layers, tn.Readout(job["size"], 10))
    data = tensors(load_task("digits-pixels"), job["limit"])
    curve = fit(model, data, epochs=job["epochs"], seed=job["seed"])
    with torch.no_grad():
        rate = float(model[:-1](data[2]).mean())
    return {
        "curve": curve,
        "rate": round(rate, 4),
        "b1": round(float(neurons.b1), 3),
        "b2": round(float(neurons.b2), 3),
    }


def report(found: Found) -> str:
    """A table of accuracies, rates and what the couplings became."""
    job = found[0][0]
    rows = []
    for recurrent, (quadrant, signs) in itertools.product(KINDS, QUADRANTS.items()):
        results = select(found, recurrent=recurrent, quadrant=quadrant)
        b1, b2, rate = (sum(r[key] for r in results) / len(results) for key in ("b1", "b2", "rate"))
        start = ", ".join(f"{sign * COUPLING:+g}" for sign in signs)
        ends = spread([r["curve"][-1] for r in results])
        rows.append([f"{quadrant}; {KINDS[recurrent]}", start, ends, f"{b1:+.2f}, {b2:+.2f}", f"{rate:.3f}"])
    return "\n".join(
        [
            "# The quadrants of the couplings\n",
            "`python -m sim.papers.quadrants`: figure 2 of the TC-LIF paper on digits-pixels, 64 steps of one pixel "
            f"each where the paper has 784. Two layers of {job['size']} generalized neurons, both decays from {DECAY} "
            f"and learnt, couplings from the start shown and learnt, {job['epochs']} epochs, seeds: "
            f"{len({job['seed'] for job, _ in found})}; test accuracy in per cent, mean and standard deviation; "
            "couplings and spikes per neuron and step of the last hidden layer after training.\n",
            table(["", "b1, b2 at the start", "accuracy, %", "b1, b2 at the end", "rate"], rows),
        ]
    )


def plot(found: Found) -> Any:
    """Mean test accuracy over epochs."""
    figure, panels = axes(len(KINDS))
    for panel, recurrent in zip(panels, KINDS, strict=True):
        for (quadrant, signs), colour in zip(QUADRANTS.items(), COLOURS, strict=False):
            mean = mean_curve(select(found, recurrent=recurrent, quadrant=quadrant))
            of = [f"{name} {'> 0' if sign > 0 else '< 0'}" for name, sign in zip(("b1", "b2"), signs, strict=True)]
            label = f"{quadrant}: {', '.join(of)}"
            panel.plot(range(1, len(mean) + 1), mean, color=colour, label=label)
        panel.set_title(KINDS[recurrent], fontsize=9, loc="left")
        panel.set(xlabel="epoch", ylabel="test accuracy, %")
    panels[0].legend(fontsize=7)
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    """Run it."""
    draw(sys.modules[__name__], argv)


if __name__ == "__main__":
    main()
