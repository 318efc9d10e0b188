"""Are the spikes the same bits? `python -m sim.bench.same_bits [--device cuda]`.

Models on a grid (`tn.on_grid`), every neuron, feed-forward and recurrent, whole samples: what the CPU's compiled scans
give, event-driven and on all cores, beside the plain loop of dense products, and beside a device. Equal is `==`, of all
spikes of all layers; the exit status is 1 if one differs, and 2 if the device is not there or lacks something. A card
that does not answer within `--timeout` seconds ends the process.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

import tclif_neuro as tn
from tclif_neuro.errors import TclifError
from tclif_neuro.learning.recipe.file import load_recipe, parse_recipe
from tclif_neuro.learning.training.device import device_of
from tclif_neuro.neurons.kinds import KINDS

LEVELS = 256  # of the input, between 0 and 1
GAIN = 3.0  # of the weights, so that the last layer fires


@dataclass(frozen=True, kw_only=True)
class Same:
    """Two ways to the same spikes. rate: spikes a neuron and step; different: how many of `spikes` places differ."""

    neuron: str
    recurrent: bool
    other: str
    rate: float
    spikes: int
    different: int


def model_of(kind: str, recurrent: bool, sizes: Sequence[int]) -> nn.Sequential:
    """A network on a grid, its weights the same each time."""
    torch.manual_seed(0)
    neuron = next(known.module for known in KINDS if known.name == kind)
    layers: list[nn.Module] = []
    for m, n in pairwise(sizes[:-1]):
        layers += [nn.Linear(m, n), neuron(n, recurrent=recurrent)]  # type: ignore[call-arg]
    model = nn.Sequential(*layers, tn.Readout(*sizes[-2:]))
    with torch.no_grad():
        for layer in layers[::2]:
            assert isinstance(layer, nn.Linear)
            layer.weight.mul_(GAIN)
    return tn.on_grid(model, step=1 / LEVELS, largest=1.0)


def spikes_of(model: nn.Sequential, x: Tensor) -> list[Tensor]:
    """Every spiking layer's spikes [T, B, N], on the CPU."""
    found = []
    with torch.no_grad():
        for i, module in enumerate(model[:-1]):
            x = module(x)
            if i % 2:
                found.append(x.as_subclass(Tensor).cpu() != 0)
    return found


def compared(device: torch.device, steps: int, batch: int, sizes: Sequence[int]) -> Iterator[Same]:
    """Each neuron with integers of its own, feed-forward and recurrent: the CPU's scans beside every other way."""
    x = torch.randint(LEVELS + 1, (steps, batch, sizes[0]), generator=torch.Generator().manual_seed(1)) / LEVELS
    others = [("the CPU, step by step", torch.device("cpu"), "reference")]
    if device.type != "cpu":
        others.insert(0, (f"{named(device)}, step by step", device, "reference"))
    if device.type == "cuda":
        others.insert(0, (f"{named(device)}, Triton", device, "triton"))
    for kind in KINDS:
        for recurrent in (False, True) if kind.integers else ():
            model = model_of(kind.name, recurrent, sizes)
            with scans("auto"):
                ours = spikes_of(model, x)
            for label, where, scan in others:
                with scans(scan):
                    theirs = spikes_of(model.to(where), x.to(where))
                model.to("cpu")
                pairs = list(zip(ours, theirs, strict=True))
                yield Same(
                    neuron=kind.module.__name__,
                    recurrent=recurrent,
                    other=label,
                    rate=float(torch.cat([one.flatten() for one in ours]).double().mean()),
                    spikes=sum(one.numel() for one in ours),
                    different=sum(int((one != other).sum()) for one, other in pairs),
                )


def named(device: torch.device) -> str:
    """The card's name, or that of the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


@contextmanager
def scans(choice: str) -> Iterator[None]:
    """`TCLIF_SCAN` for the block."""
    before = os.environ.get("TCLIF_SCAN")
    os.environ["TCLIF_SCAN"] = choice
    try:
        yield
    finally:
        os.environ.pop("TCLIF_SCAN")
        if before is not None:
            os.environ["TCLIF_SCAN"] = before


def after_an_epoch(path: Path, device: torch.device) -> Iterator[str]:
    """The test accuracy of a recipe after one epoch, on the CPU and on the device."""
    recipe = load_recipe(path)
    data = recipe.model_dump(mode="json")
    once = parse_recipe({**data, "training": {**data["training"], "epochs": 1}}, custom=True)
    for where in dict.fromkeys((torch.device("cpu"), device)):
        with tempfile.TemporaryDirectory() as folder, scans("triton" if where.type == "cuda" else "auto"):
            result = tn.train(once, folder, device=str(where))
        yield f"{path.stem} after an epoch on {named(where)}: {result.test_accuracy}, {result.seconds:.1f} s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each comparison; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sim.bench.same_bits", description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu (its engines), cuda, cuda:N, mps or auto")
    parser.add_argument("--steps", type=int, default=784)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--sizes", type=_numbers, default=(1, 64, 256, 256, 10), metavar="N,...")
    parser.add_argument("--recipe", type=Path, help="also: its accuracy after an epoch, beside the CPU's")
    parser.add_argument("--timeout", type=float, default=1800, metavar="SECONDS", help="of everything")
    asked = parser.parse_args(arguments)
    # A wait for a card cannot be interrupted.
    faulthandler.dump_traceback_later(asked.timeout, exit=True, file=sys.__stderr__)
    try:
        return run(asked)
    except TclifError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        faulthandler.cancel_dump_traceback_later()


def run(asked: argparse.Namespace) -> int:
    """Compare, a line for each; returns 1 if a spike differs, else 0."""
    device = device_of(asked.device)
    print(f"torch {torch.__version__} on {named(device)}; {asked.batch} samples of {asked.steps} steps, {asked.sizes}")
    wrong = 0
    for same in compared(device, asked.steps, asked.batch, asked.sizes):
        what = f"{same.neuron}, {'recurrent' if same.recurrent else 'feed-forward'}"
        said = "the same" if not same.different else f"{same.different} of {same.spikes} differ"
        print(f"{what:40} {same.rate:6.1%} firing   {same.other}: {said}", flush=True)
        wrong += same.different
    for line in after_an_epoch(asked.recipe, device) if asked.recipe else ():
        print(line, flush=True)
    return 1 if wrong else 0


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
