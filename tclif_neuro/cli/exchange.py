"""The command that reads files of other frameworks; `cli.app` registers it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from tclif_neuro.cli.options import Json


class Reset(str, Enum):
    """The way in which a LIF of the file is reset."""

    zero = "zero"
    delayed = "delayed"
    immediate = "immediate"


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.nir", help="A network, written by NIR.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FILE.net", help="What to write; replaced if there.", show_default=False),
    ],
    data: Annotated[
        Path,
        typer.Option(
            metavar="FILE.npz", help="Samples x [samples, steps, inputs] that set the scales.", show_default=False
        ),
    ],
    dt: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Per step.", show_default="what the file says")
    ] = None,
    reset: Annotated[Reset, typer.Option(help="Of its LIF: to zero, or by subtracting the threshold.")] = Reset.zero,
    json: Json = False,
) -> None:
    """Turn a NIR file into a network of integers, and say what that lost."""
    from tclif_neuro.cli.commands.exchange import import_file, import_parts
    from tclif_neuro.show import terminal

    result = import_file(file, out, data, dt=dt, reset=reset.value)
    terminal.deliver(result, import_parts(result), json)
