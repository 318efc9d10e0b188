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

    Each code has keys of its own; a key that is left out has the value that it has in the function.
    """

    type: Literal["rate", "latency", "delta"]
    """The code."""
    steps: Count | None = None
    """Steps that each step of the data becomes. Of rate (1 if left out) and latency (8)."""
    threshold: Positive | None = None
    """Of latency, the value below which an input stays silent (0.01); of delta, the change that makes a spike (0.1)."""
    curve: LatencyCurve | None = None
    """Of latency: how the time of the spike falls with the value ("linear")."""
    tau: Positive | None = None
    """Time constant of latency's log curve, in steps. Left out: the square root of the threshold spikes last."""
    off: OffSpikes | None = None
    """Of delta: falls are ignored, are spikes of -1, or have channels of their own ("channel")."""
    fresh: bool | None = None
    """Of rate: draw the training set's spikes anew in each epoch (true), or once."""

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of the code's function."""
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
    """bins = { ... } of a task of events: the events become steps.

    A key that is left out has the value that the data set has by itself.
    """

    steps: Count | None = None
    """Steps per sample."""
    duration: Positive | None = None
    """Seconds per sample. Later events are dropped and counted."""
    count: Literal["binary", "sum"] = "binary"
    """A bin tells whether there was an event, or how many there were (at most 255)."""
    pool: Count | None = None
    """Neighbouring channels, or pixels in each direction, that become one input."""


class SoundSpec(Section):
    """sound = { ... } of a task of sound files: they become the energies of frequency bands, see `data.sound`."""

    bands: Count = 40
    """Inputs: bands of equal width on the mel scale."""
    step: Positive = 0.01
    """Seconds from one step to the next."""
    window: Positive = 0.025
    """Seconds that a step looks at."""
    duration: Positive | None = None
    """Seconds per sample; shorter ones end in silence. Left out: those of the longest; of speech-commands, 1."""


class FoundSpec(Section):
    """found = { ... } of a task of recordings: what they had in common, which new ones need to become the same steps.

    Training finds it; `tclif export` and `tclif learn` write it into the recipe that the network carries.
    """

    duration: Positive
    """Seconds per sample."""
    inputs: Count
    """Inputs per step, before a code makes spikes of them."""
    rate: Count | None = None
    """Of sound: samples per second."""


class TaskSpec(Section):
    """[task]: the data, see `load_task`."""

    name: str
    """The name of a data set, or the path of an own file or folder."""
    test: str | None = None
    """Path of an own file whose samples are the test set."""
    data: str | None = None
    """File or folder of a named data set, if it is not among the data sets."""
    seed: Seed = 0
    """Seed of the split or permutation, and of the spikes that are drawn."""
    encoding: EncodingSpec | None = None
    """The code that turns the data's numbers into spikes."""
    bins: BinsSpec | None = None
    """How events become steps. Left out: as the data set has it."""
    sound: SoundSpec | None = None
    """How sound becomes steps."""
    lengths: bool = False
    """Of recordings: each ends with its own last step, not in silence with that of the longest."""
    found: FoundSpec | None = None
    """In the recipe that a network carries: what its recordings had in common."""
    folder: str | None = None
    """Folder that the paths are relative to. Left out: the recipe's own."""

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
    """Return the [task] of a recipe. source: the recipe's name in errors. Raises `DataError`."""
    try:
        return _AnyRecipe.model_validate(recipe).task
    except ValidationError as error:
        raise DataError(f"{source}: {explain(error, _AnyRecipe)}") from None
