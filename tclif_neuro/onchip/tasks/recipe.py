"""Recipes of on-chip learning: task, network and learning in one TOML file, checked key by key.

    [task]
    name = "digits-rows"

    [network]
    hidden = 128
    recurrent = true

    [learning]
    passes = 40
    update_every = 8

A key that is left out has the default below. The text under each key becomes docs/recipes.md, by
`scripts/recipe_reference.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from tclif_neuro.data.load import TASKS as DATA
from tclif_neuro.data.spec import Count, Section, TaskSpec
from tclif_neuro.onchip.rule.setup import RATE_SHIFT, SEED, SHIFT, TRACE_BITS, UPDATE_EVERY, WEIGHT_BITS

Seed = Annotated[int, Field(ge=SEED[0], le=SEED[1])]
RateShift = Annotated[int, Field(ge=RATE_SHIFT[0], le=RATE_SHIFT[1])]
Shift = Annotated[int, Field(ge=SHIFT[0], le=SHIFT[1])]
Decay = Annotated[float, Field(ge=0, le=1)]
State = Annotated[float, Field(gt=-128, lt=128)]  # 24 bits, 16 of them of the fraction
Threshold = Annotated[float, Field(ge=2**-10, lt=128)]  # a mantissa of 17 bits, 10 of them of the fraction


class DataSection(Section):
    """A task on data: `data = "my.npz"`, or [task.data] with all keys that [task] has in a recipe of `tclif train`."""

    data: TaskSpec = TaskSpec(name="digits-rows")
    """The data: as [task] of `tclif train`; or its name or path alone, which has the seed of this table."""

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, section: Any) -> Any:
        if not isinstance(section, dict) or not isinstance(data := section.get("data", "digits-rows"), str):
            return section
        return {**section, "data": {"name": data, "seed": section.get("seed", 0)}}


class AllSection(DataSection):
    """name = "all": all classes of `data`, shuffled, for `learning.passes` epochs.

    The name of a data set or of a file means all of it, and the other keys are those of its [task] in `tclif train`:
    name = "nmnist", data = "small.zip".
    """

    name: Literal["all"]
    """All classes, shuffled."""
    seed: Seed = 0
    """Seed of the split."""


class NewClassSection(DataSection):
    """name = "new-class": first all classes but the last `new`, for `learning.passes` epochs; then those.

    The first part is left out if `network.start` is given, since its network knows the old classes. Old samples are
    replayed shuffled among the new ones.
    """

    name: Literal["new-class"]
    """All classes but the last ones, then those."""
    seed: Seed = 0
    """Seed of the split."""
    new: Count = 2
    """Number of new classes."""
    passes: Count = 4
    """Epochs over the new classes."""
    replay: Annotated[float, Field(ge=0)] = 1.0
    """Old samples shown per new sample."""
    freeze: bool = False
    """Keep the hidden layers fixed while the new classes are learnt."""


class DriftSection(DataSection):
    """name = "drift": `learning.passes` epochs as they are, then `passes` with the input channels permuted."""

    name: Literal["drift"]
    """The samples as they are, then with their input channels permuted."""
    seed: Seed = 0
    """Seed of the split and of the permutation."""
    passes: Count = 10
    """Epochs over the permuted samples."""


class CueSection(Section):
    """name = "cue": the network has to say, after `silence` silent steps, which of `classes` cues it was shown.

    For `cue` steps the `channels` inputs of the sample's class spike, each with probability `rate`; for `recall` steps
    those of a signal that is the same for all classes.
    """

    name: Literal["cue"]
    """A cue that has to be remembered over silent steps."""
    seed: Seed = 0
    """Seed of the samples."""
    classes: Annotated[int, Field(ge=2)] = 2
    """Number of cues."""
    channels: Count = 4
    """Inputs per cue."""
    rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Probability of a spike per input and step."""
    cue: Count = 5
    """Steps of the cue."""
    silence: Count = 50
    """Silent steps after it."""
    recall: Count = 10
    """Steps of the signal that asks for the answer."""
    train: Count = 400
    """Training samples."""
    test: Count = 200
    """Test samples."""


