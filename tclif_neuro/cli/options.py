"""The options that several commands share."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Backend(str, Enum):
    """The executors."""

    simulator = "simulator"
    reference = "reference"
    lava = "lava"


class LearnBackend(str, Enum):
    """The learners."""

    simulator = "simulator"
    lava = "lava"


NetFile = Annotated[Path, typer.Argument(metavar="FILE.net", help="A network of integers.", show_default=False)]
RunFolder = Annotated[
    Path | None,
    typer.Option(
        "--run", metavar="RUN", help="The folder of the training run, for its float model.", show_default=False
    ),
]
RecipeFile = Annotated[
    Path | None,
    typer.Option(
        "--recipe",
        metavar="FILE.toml",
        help="The run's recipe file; needed where it names a neuron of a package of yours.",
        show_default=False,
    ),
]
RunOut = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="DIR", help="", show_default="runs/ and the recipe's name")
]
Resume = Annotated[bool, typer.Option("--resume/--fresh", help="Go on where DIR was left, or start again.")]
FirstSamples = Annotated[int, typer.Option("--samples", min=1, metavar="N", help="Only the first N.")]
TaskName = Annotated[
    str | None,
    typer.Option(
        "--task", metavar="NAME", help="Samples: a task's test set.", show_default="the one it was trained on"
    ),
]
DataFile = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="FILE.npz", help="Samples: x [samples, steps, inputs] and y of your own.", show_default=False
    ),
]
DataDir = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of the data sets.", show_default="$TCLIF_DATA")
]
Timeout = Annotated[
    float | None,
    typer.Option(min=0, metavar="SECONDS", help="Stop Lava after this many seconds.", show_default="by the work"),
]
EstimateEnergy = Annotated[
    bool, typer.Option("--energy", help="Estimate the energy: operations counted, priced as in the paper's table 2.")
]
Json = Annotated[bool, typer.Option("--json", help="The result as one line of JSON.")]


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
