"""How the gradient grows when the resets of undamped neurons are detached.

    python -m sim.papers.detached [--steps 784] [--seeds 5]

Three random TC-LIF layers, 1-64-256-256, without decay: the norm of the gradient of the first layer's weights, and its
share of each quarter of the sample, with the gradient through the reset kept and detached.
"""

from __future__ import annotations

import argparse

import torch
from torch import nn

import tclif_neuro as tn


def gradient(reset_grad: str, seed: int, steps: int) -> tuple[float, list[float]]:
    """The norm of the first layer's gradient, and the share of the loss's gradient by its current per quarter."""
    generator = torch.manual_seed(seed)
    first = nn.Linear(1, 64)
    hidden = [nn.Linear(64, 256), tn.TCLIF(256, reset_grad=reset_grad), nn.Linear(256, 256)]
    rest = nn.Sequential(tn.TCLIF(64, reset_grad=reset_grad), *hidden, tn.TCLIF(256, reset_grad=reset_grad))
    readout = tn.Readout(256, 10)
    x = torch.rand(steps, 16, 1, generator=generator)
    current = first(x)
    current.retain_grad()
    y = torch.randint(0, 10, (16,), generator=generator)
    nn.functional.cross_entropy(readout(rest(current)) / steps, y).backward()
    assert first.weight.grad is not None and current.grad is not None
    quarters = current.grad.double().square().flatten(1).sum(1).chunk(4)
    total = sum(float(part.sum()) for part in quarters)
    return float(first.weight.grad.norm()), [float(part.sum()) / total for part in quarters]


def main() -> None:
    """Print a line for each seed and way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=784)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    for reset_grad in ("keep", "detach"):
        for seed in range(given.seeds):
            norm, quarters = gradient(reset_grad, seed, given.steps)
            print(f"{reset_grad:6}  seed {seed}  norm {norm:9.2e}  quarters {' '.join(f'{q:.2f}' for q in quarters)}")


if __name__ == "__main__":
    main()
