"""The command `tclif`: it parses, calls what is in `commands`, and prints.

Exit status: 0 success; 1 the command ran, but the executors disagree; 2 user error, reported on one line; 70 a bug;
130 interrupted. Results go to standard output (`--json`: one line of JSON), all else to standard error.

What a command needs is imported when it runs, so that `tclif --help` is quick.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from tclif_neuro import __version__
from tclif_neuro.cli import chip, exchange, many, pages, results, training
from tclif_neuro.cli.options import (
    Backend,
    DataDir,
    DataFile,
    EstimateEnergy,
    FirstSamples,
    Json,
    NetFile,
    RecipeFile,
    RunFolder,
    TaskName,
    Timeout,
)
from tclif_neuro.cli.status import BUG, Tclif, end, flushed

app = typer.Typer(
    cls=Tclif,
    rich_markup_mode=None,  # plain help: importing what draws it richly takes half a second
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _tclif(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """Train, quantize, run and compare two-compartment spiking networks."""
    if version:
        typer.echo(f"tclif {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def export(
    trained: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a training run.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FILE.net", help="The file to write; an old one is replaced.", show_default=False
        ),
    ],
    bits: Annotated[int, typer.Option(min=2, max=8, help="Bits per weight.")] = 8,
    stock: Annotated[
        bool, typer.Option("--stock", help="Convert to Lava's own LIF neurons; every layer must be a LIF.")
    ] = False,
    qat: Annotated[
        int, typer.Option(min=0, metavar="EPOCHS", help="First train for EPOCHS on the integers' grid.")
    ] = 0,
    samples: Annotated[
        int, typer.Option(min=1, metavar="N", help="Measure the loss on the first N test samples.")
    ] = 256,
    nir: Annotated[
        Path | None,
        typer.Option(metavar="FILE.nir", help="Also write the float model, for other frameworks.", show_default=False),
    ] = None,
    recipe: RecipeFile = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Quantize a trained model to integers and report the loss."""
    from tclif_neuro.cli.commands.export import ExportOptions, export_run
    from tclif_neuro.show import terminal
    from tclif_neuro.show.sheets import export_parts

    options = ExportOptions(
        weight_bits=bits, stock=stock, qat_epochs=qat, samples=samples, data_dir=data_dir, nir=nir, recipe=recipe
    )
    with terminal.progress() as bars:
        result = export_run(trained, out, options, tell=bars.executor("training on the grid"))
    terminal.deliver(result, export_parts(result), json)


@app.command()
def run(
    file: NetFile,
    task: TaskName = None,
    data: DataFile = None,
    backend: Annotated[Backend, typer.Option(help="The executor of the network.")] = Backend.simulator,
    samples: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Run only the first N samples.", show_default=False)
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Run N samples at a time.", show_default="256; Lava: all")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.npz", help="Save spikes, states and logits; an old file is replaced.", show_default=False
        ),
    ] = None,
    energy: EstimateEnergy = False,
    timeout: Timeout = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Run a network of integers and report its accuracy, speed and spikes."""
    from tclif_neuro.cli.commands.run import run_file
    from tclif_neuro.cli.commands.samples import Choice
    from tclif_neuro.show import terminal
    from tclif_neuro.show.sheets import run_parts

    choice = Choice(task=task, data=data, limit=samples, data_dir=data_dir)
    with terminal.progress() as bars:
        tell = bars.executor(backend.value)
        result = run_file(
            file,
            choice,
            backend=backend.value,
            size=batch,
            record=record,
            estimate=energy,
            timeout=timeout,
            tell=tell,
        )
    terminal.deliver(result, run_parts(result), json)


@app.command()
def compare(
    file: NetFile,
    trained: RunFolder = None,
    recipe: RecipeFile = None,
    task: TaskName = None,
    data: DataFile = None,
    samples: FirstSamples = 16,
    lava: Annotated[bool, typer.Option("--lava/--no-lava", help="Also run Lava, if it is installed.")] = True,
    energy: EstimateEnergy = False,
    timeout: Timeout = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Compare the executors, spike by spike and state by state. Exit status 1 if the integers differ."""
    from tclif_neuro.cli.commands.compare import compare_file
    from tclif_neuro.cli.commands.samples import Choice
    from tclif_neuro.show import terminal
    from tclif_neuro.show.sheets import compare_parts

    choice = Choice(task=task, data=data, limit=samples, data_dir=data_dir)
    with terminal.progress() as bars:
        result = compare_file(
            file,
            choice,
            trained=trained,
            recipe=recipe,
            lava=lava,
            estimate=energy,
            timeout=timeout,
            tell=bars.executor,
        )
    terminal.deliver(result, compare_parts(result), json)
    if not result.identical:
        raise typer.Exit(1)


@app.command()
def data(
    name: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A file, a folder, a recipe or the name of a task.", show_default=False),
    ],
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Describe a data file: its contents, the task it makes, and its oddities."""
    from tclif_neuro.cli.commands.data import data_parts, describe_data
    from tclif_neuro.show import terminal

    summary = describe_data(name, data_dir)
    terminal.deliver(summary, data_parts(summary), json)


@app.command()
def inspect(file: NetFile, json: Json = False) -> None:
    """Describe a .net file."""
    from tclif_neuro.netx import describe
    from tclif_neuro.show import terminal
    from tclif_neuro.show.sheets import inspect_parts

    summary = describe(file)
    terminal.deliver(summary, inspect_parts(summary), json)


@app.command()
def demo(
    short: Annotated[
        bool, typer.Option("--short", help="Use a few epochs and samples, to see that everything works.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder for all results.")] = Path(
        "runs/demo"
    ),
    json: Json = False,
) -> None:
    """Run the full pipeline: train, quantize, run on every executor, compare, plot."""
    from tclif_neuro.cli.commands.demo import demo as whole_way
    from tclif_neuro.show import terminal

    with terminal.progress(json) as bars:
        result = whole_way(out, bars, short=short)
    terminal.deliver(result, [], json)
    if not result.compare.identical:
        raise typer.Exit(1)


@app.command()
def bench(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="The folder for tables, figures and plots.")
    ] = Path("out/benchmark"),
    short: Annotated[
        bool, typer.Option("--short", help="Take minutes instead of hours: fewer sizes, each measured once.")
    ] = False,
    only: Annotated[
        str, typer.Option(metavar="NAME,...", help="Measure only these contenders.", show_default="all")
    ] = "",
    json: Json = False,
) -> None:
    """Measure training and simulation against other libraries on this machine; needs the source tree."""
    from tclif_neuro.cli.commands.bench import bench_parts, run_bench
    from tclif_neuro.show import terminal

    result = run_bench(out, short=short, only=only)
    terminal.deliver(result, bench_parts(result), json)


training.register(app)
chip.register(app)
many.register(app)
app.command(name="import")(exchange.import_)
app.command()(exchange.neurobench)
app.command()(results.plot)
app.command()(results.predict)
app.command()(pages.report)


def main() -> None:
    """The entry point. A bug has an exit status of its own, other than that of the answer "no"."""
    # Before torch is imported. Its idle threads otherwise spin: beside another program, training is ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an ASCII terminal has no letter for all that is said
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is signal.SIG_DFL:  # it is ignored under nohup, and stays so
            signal.signal(ending, end)
    try:
        status = app(prog_name="tclif", standalone_mode=False)
    except Exception:
        traceback.print_exc()
        status = BUG
    sys.exit(flushed(status))


if __name__ == "__main__":
    main()
