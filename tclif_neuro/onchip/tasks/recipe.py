"""Recipes of on-chip learning: what is learnt, by which network and how, in a TOML file that is checked key by key.

    [task]
    name = "digits-rows"

    [network]
    hidden = 128
    recurrent = true

    [learning]
    passes = 40
    update_every = 8

A key that is left out has the value it has below.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from tclif_neuro.data.load import TASKS as DATA
from tclif_neuro.data.spec import Count, Section
from tclif_neuro.onchip.rule.setup import RATE_SHIFT, SEED, SHIFT, TRACE_BITS, UPDATE_EVERY, WEIGHT_BITS

Seed = Annotated[int, Field(ge=SEED[0], le=SEED[1])]
RateShift = Annotated[int, Field(ge=RATE_SHIFT[0], le=RATE_SHIFT[1])]
Shift = Annotated[int, Field(ge=SHIFT[0], le=SHIFT[1])]
Decay = Annotated[float, Field(ge=0, le=1)]
State = Annotated[float, Field(gt=-128, lt=128)]  # 24 bits, 16 of them of the fraction
Threshold = Annotated[float, Field(ge=2**-10, lt=128)]  # a mantissa of 17 bits, 10 of them of the fraction


class AllSection(Section):
    """name = "all": all classes of `data`, shuffled, `learning.passes` times. seed: of the split.

    A name that is that of a data set, or of a file, stands for all of it: name = "my.npz".
    """

    name: Literal["all"]
    data: str = "digits-rows"
    seed: Seed = 0


class NewClassSection(Section):
    """name = "new-class": first all classes but the last `new`, `learning.passes` times; then those.

    The first part is left out if `network.start` is given: its network knows them. passes: of the new classes. replay:
    how many samples of the old classes are shown for each of the new ones, shuffled among them. freeze: whether the
    hidden layers stay as they are from then on.
    """

    name: Literal["new-class"]
    data: str = "digits-rows"
    seed: Seed = 0
    new: Count = 2
    passes: Count = 4
    replay: Annotated[float, Field(ge=0)] = 1.0
    freeze: bool = False


class DriftSection(Section):
    """name = "drift": `learning.passes` as they are, then `passes` with the input channels permuted by `seed`."""

    name: Literal["drift"]
    data: str = "digits-rows"
    seed: Seed = 0
    passes: Count = 10


class CueSection(Section):
    """name = "cue": which of `classes` cues was shown is asked for `silence` silent steps later.

    For `cue` steps the `channels` inputs of the sample's class spike, each with probability `rate`; for `recall` steps
    those of a signal that is the same for all classes. train, test: numbers of samples, drawn from `seed`.
    """

    name: Literal["cue"]
    seed: Seed = 0
    classes: Annotated[int, Field(ge=2)] = 2
    channels: Count = 4
    rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    cue: Count = 5
    silence: Count = 50
    recall: Count = 10
    train: Count = 400
    test: Count = 200


class NetworkSection(Section):
    """[network]: input -> `hidden` neurons -> readout, of random weights; or the network in a file, and nothing else.

    start: a .net file. neuron: "tclif", or "lif", which is TC-LIF without a dendrite that remembers: a1 = b1 = 0,
    b2 = 1, gamma = 0. a1, a2, b1, b2, vth, gamma: of the neurons, in the units of a recipe of `tclif train`; a state of
    1.0 is the integer 2^16. readout_decay: what the readout keeps of its potential each step. input_scale: an input of
    1.0 is a graded spike of that size; left out, it follows from the data. seed: of the weights.
    """

    defaults_of_lif: ClassVar[dict[str, Any]] = {"a1": 0.0, "b1": 0.0, "b2": 1.0, "gamma": 0.0}

    start: str | None = None
    hidden: Count = 128
    recurrent: bool = False
    neuron: Literal["tclif", "lif"] = "tclif"
    reset: Literal["delayed", "immediate"] = "delayed"
    a1: Decay = 0.9
    a2: Decay = 0.9
    b1: Annotated[float, Field(ge=-1, le=0)] = -0.5
    b2: Decay = 1.0
    vth: Threshold = 1.0
    gamma: Annotated[float, Field(ge=0, lt=128)] = 0.5
    readout_decay: Decay = 1.0
    input_scale: Annotated[float, Field(gt=0)] | None = None
    seed: Seed = 0

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
    trace_shift: Shift = 8
    signal_shift: Shift = 12
    surrogate_shift: Shift = 10
    recurrent: bool = True
    recurrent_rate_shift: RateShift = 12
    recurrent_trace_shift: Shift = 1


class ReadoutSection(Section):
    """[learning.readout]: the shifts of the readout, see `Plasticity`."""

    rate_shift: RateShift = 10
    trace_shift: Shift = 6


class LearningSection(Section):
    """[learning].

    variant, update_every, rounding, feedback, weight_bits, trace_bits, seed, error_shift: see `LearningSetup`;
    update_every 0: an update at the end of each sample. passes: how often the samples are shown. slower: after which
    passes, counted over the whole task, the rates halve. target: the potential that the right class should have, in
    units of a recipe of `tclif train`, others have `target_others`; ramp: it grows to that over the sample, or over the
    part of it in which the answer is asked for. target, error_shift, hidden and readout belong together: all are given,
    or none, and `onchip.calibrate` finds them. test_every, checkpoint_every: samples; the last one and the ends of
    phases are always measured.
    """

    variant: Literal["exact"] = "exact"
    update_every: Annotated[int, Field(ge=0, le=UPDATE_EVERY[1])] = 0
    rounding: Literal["stochastic", "nearest"] = "stochastic"
    feedback: Literal["symmetric", "random"] = "symmetric"
    weight_bits: Annotated[int, Field(ge=WEIGHT_BITS[0], le=WEIGHT_BITS[1])] = 8
    trace_bits: Annotated[int, Field(ge=TRACE_BITS[0], le=TRACE_BITS[1])] = 7
    seed: Seed = 0
    passes: Count = 30
    slower: Annotated[tuple[Count, ...], Field(strict=False)] = ()
    target: State | None = None
    target_others: State = 0.0
    ramp: bool = True
    error_shift: Shift | None = None
    test_every: Count = 1000
    checkpoint_every: Count = 1000
    hidden: HiddenSection | None = None
    readout: ReadoutSection | None = None

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
        """Whether the shifts and the target are found from the data."""
        return self.hidden is None


AnyTask = Annotated[AllSection | NewClassSection | DriftSection | CueSection, Field(discriminator="name")]
TASKS = ("all", "new-class", "drift", "cue")


class LearnRecipe(Section):
    """A whole recipe: [task], [network] and [learning]."""

    task: AnyTask
    network: NetworkSection = NetworkSection()
    learning: LearningSection = LearningSection()

    @model_validator(mode="before")
    @classmethod
    def _data_by_name(cls, data: Any) -> Any:
        """`name = "my.npz"` is `name = "all", data = "my.npz"`."""
        task = data.get("task") if isinstance(data, dict) else None
        name = task.get("name") if isinstance(task, dict) else None
        if task is None or not isinstance(name, str) or not (name in DATA or "." in name or "/" in name):
            return data
        return {**data, "task": {"data": name, **task, "name": "all"}}
