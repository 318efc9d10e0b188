"""`tclif plot RUN`: the learning curves of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tclif_neuro.cli.commands.outputs import OutputError, check_output, save_figure
from tclif_neuro.cli.commands.plot import SUFFIXES
from tclif_neuro.learning.training.checkpoint import load_checkpoint
from tclif_neuro.show.curves import curves_figure


@dataclass(frozen=True, kw_only=True)
class CurvesResult:
    """The figure drawn: the number of epochs, and the one whose weights are kept."""

    figure: Path
    run: Path
    epochs: int
    kept: int


def plot_curves(run: Path, figure: Path) -> CurvesResult:
    """Draw the learning curves of the run in a folder. Raises `CheckpointError`, `OutputError`."""
    check_output(figure, SUFFIXES)
    checkpoint = load_checkpoint(run)
    if not checkpoint.log:
        raise OutputError(f"{run}: has not finished an epoch; there is nothing to draw")
    kept = checkpoint.best_epoch or checkpoint.epoch
    drawn = curves_figure(checkpoint.log, title=f"{run.name}: {checkpoint.epoch} epochs", kept=kept)
    save_figure(figure, drawn)
    return CurvesResult(figure=figure, run=run, epochs=checkpoint.epoch, kept=kept)
