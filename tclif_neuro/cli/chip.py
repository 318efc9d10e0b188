"""The commands about Loihi 2; `cli.app` registers them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tclif_neuro.cli.options import DataDir, DataFile, Json, NetFile, TaskName

BoardName = Annotated[str, typer.Option("--board", metavar="NAME", help="oheogulch, kapohopoint, vpx or halapoint.")]
ChipPathName = Annotated[
    str, typer.Option("--path", metavar="PATH", help="lif, stock, microcode; auto: what the network allows.")
]
Measured = Annotated[
    int | None, typer.Option("--samples", min=1, metavar="N", help="Measure on the first N.", show_default="none")
]


def check(
    file: NetFile,
    board: BoardName = "oheogulch",
    path: ChipPathName = "auto",
    samples: Measured = None,
    one_run: Annotated[bool, typer.Option("--one-run", help="All samples in one run.")] = False,
    task: TaskName = None,
    data: DataFile = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Would it fit Loihi 2? Against sourced limits. Exit status 1 if a finding is an error."""
    from tclif_neuro.cli.commands.loihi import check_file
    from tclif_neuro.cli.commands.samples import Choice
    from tclif_neuro.show import terminal
    from tclif_neuro.show.chip import check_parts

    choice = Choice(task=task, data=data, limit=samples, data_dir=data_dir)
    result = check_file(file, board=board, path=path, samples=samples, one_run=one_run, choice=choice)
    terminal.deliver(result, check_parts(result), json)
    if result.errors:
        raise typer.Exit(1)


def map_cores(
    file: NetFile,
    board: BoardName = "oheogulch",
    path: ChipPathName = "auto",
    samples: Measured = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="OUT.png", help="Draw the chips.", show_default=False)
    ] = None,
    task: TaskName = None,
    data: DataFile = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Where could it lie on Loihi 2: cores, memory; with --samples, estimates of time and energy."""
    from tclif_neuro.cli.commands.loihi import map_file
    from tclif_neuro.cli.commands.samples import Choice
    from tclif_neuro.show import terminal
    from tclif_neuro.show.chip import map_parts

    choice = Choice(task=task, data=data, limit=samples, data_dir=data_dir)
    result = map_file(file, board=board, path=path, samples=samples, choice=choice, figure=out)
    terminal.deliver(result, map_parts(result), json)
