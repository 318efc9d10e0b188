"""The loss around what was learnt, in a random plane.

    python -m sim.papers.landscape --out docs/papers [--quick]

[T] figure 5, scaled to a CPU: handwritten digits, a pixel per step. The plane is that of two random directions whose
rows have the norms of the weights' rows [Li et al. 2018]; vectors, the neurons' own numbers among them, stay.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sim.papers.figures import Found, draw, select
from sim.study import Job, Result, axes, spread, table

if TYPE_CHECKING:
    from torch import Tensor, nn

NEURONS = ("LIF", "LIF, learnt leak", "TC-LIF")
SAMPLES = 128  # of the training set, whose loss it is


def jobs(quick: bool) -> list[dict[str, Any]]:
    """Every neuron and seed. half: steps of the grid from its middle to its edge, which is as far as the weights."""
    size, epochs, limit, seeds, half = (8, 1, 32, 1, 1) if quick else (64, 15, None, 2, 5)
    return [
        {"neuron": n, "size": size, "epochs": epochs, "limit": limit, "half": half, "seed": seed}
        for n, seed in itertools.product(NEURONS, range(seeds))
    ]


def measure(job: Job) -> Result:
    """The loss on the grid, row by row, and the test accuracy in its middle."""
    import torch

    from sim.papers.baselines import network
    from sim.papers.training import fit, tensors
    from tclif_neuro.data import load_task

    data = tensors(load_task("digits-pixels"), job["limit"])
    torch.manual_seed(job["seed"])
    model = network(job["neuron"], job["size"], 10, recurrent=False)
    curve = fit(model, data, epochs=job["epochs"], seed=job["seed"])
    generator = torch.Generator().manual_seed(job["seed"])
    plane = [directions(model, generator) for _ in range(2)]
    steps = [i / job["half"] for i in range(-job["half"], job["half"] + 1)]
    grid = [[loss_at(model, plane, (u, v), data) for u in steps] for v in steps]
    return {"accuracy": curve[-1], "grid": grid}


def directions(model: nn.Module, generator: Any) -> list[Tensor]:
    """A random direction: of each matrix one with rows of its norms, of each vector 0."""
    import torch

    found = []
    for p in model.parameters():
        d = torch.randn(p.shape, generator=generator)
        found.append(d * (p.detach().norm(dim=1) / d.norm(dim=1))[:, None] if p.ndim == 2 else torch.zeros_like(p))
    return found


def loss_at(model: nn.Module, plane: list[list[Tensor]], at: tuple[float, float], data: tuple[Tensor, ...]) -> float:
    """The loss of the first training samples with the weights moved to that place of the plane."""
    import torch

    from sim.papers.training import loss_of

    here = [p.detach().clone() for p in model.parameters()]
    try:
        with torch.no_grad():
            for p, start, first, second in zip(model.parameters(), here, *plane, strict=True):
                p.copy_(start + at[0] * first + at[1] * second)
            return round(float(loss_of(model, data[0][:, :SAMPLES], data[1][:SAMPLES])), 4)
    finally:
        with torch.no_grad():
            for p, start in zip(model.parameters(), here, strict=True):
                p.copy_(start)


def uphill(grid: list[list[float]]) -> float:
    """The share of the grid's points whose neighbour towards the middle has no larger loss: 1 in a smooth bowl."""
    half = len(grid) // 2
    points = [p for p in itertools.product(range(len(grid)), repeat=2) if p != (half, half)]
    inner = [tuple(i + (i < half) - (i > half) for i in p) for p in points]
    return sum(grid[a][b] <= grid[i][k] for (i, k), (a, b) in zip(points, inner, strict=True)) / len(points)


def rise(grid: list[list[float]]) -> float:
    """The mean loss half-way to the edge, over the rim of that square, less the loss in the middle."""
    half = len(grid) // 2
    near = max(1, half // 2)
    square = itertools.product(range(half - near, half + near + 1), repeat=2)
    rim = [grid[i][k] for i, k in square if max(abs(i - half), abs(k - half)) == near]
    return sum(rim) / len(rim) - grid[half][half]


def report(found: Found) -> str:
    """A table of the loss in the middle, of its rise, and of how much of the plane leads uphill."""
    job = found[0][0]
    rows = []
    for neuron in NEURONS:
        grids = [r["grid"] for r in select(found, neuron=neuron)]
        rows.append(
            [
                neuron,
                spread([r["accuracy"] for r in select(found, neuron=neuron)]),
                spread([grid[job["half"]][job["half"]] for grid in grids], ".2f"),
                spread([rise(grid) for grid in grids], ".2f"),
                spread([uphill(grid) for grid in grids], ".2f"),
            ]
        )
    return "\n".join(
        [
            "# The loss around what was learnt\n",
            "`python -m sim.papers.landscape`: figure 5 of the TC-LIF paper on digits-pixels, 64 steps of one pixel "
            f"each where the paper has 784. Two feed-forward layers of {job['size']}, {job['epochs']} epochs, seeds: "
            f"{len({j['seed'] for j, _ in found})}. The loss of {SAMPLES} training samples in a random plane through "
            "the learnt weights, whose edge is as far from the middle as the weights are large: in the middle; its "
            "rise half-way to the edge; and the share of points whose neighbour towards the middle has no larger loss "
            "(1 in a smooth bowl, 0.5 in noise). Mean and standard deviation over seeds.\n",
            table(["", "test accuracy, %", "loss", "rise", "uphill"], rows),
        ]
    )


def plot(found: Found) -> Any:
    """The first seed's planes, a panel each, their loss on one scale of colours."""
    figure, panels = axes(len(NEURONS))
    grids = [select(found, neuron=neuron, seed=0)[0]["grid"] for neuron in NEURONS]
    top = sorted(value for grid in grids for row in grid for value in row)[-1]
    for panel, neuron, grid in zip(panels, NEURONS, grids, strict=True):
        image = panel.imshow(grid, extent=(-1, 1, -1, 1), origin="lower", vmin=0, vmax=top, cmap="viridis")
        panel.contour(grid, 12, extent=(-1, 1, -1, 1), colors="white", linewidths=0.5)
        panel.set_title(neuron, fontsize=9, loc="left")
    figure.colorbar(image, ax=list(panels), label="loss")
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    """Run it."""
    draw(sys.modules[__name__], argv)


if __name__ == "__main__":
    main()
