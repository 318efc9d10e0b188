"""`tclif plot FILE.net --confusion`: which class is taken for which."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tclif_neuro.cli.commands.outputs import OutputError, check_output, save_figure
from tclif_neuro.cli.commands.plot import SUFFIXES
from tclif_neuro.cli.commands.run import run_file
from tclif_neuro.cli.commands.samples import Choice
from tclif_neuro.compare.breakdown import Breakdown
from tclif_neuro.show.confusion import confusion_figure
from tclif_neuro.show.tables import share


@dataclass(frozen=True, kw_only=True)
class ConfusionResult:
    """The figure drawn, and the numbers in it."""

    figure: Path
    source: str
    samples: int
    accuracy: float
    breakdown: Breakdown
    warnings: tuple[str, ...]


def plot_confusion(file: Path, figure: Path, choice: Choice) -> ConfusionResult:
    """Run the network in `file` and draw its confusion matrix. Raises `OutputError` if the samples have no classes."""
    check_output(figure, SUFFIXES, [file, *([choice.data] if choice.data else [])])
    found = run_file(file, choice, backend="simulator")
    if found.breakdown is None or found.accuracy is None:
        raise OutputError(f"{found.source}: has no classes; a confusion matrix needs the true ones")
    title = f"{file.name} on {found.samples} samples: accuracy {share(found.accuracy)}"
    save_figure(figure, confusion_figure(found.breakdown, title=title))
    return ConfusionResult(
        figure=figure,
        source=found.source,
        samples=found.samples,
        accuracy=found.accuracy,
        breakdown=found.breakdown,
        warnings=found.warnings,
    )
