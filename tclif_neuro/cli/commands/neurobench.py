"""`tclif neurobench`: NeuroBench's figures of a .net file, or of the float model that it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tclif_neuro.cli.commands.floats import load_floats
from tclif_neuro.cli.commands.samples import Choice, load_batch
from tclif_neuro.errors import TclifError
from tclif_neuro.netx import load
from tclif_neuro.neurobench.measure import Figures, measure
from tclif_neuro.show.tables import Sheet, share


@dataclass(frozen=True, kw_only=True)
class NeuroBenchResult:
    """file, source: what was measured on what. figures: NeuroBench's."""

    file: Path
    source: str
    figures: Figures


def measure_file(file: Path, choice: Choice, *, trained: Path | None, recipe: Path | None) -> NeuroBenchResult:
    """Measure the network in `file`, or the model in the run folder `trained`, on the samples of `choice`."""
    if recipe is not None and trained is None:
        raise TclifError("--recipe: is of a run; give its folder with --run")
    net = load(file)
    floats = None if trained is None else load_floats(net, trained, recipe)
    batch = load_batch(net, choice)
    figures = measure(net, batch.x, batch.y, lengths=batch.lengths, floats=floats)
    return NeuroBenchResult(file=file, source=batch.source, figures=figures)


def measure_parts(result: NeuroBenchResult) -> list[Sheet | str]:
    """Return the figures as a table, with what they count."""
    found = result.figures
    rows = [
        ("samples", f"{found.samples:,} of {result.source}"),
        ("accuracy of steps" if found.per_step else "accuracy", share(found.accuracy)),
        ("footprint", f"{found.footprint:,} bytes, {found.weights:,} of them weights in {found.numbers}"),
        ("connection sparsity", f"{found.connection_sparsity:.3f}"),
        ("activation sparsity", f"{found.activation_sparsity:.3f}"),
        ("accumulates", f"{found.accumulates:,.0f} per sample"),
        ("multiply-accumulates", f"{found.multiplies:,.0f} per sample"),
        ("dense operations", f"{found.dense:,.0f} per sample"),
        ("membrane updates", f"{found.membrane_updates:,.0f} per sample"),
    ]
    return [Sheet(title=f"NeuroBench, {found.numbers}", columns=(), rows=tuple(rows))]
