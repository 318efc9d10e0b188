"""Train a recipe of this folder and keep what came out: NAME.net, its float weights, and its measured card NAME.md.

    python models/build.py digits-rows [--runs runs] [--lava 360]

Training goes to RUNS/NAME and resumes there. The card is written from what is measured here and now: the accuracy of
the float model and of the integers on the whole test set, the agreement of the simulator with the reference and with
Lava in every spike and state, and the time all this took.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tclif_neuro.cli.commands.export import ExportOptions, ExportResult, export_run
from tclif_neuro.compare.runs import compare_runs, score_of
from tclif_neuro.data import Task, load_task
from tclif_neuro.errors import TclifError
from tclif_neuro.executors import Backend, run
from tclif_neuro.learning.recipe.file import load_recipe
from tclif_neuro.learning.recipe.sections import Recipe
from tclif_neuro.learning.training.checkpoint import load_checkpoint
from tclif_neuro.learning.training.train import LOG, TrainResult, train
from tclif_neuro.learning.zoo import save_model
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.netx import load
from tclif_neuro.show.tables import difference_text

HERE = Path(__file__).parent
FLOATS = HERE.parent / "tclif_neuro" / "models"  # where `tn.load_model` looks
BATCH = 250


@dataclass(frozen=True, kw_only=True)
class Executed:
    """The integers on the test set: accuracy, samples per second, and how many samples were compared with whom."""

    accuracy: float
    rate: float
    reference_samples: int
    lava_samples: int


def check_same(net: QuantizedNetwork, x: npt.ArrayLike, backend: Backend) -> None:
    """Raise `TclifError` with the first difference of the simulator and another executor on the samples `x`."""
    names: tuple[Backend, Backend] = ("simulator", backend)
    ours, theirs = (run(net, x, name, record=True) for name in names)
    first = compare_runs(net, ours, theirs, names=names).first
    if first is not None:
        raise TclifError(difference_text(first, *names))


def execute(net: QuantizedNetwork, task: Task, lava_samples: int) -> Executed:
    """Run the test set in the simulator; the first samples also in the reference and in Lava, which must agree."""
    x, y = np.ascontiguousarray(task.x_test.swapaxes(0, 1)), task.y_test
    steps = task.kind == "class per step"
    run(net, x[:, :2])  # compiles
    begin = time.perf_counter()
    right = labelled = 0
    for i in range(0, x.shape[1], BATCH):
        part = y[i : i + BATCH].T if steps else y[i : i + BATCH]
        found = score_of(run(net, x[:, i : i + BATCH], record=steps), part)
        right, labelled = right + (found.accuracy or 0.0) * found.count, labelled + found.count
    seconds = time.perf_counter() - begin
    compared = min(x.shape[1], max(BATCH, lava_samples))
    check_same(net, x[:, :compared], "reference")
    if lava_samples:
        check_same(net, x[:, :lava_samples], "lava")
    return Executed(
        accuracy=right / labelled,
        rate=x.shape[1] / seconds,
        reference_samples=compared,
        lava_samples=lava_samples,
    )


def best_on_the_test_set(log: Path) -> str:
    """The row of the best test accuracy of any epoch, which papers report; nothing where none was looked at."""
    with log.open(newline="") as file:
        rows = [(float(row["test_accuracy"]), row["epoch"]) for row in csv.DictReader(file) if row["test_accuracy"]]
    if not rows:
        return ""
    accuracy, epoch = max(rows, key=lambda row: row[0])
    return f"| float, best test accuracy of any epoch ({epoch}; not the weights kept) | {accuracy:.2%} |\n"


def card(
    name: str, recipe: Recipe, task: Task, trained: TrainResult, exported: ExportResult, executed: Executed
) -> str:
    """The model's card."""
    sizes = "-".join(str(n) for n in (task.inputs, *(layer.size for layer in recipe.model.layers), len(task.classes)))
    kinds = ", ".join(
        f"{'recurrent ' if layer.recurrent else ''}{layer.type} ({layer.reset} reset)" for layer in recipe.model.layers
    )
    layers = "\n".join(
        f"| {i} | 2^{layer.scale_bits} | {layer.state_used:.1%} | {layer.saturations} | {layer.spikes_differ:.2%} |"
        for i, layer in enumerate(exported.report.layers)
    )
    each = " per step" if task.kind == "class per step" else ""
    return f"""# {name}

{sizes}; {kinds}. {trained.parameters:,} parameters. Task `{recipe.task.name}`: {len(task.y_train):,} training and
{len(task.y_test):,} test samples of {task.x_train.shape[1]} steps. Recipe: [{name}.toml]({name}.toml). Network:
[{name}.net]({name}.net).

| | |
|---|---|
| float, test accuracy{each} (last epoch; the test set chose nothing) | {trained.test_accuracy:.2%} |
{best_on_the_test_set(trained.checkpoint.parent / LOG)}| float, training accuracy{each} | {trained.train_accuracy:.2%} |
| integers, test accuracy{each}, whole test set | {executed.accuracy:.2%} |
| epochs | {trained.epochs} |
| training time, all epochs | {trained.seconds:.0f} s |
| simulator | {executed.rate:.0f} samples per second |
| equal to the reference in every spike and state | {executed.reference_samples} test samples |
| equal to Lava in every spike and state | {executed.lava_samples} test samples |

What the integers lost, on {exported.report.samples} test samples:

| layer | scale | range of 24 bits used | saturations | spikes that differ from float |
|---|---|---|---|---|
{layers}

Made by `python models/build.py {name}`.
"""


def main() -> None:
    """Build one model."""
    parser = argparse.ArgumentParser(description="Train a recipe of this folder and keep its .net and card.")
    parser.add_argument("name")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--lava", type=int, default=100, help="how many test samples Lava confirms")
    options = parser.parse_args()
    recipe = load_recipe(HERE / f"{options.name}.toml")
    task = load_task(recipe.task)
    options.runs.mkdir(parents=True, exist_ok=True)
    folder = options.runs / options.name
    trained = train(recipe, folder, progress=lambda p: print(p.record, flush=True) if p.record else None)
    file = HERE / f"{options.name}.net"
    exported = export_run(folder, file, ExportOptions(samples=1000))
    save_model(FLOATS / f"{options.name}.safetensors", load_checkpoint(folder))
    executed = execute(load(file), task, min(options.lava, len(task.y_test)))
    (HERE / f"{options.name}.md").write_text(card(options.name, recipe, task, trained, exported, executed))
    print(f"wrote {file} and its card")


if __name__ == "__main__":
    main()
