"""The command that writes a page about finished runs; `cli.app` registers it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tclif_neuro.cli.options import DataDir, DataFile, Json, RunFolder, TaskName


def report(
    subjects: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN|FILE.net [OTHER]", help="One run or network, or two to compare.", show_default=False
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FILE.html", help="The file to write; an old one is replaced.", show_default=False
        ),
    ],
    trained: RunFolder = None,
    task: TaskName = None,
    data: DataFile = None,
    samples: Annotated[int, typer.Option(min=1, metavar="N", help="Run only the first N samples.")] = 256,
    sample: Annotated[int, typer.Option(min=0, metavar="K", help="Draw the spikes of sample K, from 0.")] = 0,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Write a page about a run or a network, or about two: one file to open in a browser or to send.

    RUN is the folder of `tclif train` or `tclif learn`. The page needs no network and no script.
    """
    from tclif_neuro.cli.commands.report import report_files
    from tclif_neuro.cli.commands.samples import Choice
    from tclif_neuro.show import terminal
    from tclif_neuro.show.tables import number

    choice = Choice(task=task, data=data, limit=samples, data_dir=data_dir)
    result = report_files(subjects, out, choice, index=sample, trained=trained)
    terminal.deliver(result, [f"wrote {result.file}, {number(result.bytes)} bytes: open it in a browser"], json)
