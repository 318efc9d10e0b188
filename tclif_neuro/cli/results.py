"""The commands that show what networks and runs say; `cli.app` registers them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from tclif_neuro.cli.options import DataDir, DataFile, Json, NetFile, RecipeFile, RunFolder, TaskName, indices


class View(str, Enum):
    """The view of a network that is drawn."""

    sample = "sample"
    phase = "phase"
    traces = "traces"


def plot(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE.net|RUN", help="A network, or the folder of a training run.", show_default=False),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="OUT.png",
            help="The figure: .png, .svg or .pdf; an old one is replaced.",
            show_default=False,
        ),
    ],
    confusion: Annotated[bool, typer.Option("--confusion", help="Draw the confusion matrix of all samples.")] = False,
    view: Annotated[
        View,
        typer.Option(help="phase: dendrite against soma, with threshold and resets; traces: the traces of e-prop."),
    ] = View.sample,
    layer: Annotated[
        int | None, typer.Option(min=0, metavar="L", help="The layer, for phase and traces.", show_default="0")
    ] = None,
    trained: RunFolder = None,
    recipe: RecipeFile = None,
    task: TaskName = None,
    data: DataFile = None,
    sample: Annotated[
        int | None, typer.Option(min=0, metavar="K", help="The index of the sample, from 0.", show_default="0")
    ] = None,
    neurons: Annotated[
        str | None,
        typer.Option(
            metavar="I,J,...",
            help="The neurons of every layer; for phase and traces, of layer L.",
            show_default="the busiest",
        ),
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Draw one sample, with the spikes of every layer and the states of some neurons; or a run's learning curves.

    --view phase and --view traces draw single two-compartment neurons.
    """
    from tclif_neuro.cli.commands import confusion as matrix
    from tclif_neuro.cli.commands import curves
    from tclif_neuro.cli.commands.plot import plot_file
    from tclif_neuro.cli.commands.samples import Choice
    from tclif_neuro.show import terminal
    from tclif_neuro.show.sheets import plot_parts
    from tclif_neuro.show.tables import share

    inside = view is not View.sample
    of_floats = {"--run": trained, "--recipe": recipe}
    of_a_sample = {"--sample": sample, "--neurons": neurons, **of_floats, "--view": inside or None}
    if file.is_dir():
        others = {"--task": task, "--data": data, "--confusion": confusion or None, "--layer": layer}
        _without({**of_a_sample, **others}, "a run's curves")
        drawn = curves.plot_curves(file, out)
        terminal.deliver(drawn, [f"wrote {drawn.figure}: {drawn.epochs} epochs, kept {drawn.kept}"], json)
        return
    choice = Choice(task=task, data=data, data_dir=data_dir)
    if confusion:
        _without({**of_a_sample, "--layer": layer}, "--confusion, which is of all samples")
        found = matrix.plot_confusion(file, out, choice)
        said = f"wrote {found.figure}: {found.samples} samples of {found.source}, accuracy {share(found.accuracy)}"
        terminal.deliver(found, [said], json)
        return
    if inside:
        from tclif_neuro.cli.commands.inside import plot_inside

        _without(of_floats, f"--view {view.value}, which is of integers")
        seen = plot_inside(
            file, out, choice, view=view.value, layer=layer or 0, index=sample or 0, neurons=indices(neurons)
        )
        named = ", ".join(map(str, seen.neurons))
        said = f"wrote {seen.figure}: neuron {named} of layer {seen.layer}, sample {seen.sample} of {seen.source}"
        terminal.deliver(seen, [said], json)
        return
    _without({"--layer": layer}, "--view sample, which shows every layer")
    result = plot_file(file, out, choice, trained=trained, recipe=recipe, index=sample or 0, neurons=indices(neurons))
    terminal.deliver(result, plot_parts(result), json)


def _without(options: Mapping[str, object], what: str) -> None:
    """Raise `typer.BadParameter` for the first option that was given."""
    for name, value in options.items():
        if value is not None:
            raise typer.BadParameter(f"cannot be combined with {what}", param_hint=name)


class Format(str, Enum):
    """The format of predictions."""

    csv = "csv"
    json = "json"


def predict(
    file: NetFile,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="Samples x, as for --data elsewhere; labels are not needed.", show_default=False
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="OUT.csv",
            help="The .csv or .json file to write; an old one is replaced.",
            show_default="standard output",
        ),
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="The format of the output.", show_default="by its suffix, else csv"),
    ] = None,
    per_step: Annotated[bool, typer.Option("--per-step", help="Answer after each step.")] = False,
) -> None:
    """Predict the class of every sample in a file, with a score per class; or the values, if trained on values."""
    from tclif_neuro.cli.commands.predict import format_of, predict_file, write_predictions
    from tclif_neuro.show import terminal

    chosen = format_of(out, None if form is None else form.value, (file, data))
    with terminal.progress() as bars:
        result = predict_file(file, data, per_step=per_step, tell=bars.executor("simulator"))
    text = write_predictions(result, chosen, out)
    if out is None:
        typer.echo(text, nl=False)
    else:
        typer.echo(f"wrote {out}: {len(result.predictions)} predictions for {result.source}")
    for warning in result.warnings:
        terminal.show_warning(warning)
