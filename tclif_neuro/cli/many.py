"""The command for many trainings; `cli.app` registers it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from tclif_neuro.cli.options import DataDir, Json


class StudyExecutor(str, Enum):
    """The executor that runs the jobs."""

    processes = "processes"
    slurm = "slurm"


def study(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The study to run.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="The folder of the study; one that was begun goes on.",
            show_default="runs/ and its name",
        ),
    ] = None,
    executor: Annotated[
        StudyExecutor, typer.Option(help="processes: on this machine; slurm: a job array on a cluster.")
    ] = StudyExecutor.processes,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Run N jobs at a time, each on one core.")] = 2,
    partition: Annotated[
        str, typer.Option(metavar="P", help="The partition of the cluster.", show_default="its own default")
    ] = "",
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Run a study: a grid, seeds or a search over a recipe's keys, or an evaluation in slices.

    DIR then holds results.jsonl, table.md and plot.png. Started again, it does what is left. Exit status 1 if a job
    failed.
    """
    from tclif_neuro.cli.commands.study import study_file
    from tclif_neuro.show import terminal
    from tclif_neuro.show.study import study_parts
    from tclif_neuro.study.run import How

    how = How(executor=executor.value, workers=workers, partition=partition)
    with terminal.progress(json) as bars:
        result = study_file(file, out, how, data_dir=data_dir, tell=bars.note, progress=bars.executor("jobs"))
    terminal.deliver(result, study_parts(result), json)
    if result.failed:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the command of this file to `app`."""
    app.command()(study)