class NetworkSection(Section):
    """[network]: input -> `hidden` neurons -> readout, of random weights; or the network in a file, and nothing else.

    All values are in the units of a recipe of `tclif train`; a state of 1.0 is the integer 2^16.
    """

    defaults_of_lif: ClassVar[dict[str, Any]] = {"a1": 0.0, "b1": 0.0, "b2": 1.0, "gamma": 0.0}

    start: str | None = None
    """A .net file to start from; no other key of this table goes with it."""
    hidden: Count = 128
    """Hidden neurons."""
    recurrent: bool = False
    """All-to-all weights among the hidden neurons."""
    neuron: Literal["tclif", "lif"] = "tclif"
    """Kind of the hidden neurons; "lif" is TC-LIF with a1 = b1 = gamma = 0 and b2 = 1."""
    reset: Literal["delayed", "immediate"] = "delayed"
    """A spike is taken off in the next step, or in the same one."""
    a1: Decay = 0.9
    """Decay of the dendrite."""
    a2: Decay = 0.9
    """Decay of the soma."""
    b1: Annotated[float, Field(ge=-1, le=0)] = -0.5
    """Coupling from soma to dendrite."""
    b2: Decay = 1.0
    """Coupling from dendrite to soma."""
    vth: Threshold = 1.0
    """Threshold."""
    gamma: Annotated[float, Field(ge=0, lt=128)] = 0.5
    """Reset of the dendrite by a spike."""
    readout_decay: Decay = 1.0
    """Share of the readout's potential that is left after each step."""
    input_scale: Annotated[float, Field(gt=0)] | None = None
    """Graded spike that an input of 1.0 becomes. Left out: chosen from the data."""
    seed: Seed = 0
    """Seed of the weights."""

    @model_validator(mode="before")
    @classmethod
    def _lif(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("neuron") != "lif":
            return data
        for key, value in cls.defaults_of_lif.items():
            if data.get(key, value) != value:
                raise ValueError(f'{key} = {data[key]!r}: neuron = "lif" has {value!r}; leave it out')
        return {**data, **cls.defaults_of_lif}

    @model_validator(mode="after")
    def _start_alone(self) -> NetworkSection:
        others = sorted(self.model_fields_set - {"start"})
        if self.start is not None and any(getattr(self, k) != type(self).model_fields[k].default for k in others):
            raise ValueError(f"start is given, and so is {', '.join(others)}: the file says what the network is")
        return self


class HiddenSection(Section):
    """[learning.hidden]: the shifts of the hidden layers, see `Plasticity`."""

    rate_shift: RateShift = 12
    """Learning rate, 2^-shift."""
    trace_shift: Shift = 8
    """Eligibilities are divided by 2^shift before they are clipped."""
    signal_shift: Shift = 12
    """Learning signals are divided by 2^shift before they are clipped."""
    surrogate_shift: Shift = 10
    """The surrogate falls by one per 2^shift of distance from the threshold."""
    recurrent: bool = True
    """Recurrent weights learn too."""
    recurrent_rate_shift: RateShift = 12
    """rate_shift of the recurrent weights."""
    recurrent_trace_shift: Shift = 1
    """trace_shift of the recurrent weights."""


class ReadoutSection(Section):
    """[learning.readout]: the shifts of the readout, see `Plasticity`."""

    rate_shift: RateShift = 10
    """Learning rate, 2^-shift."""
    trace_shift: Shift = 6
    """Eligibilities are divided by 2^shift before they are clipped."""


class LearningSection(Section):
    """[learning], see `LearningSetup`.

    target, error_shift, hidden and readout belong together: all of them are given, or none, and then `onchip.calibrate`
    finds them. Targets are in the units of a recipe of `tclif train`.
    """

    variant: Literal["exact"] = "exact"
    """Learning connection; the engine's variants run by `onchip.learn` alone."""
    update_every: Annotated[int, Field(ge=0, le=UPDATE_EVERY[1])] = 0
    """Steps between two updates; 0: one update, at the end of the sample."""
    rounding: Literal["stochastic", "nearest"] = "stochastic"
    """Rounding of an update."""
    feedback: Literal["symmetric", "random"] = "symmetric"
    """Weights that carry the error back: the readout's own, or fixed random ones."""
    weight_bits: Annotated[int, Field(ge=WEIGHT_BITS[0], le=WEIGHT_BITS[1])] = 8
    """Bits per weight, with the sign."""
    trace_bits: Annotated[int, Field(ge=TRACE_BITS[0], le=TRACE_BITS[1])] = 7
    """Bits per trace, without the sign."""
    seed: Seed = 0
    """Seed of the random bits and of the order of the samples."""
    passes: Count = 30
    """Epochs."""
    slower: Annotated[tuple[Count, ...], Field(strict=False)] | None = None
    """Epochs, counted over the whole task, after which the rates halve. Left out: see `onchip.tasks.session`."""
    target: State | None = None
    """Potential that the right class should reach. Left out: found from the data."""
    target_others: State = 0.0
    """Potential that the other classes should have."""
    ramp: bool = True
    """Let the target grow over the sample, or over the part in which the answer is asked for."""
    asked: Annotated[int, Field(ge=0)] | None = None
    """Step from which on the answer is asked for. Left out: 0, the first; of a cue, where its signal begins."""
    error_shift: Shift | None = None
    """Errors are divided by 2^shift before they are clipped. Left out: found from the data."""
    test_every: Count = 1000
    """Samples between two tests; the ends of phases are always tested."""
    checkpoint_every: Count = 1000
    """Samples between two checkpoints."""
    hidden: HiddenSection | None = None
    """Shifts of the hidden layers. Left out: found from the data."""
    readout: ReadoutSection | None = None
    """Shifts of the readout. Left out: found from the data."""

    @field_validator("variant", mode="before")
    @classmethod
    def _computed(cls, value: Any) -> Any:
        if value in ("native", "prefiltered"):
            raise ValueError(f'{value!r}: a recipe learns by "exact"; onchip.learn runs the variants of an engine')
        return value

    @model_validator(mode="after")
    def _all_or_none(self) -> LearningSection:
        together = ("target", "error_shift", "hidden", "readout")
        missing = [key for key in together if getattr(self, key) is None]
        if missing and len(missing) < len(together):
            given = next(key for key in together if key not in missing)
            raise ValueError(f"{given} is given, {missing[0]} is not: give {', '.join(together)}, or none of them")
        return self

    @property
    def calibrated(self) -> bool:
        """True if the shifts and the target are found from the data."""
        return self.hidden is None


AnyTask = Annotated[AllSection | NewClassSection | DriftSection | CueSection, Field(discriminator="name")]
TASKS = ("all", "new-class", "drift", "cue")


class LearnRecipe(Section):
    """A whole recipe: [task], [network] and [learning]."""

    task: AnyTask
    """The task."""
    network: NetworkSection = NetworkSection()
    """The network."""
    learning: LearningSection = LearningSection()
    """The learning."""

    @model_validator(mode="before")
    @classmethod
    def _data_by_name(cls, data: Any) -> Any:
        """`name = "my.npz"` is `name = "all", data = "my.npz"`; so with the other keys of a task of `tclif train`."""
        task = data.get("task") if isinstance(data, dict) else None
        name = task.get("name") if isinstance(task, dict) else None
        if task is None or not isinstance(name, str) or not (name in DATA or "." in name or "/" in name):
            return data
        return {**data, "task": {"name": "all", "data": task, "seed": task.get("seed", 0)}}

    def placed(self, folder: Path) -> LearnRecipe:
        """The same with paths relative to `folder`."""
        task, network = self.task, self.network
        if isinstance(task, DataSection):
            task = task.model_copy(update={"data": task.data.placed(folder)})
        if network.start is not None and not network.start.startswith("~"):
            network = network.model_copy(update={"start": str(folder.resolve() / network.start)})
        return self.model_copy(update={"task": task, "network": network})
