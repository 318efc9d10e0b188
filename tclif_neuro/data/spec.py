"""The [task] of a recipe: which data, how they are split, and the code that turns their numbers into spikes.

This is the schema alone. It needs neither torch nor the data, so that whatever runs a network can read it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tclif_neuro.data.formats import is_path
from tclif_neuro.data.sequences import DataError
from tclif_neuro.data.toml import explain

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what every generator in use takes

LatencyCurve = Literal["linear", "log"]
OffSpikes = Literal["none", "signed", "channel"]


class Section(BaseModel):
    """A table of a recipe: no key but its own, no value of another type than the key's."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class EncodingSpec(Section):
    """encoding = { ... } of the task: its numbers become spikes by the function that `type` names; see `data.encode`.

    steps: of rate and latency. threshold: of latency and delta. curve, tau: of latency. off: of delta. A key left out
    has the value that it has in the function. fresh: of rate, whether the training set's spikes are drawn anew in each
    epoch (the default) or once.
    """

    type: Literal["rate", "latency", "delta"]
    steps: Count | None = None
    threshold: Positive | None = None
    curve: LatencyCurve | None = None
    tau: Positive | None = None
    off: OffSpikes | None = None
    fresh: bool | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What the function of the code takes by keyword."""
        return self.model_dump(exclude={"type", "fresh"}, exclude_none=True)

    @model_validator(mode="after")
    def _own_keys_alone(self) -> EncodingSpec:
        own = {
            "rate": {"steps", "fresh"},
            "latency": {"steps", "threshold", "curve", "tau"},
            "delta": {"threshold", "off"},
        }[self.type]
        for key in self.model_dump(exclude={"type", *own}, exclude_none=True):
            raise ValueError(f"{key} is no key of a {self.type} code; allowed are {', '.join(sorted(own))}")
        return self


class BinsSpec(Section):
    """bins = { ... } of a task of events: they become steps.

    steps: of a sample. duration: seconds of it that are looked at; what comes later is dropped, and counted. count:
    "binary", whether there was an event, or "sum", how many (at most 255). pool: neighbouring channels, or pixels each
    way, that become one. A key left out has the value that the data set has by itself.
    """

    steps: Count | None = None
    duration: Positive | None = None
    count: Literal["binary", "sum"] = "binary"
    pool: Count = 1


class TaskSpec(Section):
    """[task]: the data.

    name: one of `TASKS`, or the path of an own file or folder. test: that of another, whose samples are the test set.
    data: where the files of a named task are, a file or folder; default: among the data sets, see `load_task`.
    seed: of the split or permutation, see `load_task`, and of spikes that are drawn. bins: of events.
    folder: what the paths are relative to; a recipe that is read from a file gets its own folder.
    """

    name: str
    test: str | None = None
    data: str | None = None
    seed: Seed = 0
    encoding: EncodingSpec | None = None
    bins: BinsSpec | None = None
    folder: str | None = None

    def placed(self, folder: Path) -> TaskSpec:
        """The same with paths relative to `folder`, if it has any."""
        paths = [self.name] if is_path(self.name) else []
        paths += [path for path in (self.test, self.data) if path is not None]
        if self.folder is not None or all(Path(path).is_absolute() or path.startswith("~") for path in paths):
            return self
        return self.model_copy(update={"folder": str(folder.resolve())})


class _AnyRecipe(Section):
    """A recipe of which the [task] alone is of interest."""

    model_config = ConfigDict(extra="ignore")

    task: TaskSpec


def parse_task(recipe: dict[str, Any], source: str) -> TaskSpec:
    """The [task] of a recipe. source: what errors call that. Raises `DataError`."""
    try:
        return _AnyRecipe.model_validate(recipe).task
    except ValidationError as error:
        raise DataError(f"{source}: {explain(error, _AnyRecipe)}") from None
