"""The commands about Loihi 2; `cli.app` registers them."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from tclif_neuro.cli.options import DataDir, DataFile, FirstSamples, Json, NetFile, TaskName, Timeout

SLURM_TIMEOUT = 900.0  # seconds, for a run through a cluster

BoardName = Annotated[
    str, typer.Option("--board", metavar="NAME", help="The board: oheogulch, kapohopoint, vpx or halapoint.")
]
ChipPathName = Annotated[
    str,
    typer.Option("--path", metavar="PATH", help="The neurons: lif, stock or microcode; auto: what the network allows."),
]
Measured = Annotated[
    int | None,
    typer.Option("--samples", min=1, metavar="N", help="Measure on the first N samples.", show_default="none"),
]


def check(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.net|RECIPE.toml", help="A network, or a recipe of tclif learn.", show_default=False
        ),
    ],
    board: BoardName = "oheogulch",
    path: ChipPathName = "auto",
    samples: Measured = None,
    one_run: Annotated[bool, typer.Option("--one-run", help="Run all samples in one run.")] = False,
    ncmodel: NcModel = "",
    task: TaskName = None,
    data: DataFile = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Check a network against the sourced limits of Loihi 2. Exit status 1 if a finding is an error.

    Given a recipe of `tclif learn`, say which parts of its network the chip could run.
    """
    from tclif_neuro.cli.commands.loihi import check_file, check_recipe
    from tclif_neuro.cli.commands.samples import Choice
    from tclif_neuro.show import terminal
    from tclif_neuro.show.chip import check_parts, learning_parts

    if file.suffix.lower() == ".toml":
        given = {"--samples": samples, "--task": task, "--data": data, "--one-run": one_run, "--ncmodel": ncmodel}
        for option in (name for name, value in given.items() if value):
            raise typer.BadParameter("is for a network; a recipe has none yet", param_hint=option)
        learning = check_recipe(file)
        terminal.deliver(learning, learning_parts(learning), json)
        if learning.errors:
            raise typer.Exit(1)
        return
    choice = Choice(task=task, data=data, limit=samples, data_dir=data_dir)
    asked: dict[str, Any] = {"board": board, "path": path, "samples": samples, "one_run": one_run, "ncmodel": ncmodel}
    result = check_file(file, choice=choice, **asked)
    terminal.deliver(result, check_parts(result), json)
    if result.errors:
        raise typer.Exit(1)


