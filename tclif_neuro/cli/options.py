"""The options that several commands share."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand


class Backend(str, Enum):
    """The executors."""

    simulator = "simulator"
    reference = "reference"
    lava = "lava"


class LearnBackend(str, Enum):
    """The executors that can learn."""

    simulator = "simulator"
    lava = "lava"


NetFile = Annotated[Path, typer.Argument(metavar="FILE.net", help="A network of integers.", show_default=False)]
RunFolder = Annotated[
    Path | None,
    typer.Option(
        "--run", metavar="RUN", help="The folder of the training run that has the float model.", show_default=False
    ),
]
RecipeFile = Annotated[
    Path | None,
    typer.Option(
        "--recipe",
        metavar="FILE.toml",
        help="The run's recipe file; needed if it names a neuron from a package of yours.",
        show_default=False,
    ),
]
RunOut = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="DIR", help="The folder of the run.", show_default="runs/ and the recipe's name"
    ),
]
Resume = Annotated[bool, typer.Option("--resume/--fresh", help="Go on from what is in DIR, or start again.")]
FirstSamples = Annotated[int, typer.Option("--samples", min=1, metavar="N", help="Run only the first N samples.")]
TaskName = Annotated[
    str | None,
    typer.Option(
        "--task", metavar="NAME", help="Run on the test set of this task.", show_default="the one it was trained on"
    ),
]
DataFile = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FILE",
        help="Run on samples of your own: arrays x and y, or recordings.",
        show_default=False,
    ),
]
DataDir = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The folder of the data sets.", show_default="$TCLIF_DATA")
]
Timeout = Annotated[
    float | None,
    typer.Option(min=0, metavar="SECONDS", help="Stop Lava after this many seconds.", show_default="estimated"),
]
EstimateEnergy = Annotated[
    bool,
    typer.Option(
        "--energy", help="Estimate the energy from the counted operations, with the costs of the paper's table 2."
    ),
]
Live = Annotated[
    int | None,
    typer.Option(
        "--live",
        min=0,
        max=65535,
        metavar="[PORT]",
        help="Show the run in a browser, on a port of this machine.",
        show_default="no page; without PORT, a free one",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")]


class WithPort(TyperCommand):
    """A command whose `--live` may stand without a port: typer knows no option with a value that can be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, with port 0 put in where none is given."""
        return super().parse_args(ctx, with_port(args))


def with_port(args: list[str]) -> list[str]:
    """`args` with a port after each `--live`.

    >>> with_port(["a.toml", "--live", "--fresh"])
    ['a.toml', '--live', '0', '--fresh']
    """
    given: list[str] = []
    for word, following in zip(args, [*args[1:], ""], strict=True):
        given += [word] if word != "--live" or following.lstrip("-").isdecimal() else [word, "0"]
    return given


def indices(text: str | None, option: str = "--neurons") -> list[int] | None:
    """The numbers in "0,5", None for None. Raises `typer.BadParameter`, also if one is there twice."""
    if text is None:
        return None
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers such as 0,5", param_hint=option) from None
    if len(set(numbers)) < len(numbers):
        raise typer.BadParameter(f"{text!r} has a number twice", param_hint=option)
    return numbers
