"""The [task] of a recipe: which data, how they are split, and the code that turns their numbers into spikes.

This is the schema alone. It needs neither torch nor the data, so that whatever runs a network can read it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tclif_neuro.data.task import DataError
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

    steps: of rate and latency. threshold: of latency and delta. curve: of latency. off: of delta. A key left out has
    the value that it has in the function.
    """

    type: Literal["rate", "latency", "delta"]
    steps: Count | None = None
    threshold: Positive | None = None
    curve: LatencyCurve | None = None
    off: OffSpikes | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What the function of the code takes by keyword."""
        return self.model_dump(exclude={"type"}, exclude_none=True)

    @model_validator(mode="after")
    def _own_keys_alone(self) -> EncodingSpec:
        own = {"rate": {"steps"}, "latency": {"steps", "threshold", "curve"}, "delta": {"threshold", "off"}}[self.type]
        for key in self.model_dump(exclude={"type", *own}, exclude_none=True):
            raise ValueError(f"{key} is no key of a {self.type} code; allowed are {', '.join(sorted(own))}")
        return self


class TaskSpec(Section):
    """[task]: the data. seed: of the split or permutation, see `load_task`, and of spikes that are drawn."""

    name: str
    seed: Seed = 0
    encoding: EncodingSpec | None = None


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