def map_cores(
    file: NetFile,
    board: BoardName = "oheogulch",
    path: ChipPathName = "auto",
    samples: Measured = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="OUT.png", help="Draw the chips into this file.", show_default=False),
    ] = None,
    task: TaskName = None,
    data: DataFile = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Map a network to the cores of Loihi 2; with --samples, estimate time and energy."""
    from tclif_neuro.cli.commands.loihi import map_file
    from tclif_neuro.cli.commands.samples import Choice
    from tclif_neuro.show import terminal
    from tclif_neuro.show.chip import map_parts

    choice = Choice(task=task, data=data, limit=samples, data_dir=data_dir)
    result = map_file(file, board=board, path=path, samples=samples, choice=choice, figure=out)
    terminal.deliver(result, map_parts(result), json)


NcModel = Annotated[
    str, typer.Option("--ncmodel", metavar="P.M:CLASS", help="Your microcode for TC-LIF, for --path microcode.")
]


class DeployTarget(str, Enum):
    """The platform to run on."""

    cpu = "cpu"
    loihi2 = "loihi2"


def deploy(
    file: NetFile,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder for report.json and spikes.npz.")],
    target: Annotated[DeployTarget, typer.Option(help="cpu: Lava's models of the chip, on this CPU; loihi2: a board.")],
    path: ChipPathName = "auto",
    board: BoardName = "oheogulch",
    partition: Annotated[
        str, typer.Option(metavar="P", help="The partition of a SLURM cluster; also for --target cpu.")
    ] = "",
    node: Annotated[str, typer.Option(metavar="N", help="The node of the cluster, instead of a partition.")] = "",
    host: Annotated[str, typer.Option(metavar="IP", help="The address of a board on Ethernet.")] = "",
    chip: Annotated[str, typer.Option(metavar="GENERATION", help="The chip: N2A2, N3B2, N3B3, N3C1 or N3D1.")] = "N3B3",
    samples: FirstSamples = 4,
    ncmodel: NcModel = "",
    profile: Annotated[bool, typer.Option("--profile", help="Measure power and time; on a board only.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do everything but the run.")] = False,
    timeout: Timeout = None,
    task: TaskName = None,
    data: DataFile = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Check, place, convert, run and compare. Exit status 1 if the bits differ, 2 if something is missing."""
    from tclif_neuro.cli.commands.deploy import DeployOptions, check_options, deploy_file, deploy_through_slurm
    from tclif_neuro.cli.commands.samples import Choice
    from tclif_neuro.loihi.host import Target
    from tclif_neuro.show import terminal
    from tclif_neuro.show.chip import deploy_parts

    where = Target(partition=partition, node=node, host=host, chip=chip)
    how: dict[str, Any] = {"timeout": timeout, "dry_run": dry_run, "ncmodel": ncmodel, "profile": profile}
    options = DeployOptions(target=target.value, path=path, board=board, where=where, **how)
    if target is DeployTarget.cpu and (partition or node):
        check_options(options)
        arguments = ["deploy", str(file.resolve()), "-o", str(out.resolve()), "--target", "cpu", "--path", path]
        arguments += ["--board", board, "--samples", str(samples)]
        arguments += [name for name, given in (("--json", json), ("--dry-run", dry_run)) if given]
        for option, value in (("--task", task), ("--data", data), ("--data-dir", data_dir), ("--timeout", timeout)):
            arguments += [] if value is None else [option, str(value)]
        raise typer.Exit(deploy_through_slurm(arguments, where, timeout or SLURM_TIMEOUT))
    choice = Choice(task=task, data=data, limit=samples, data_dir=data_dir)
    with terminal.progress() as bars:
        result = deploy_file(file, out, choice, options, tell=bars.executor("Lava"))
    terminal.deliver(result, deploy_parts(result), json)
    if result.identical is False:
        raise typer.Exit(1)


conformance = typer.Typer()


@conformance.callback(invoke_without_command=True)
def _conformance(context: typer.Context) -> None:
    """Test vectors for what no document says about the chip."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@conformance.command()
def write(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE.h5", help="The file to write; an old one is replaced.")
    ],
    net: Annotated[
        list[Path] | None,
        typer.Option("--net", metavar="FILE.net", help="Add a network on stock neurons.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Write the vectors that deploy/loihi2/run_vectors.py runs, on a board or on a CPU."""
    from tclif_neuro.cli.commands.loihi import vectors_with
    from tclif_neuro.loihi.conformance import write_vectors
    from tclif_neuro.show import terminal

    vectors = vectors_with(net or [], data_dir)
    write_vectors(out, vectors)
    terminal.deliver({"file": out, "vectors": len(vectors)}, [f"wrote {len(vectors)} vectors to {out}"], json)


@conformance.command()
def verify(
    file: Annotated[
        Path, typer.Argument(metavar="RESULT.h5", help="The file that run_vectors.py wrote.", show_default=False)
    ],
    json: Json = False,
) -> None:
    """Judge a result, vector by vector. Exit status 1 unless every vector agrees with Lava's CPU models."""
    from tclif_neuro.loihi.conformance import read_result, verdict
    from tclif_neuro.show import terminal
    from tclif_neuro.show.chip import verdict_parts

    result = read_result(file)
    verdicts = verdict(result)
    terminal.deliver({"facts": result.facts, "verdicts": verdicts}, verdict_parts(result.facts, verdicts), json)
    if any(v.equal != "lava" for v in verdicts):
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the commands of this file to `app`."""
    app.command()(check)
    app.command(name="map")(map_cores)
    app.command()(deploy)
    app.add_typer(conformance, name="conformance")
