"""`tclif demo`: the full pipeline in one run: train, quantize, run on every executor, compare, plot."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol

from tclif_neuro.cli.commands.compare import CompareResult, compare_file
from tclif_neuro.cli.commands.executors import Tell
from tclif_neuro.cli.commands.export import ExportOptions, ExportResult, export_run
from tclif_neuro.cli.commands.plot import PlotResult, plot_file
from tclif_neuro.cli.commands.samples import Choice
from tclif_neuro.cli.commands.train import train_recipe
from tclif_neuro.learning.training.run import Report
from tclif_neuro.learning.training.train import TrainResult
from tclif_neuro.show.sheets import compare_parts, export_parts, plot_parts, train_sheet
from tclif_neuro.show.tables import Sheet

RECIPE = "digits-rows-demo.toml"
SHORT_EPOCHS = 3
SAMPLES, SHORT_SAMPLES = 24, 4  # on which the executors are compared


class Narrator(Protocol):
    """A narrator that tells the user what is going on."""

    def say(self, text: str) -> None:
        """A sentence about what comes next."""

    def show(self, *parts: Sheet | str) -> None:
        """A result."""

    def training(self) -> Report:
        """Return the function that is told of the training's progress."""

    def executor(self, name: str) -> Tell:
        """Return the function that is told of an executor's progress."""


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """Everything that the demonstration found."""

    train: TrainResult
    export: ExportResult
    compare: CompareResult
    plot: PlotResult

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings of the steps, each once."""
        return tuple(dict.fromkeys((*self.export.warnings, *self.compare.warnings, *self.plot.warnings)))


def demo(out: Path, narrator: Narrator, *, short: bool = False) -> DemoResult:
    """Train the demonstration's recipe in `out`, from the start; convert, compare and plot it there.

    short: a few epochs and samples, to see that everything works.
    """
    file, samples = out / "digits.net", SHORT_SAMPLES if short else SAMPLES
    choice = Choice(limit=samples)
    narrator.say(
        "1/4  Train: two recurrent layers of 128 two-compartment neurons read images of digits, one row per step."
    )
    with resources.as_file(resources.files("tclif_neuro") / "recipes" / RECIPE) as recipe:
        epochs = SHORT_EPOCHS if short else None
        trained = train_recipe(recipe, out, resume=False, epochs=epochs, report=narrator.training())
    narrator.show(train_sheet(trained))
    narrator.say(f"2/4  Convert: floats become 8-bit weights and 24-bit states, once, in {file}.")
    exported = export_run(out, file, ExportOptions())
    narrator.show(*export_parts(exported))
    narrator.say(
        f"3/4  Compare: the float model, the reference, the fast simulator and Lava, on {samples} samples. "
        "Those of integers must agree in every spike and state."
    )
    compared = compare_file(file, choice, trained=out, tell=narrator.executor)
    narrator.show(*compare_parts(compared))
    figure = out / "digits.png"
    narrator.say(f"4/4  Plot: one sample, the float model under the integers, in {figure}.")
    plotted = plot_file(file, figure, choice, trained=out)
    narrator.show(*plot_parts(plotted))
    return DemoResult(train=trained, export=exported, compare=compared, plot=plotted)
