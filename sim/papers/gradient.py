"""How far back in time the gradient reaches, by neuron.

    python -m sim.papers.gradient --out docs/papers [--quick]

[T] figure 4 on S-MNIST at its full length, 784 steps, at random weights: the gradient of a loss by the current of the
first layer, step by step. The loss is that of training, of the readout summed over time, or that of the last step's
readout alone, which has to be carried back by the neurons.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from typing import Any

from sim.papers.figures import Found, draw, mean_curve, select
from sim.study import COLOURS, Job, Result, axes, table

NEURONS = ("LIF", "ALIF, constants of the code", "ALIF", "GLIF", "TC-LIF")
OF_THE_CODE = {"alpha": 0.135, "rho": 0.135, "base": 0.01, "normalised": True}  # exp(-1 / sigmoid(0)) = 0.135
LOSSES = {"sum": "all steps' readout", "last": "the last step's readout"}
BINS, BATCH = 56, 16


def jobs(quick: bool) -> list[dict[str, Any]]:
    """Every neuron, loss and seed."""
    task, size, seeds = ("digits-pixels", 8, 1) if quick else ("smnist", 64, 3)
    return [
        {"task": task, "neuron": n, "loss": loss, "size": size, "seed": seed}
        for n, loss, seed in itertools.product(NEURONS, LOSSES, range(seeds))
    ]


def measure(job: Job) -> Result:
    """The root mean square of the gradient in each 56th of the sample, and each quarter's share of the sum of squares.

    In double precision, which holds what grows or fades over 784 steps.
    """
    import torch
    from torch import nn

    from sim.papers.baselines import ALIF, network
    from tclif_neuro.data import load_task

    part = load_task(job["task"]).train
    torch.manual_seed(job["seed"])
    model = network(job["neuron"].partition(",")[0], job["size"], 10)
    if job["neuron"] == "ALIF, constants of the code":
        model[1], model[3] = (ALIF(job["size"], **OF_THE_CODE) for _ in range(2))
    model.double()
    if job["loss"] == "last":
        model[-1].decay = 0.0
    chosen = slice(BATCH * job["seed"], BATCH * (job["seed"] + 1))
    x = torch.from_numpy(part.x.all()[chosen]).double().transpose(0, 1)
    current = model[0](x)
    current.retain_grad()
    nn.functional.cross_entropy(model[1:](current), torch.from_numpy(part.y[chosen])).backward()
    squares = current.grad.square().mean((1, 2))
    quarters = [float(q.sum() / squares.sum().clamp(min=1e-300)) for q in squares.chunk(4)]
    bins = [float(b.mean().sqrt()) for b in squares.tensor_split(BINS)]
    return {"curve": bins, "quarters": quarters, "reach": bins[0] / max(bins[-1], 1e-300)}


def report(found: Found) -> str:
    """A table of the quarters' shares, and of how much of the last steps' gradient is left at the first ones."""
    rows = []
    for loss, neuron in itertools.product(LOSSES, NEURONS):
        results = select(found, loss=loss, neuron=neuron)
        quarters = [f"{share:.2f}" for share in mean_curve(results, "quarters")]
        reach = sorted(r["reach"] for r in results)[len(results) // 2]
        rows.append([f"{neuron}; {LOSSES[loss]}", *quarters, f"{reach:.0e}"])
    job = found[0][0]
    return "\n".join(
        [
            "# The gradient over time\n",
            f"`python -m sim.papers.gradient`: figure 4 of the TC-LIF paper on {job['task']}, at random weights, two "
            f"feed-forward layers of {job['size']}, {BATCH} samples, seeds: {len({j['seed'] for j, _ in found})}. The "
            "gradient of the loss by the first layer's current: each quarter's share of the sum of squares, mean over "
            f"seeds, and the first {BINS}th's root mean square over that of the last, median. The loss is that of "
            "training, of the readout summed over all steps, or that of the last step's readout alone.\n",
            table(["", "first quarter", "second", "third", "last", "first over last"], rows),
        ]
    )


def plot(found: Found) -> Any:
    """The gradient over the sample, relative to its largest, a panel for each loss."""
    figure, panels = axes(2)
    for panel, loss in zip(panels, LOSSES, strict=True):
        for neuron, colour in zip(NEURONS, COLOURS, strict=False):
            mean = mean_curve(select(found, loss=loss, neuron=neuron))
            top = max(*mean, 1e-300)
            at = [(i + 0.5) / BINS for i in range(BINS)]
            panel.plot(at, [max(value / top, 1e-12) for value in mean], color=colour, label=neuron)
        panel.set(yscale="log", xlabel="time, share of the sample", ylabel="gradient over its largest")
        panel.set_title(f"loss of {LOSSES[loss]}", fontsize=9, loc="left")
    panels[1].legend(fontsize=7)
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    """Run it."""
    draw(sys.modules[__name__], argv)


if __name__ == "__main__":
    main()
