"""`tclif plot`: one sample in a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tclif_neuro.cli.commands.executors import execute
from tclif_neuro.cli.commands.floats import trace_floats
from tclif_neuro.cli.commands.outputs import check_output, save_figure
from tclif_neuro.cli.commands.predict import answers_values
from tclif_neuro.cli.commands.samples import Choice, load_batch
from tclif_neuro.compare.activity import of_run, of_trace
from tclif_neuro.compare.runs import score_of
from tclif_neuro.fixed.concerns import concerns
from tclif_neuro.netx import load
from tclif_neuro.score import Score
from tclif_neuro.show.plots import Sample, activity_figure
from tclif_neuro.show.tables import number, share

SUFFIXES = (".png", ".svg", ".pdf")


@dataclass(frozen=True, kw_only=True)
class PlotResult:
    """The figure drawn, and its file.

    label: None if it is not known, or not one for the sample. score: of the sample, where its targets are per step, or
    values. input_clipped, warnings: as of `tclif run`.
    """

    figure: Path
    source: str
    sample: int
    prediction: str
    label: str | None
    score: Score
    input_clipped: float
    warnings: tuple[str, ...]


def plot_file(
    file: Path,
    figure: Path,
    choice: Choice,
    *,
    trained: Path | None = None,
    recipe: Path | None = None,
    index: int = 0,
    neurons: Sequence[int] | None = None,
) -> PlotResult:
    """Draw sample `index`: every layer's spikes, and both compartments of `neurons` (None: the busiest two of a layer).

    trained: the run that has the float model, drawn under the integers; recipe: its recipe file, needed where that
    names a neuron of another package.
    """
    check_output(figure, SUFFIXES, [file])
    net = load(file)
    batch = load_batch(net, choice).sample(index).cut()
    run = execute("reference", net, batch, record=True).run
    of_class = batch.y is not None and batch.y.ndim == 1
    label = int(batch.y[0]) if batch.y is not None and of_class else None
    found = Score() if of_class else score_of(run, batch.y)
    sample = Sample(
        input=run.input[:, 0],
        integers=of_run(net, run),
        floats=None if trained is None else of_trace(net, trace_floats(net, trained, batch, recipe)),
        index=0,
        classes=net.classes,
        label=label,
        values=answers_values(net) or (batch.y is not None and batch.y.dtype.kind == "f"),
    )
    prediction = sample.answer(run.float_logits[0])
    truth = None if label is None else sample.name(label)
    said = f"{file.name}, sample {index} of {Path(batch.source).name}: predicts {prediction}"
    title = said + _judged(found, prediction, truth)
    save_figure(figure, activity_figure(sample, title=title, neurons=neurons))
    return PlotResult(
        figure=figure,
        source=batch.source,
        sample=index,
        prediction=prediction,
        label=truth,
        score=found,
        input_clipped=run.input_clipped,
        warnings=concerns(net, run),
    )


def _judged(found: Score, prediction: str, truth: str | None) -> str:
    """The verdict on a prediction, for the title."""
    if truth is not None:
        return f", {'rightly' if truth == prediction else f'truly {truth}'}"
    if found.error is not None:
        return f" (error {number(found.error)})"
    return "" if found.accuracy is None else f" in the end; {share(found.accuracy)} of its steps are right"
