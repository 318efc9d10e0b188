"""The commands that train, and that learn on the chip; `cli.app` registers them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tclif_neuro.cli.options import (
    DataDir,
    Json,
    LearnBackend,
    Live,
    Resume,
    RunOut,
    Timeout,
    WithPort,
    indices,
)


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="The training recipe.", show_default=False)],
    out: RunOut = None,
    resume: Resume = True,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="The number of epochs, instead of the recipe's.", show_default=False),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(metavar="RULE", help="The learning rule, instead of the recipe's.", show_default=False),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="I,J,...", help="Train once with each of these seeds, in DIR/seed-I.", show_default=False),
    ] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write event files to DIR/tensorboard.")] = False,
    device: Annotated[
        str, typer.Option(metavar="DEVICE", help="The device: cpu, cuda, cuda:N, mps, or auto for the best there is.")
    ] = "cpu",
    live: Live = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Train a recipe. DIR then holds checkpoint.npz and log.csv, written after every epoch."""
    from tclif_neuro.cli.commands.live import live_training
    from tclif_neuro.cli.commands.train import train_recipe, train_seeds
    from tclif_neuro.neurons.ranks import rank
    from tclif_neuro.show import terminal
    from tclif_neuro.show.sheets import seeds_sheet, train_sheet

    if (several := indices(seeds, "--seeds")) is not None:
        for option, given in (("--tensorboard", tensorboard), ("--live", live is not None)):
            if given:
                raise typer.BadParameter("cannot be combined with --seeds", param_hint=option)
        with terminal.progress() as bars:
            trained = train_seeds(
                recipe,
                several,
                out,
                resume=resume,
                epochs=epochs,
                rule=rule,
                data_dir=data_dir,
                device=device,
                report=bars.training(),
            )
        if rank() == 0:
            terminal.deliver(trained, [seeds_sheet(trained)], json)
        return
    with terminal.progress() as bars, live_training(live if rank() == 0 else None, recipe, bars) as report:
        result = train_recipe(
            recipe,
            out,
            resume=resume,
            epochs=epochs,
            rule=rule,
            tensorboard=tensorboard,
            data_dir=data_dir,
            device=device,
            report=report,
        )
    if rank() == 0:  # of several, as torchrun starts them, one speaks
        terminal.deliver(result, [train_sheet(result)], json)


def learn(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE.toml", help="The recipe of on-chip learning.", show_default=False)
    ],
    out: RunOut = None,
    resume: Resume = True,
    backend: Annotated[
        LearnBackend, typer.Option(help="lava: let both learn the first samples, and compare; writes nothing.")
    ] = LearnBackend.simulator,
    samples: Annotated[int, typer.Option(min=1, metavar="N", help="The number of samples with --backend lava.")] = 10,
    timeout: Timeout = None,
    live: Live = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Learn online under on-chip constraints: integers, one sample at a time.

    DIR then holds checkpoint.npz and log.csv, and at the end learnt.net. Exit status 1 if Lava does not learn the same.
    """
    from tclif_neuro.cli.commands import learn as command
    from tclif_neuro.cli.commands.live import live_learning
    from tclif_neuro.show import terminal

    if backend is LearnBackend.simulator:
        with terminal.progress() as bars, live_learning(live, recipe, bars) as report:
            learned = command.learn_recipe(recipe, out, resume=resume, data_dir=data_dir, report=report)
        terminal.deliver(learned, command.learned_parts(learned), json)
        return
    if live is not None:
        raise typer.BadParameter("cannot be combined with --backend lava", param_hint="--live")
    with terminal.progress() as bars:
        confirmed = command.confirm_in_lava(
            recipe, samples, timeout=timeout, data_dir=data_dir, tell=bars.executor("lava")
        )
    terminal.deliver(confirmed, command.confirmed_parts(confirmed), json)
    if not confirmed.identical:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the commands of this file to `app`."""
    app.command(cls=WithPort)(train)
    app.command(cls=WithPort)(learn)
