"""The commands that meet other frameworks: their files, and their measures; `cli.app` registers them."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from tclif_neuro.cli.options import DataDir, DataFile, Json, NetFile, RecipeFile, RunFolder, TaskName


class Reset(str, Enum):
    """The way in which a LIF of the file is reset."""

    zero = "zero"
    delayed = "delayed"
    immediate = "immediate"


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.nir", help="A network in a NIR file.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FILE.net", help="The file to write; an old one is replaced.", show_default=False
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            metavar="FILE.npz",
            help="Samples x [samples, steps, inputs] from which the scales are chosen.",
            show_default=False,
        ),
    ],
    dt: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Seconds per step.", show_default="what the file says")
    ] = None,
    reset: Annotated[
        Reset, typer.Option(help="The reset of its LIF neurons: to zero, or by subtracting the threshold.")
    ] = Reset.zero,
    json: Json = False,
) -> None:
    """Turn a NIR file into a network of integers, and report what was lost."""
    from tclif_neuro.cli.commands.exchange import import_file, import_parts
    from tclif_neuro.show import terminal

    result = import_file(file, out, data, dt=dt, reset=reset.value)
    terminal.deliver(result, import_parts(result), json)


def neurobench(
    file: NetFile,
    task: TaskName = None,
    data: DataFile = None,
    samples: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the first N.", show_default=False)
    ] = None,
    trained: RunFolder = None,
    recipe: RecipeFile = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Measure a network as NeuroBench does: footprint, sparsity, operations. With --run, the float model behind it."""
    from tclif_neuro.cli.commands.neurobench import measure_file, measure_parts
    from tclif_neuro.cli.commands.samples import Choice
    from tclif_neuro.show import terminal

    choice = Choice(task=task, data=data, limit=samples, data_dir=data_dir)
    result = measure_file(file, choice, trained=trained, recipe=recipe)
    terminal.deliver(result, measure_parts(result), json)
