"""Recipes: what is trained on what, and how, in a TOML file that is checked key by key.

    [task]
    name = "digits-rows"

    [[model.layers]]
    type = "tclif"
    size = 128
    recurrent = true

    [training]
    epochs = 150

A key that is left out has the value it has below.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tclif_neuro.data.spec import Count, Fraction, NonNegative, Positive, Section, Seed, Share, TaskSpec
from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.modules import ResetGrad
from tclif_neuro.neurons.schedule import Form, Schedule
from tclif_neuro.neurons.step import LIFReset, Reset
from tclif_neuro.neurons.surrogate import SurrogateName


class LayerSection(Section):
    """[[model.layers]]: a `Linear`, the batch normalisation of its currents, the neurons, the dropout of their spikes.

    surrogate_k: the surrogate's slope. The other keys are the arguments of the neuron's module.
    """

    own: ClassVar[frozenset[str]] = frozenset({"type", "size", "batch_norm", "dropout", "surrogate", "surrogate_k"})

    size: Count
    batch_norm: bool = False
    dropout: Share = 0.0
    recurrent: bool = False
    vth: Positive = 1.0
    surrogate: SurrogateName = "triangle"
    surrogate_k: Positive = 1.0
    reset_grad: ResetGrad = "keep"
    per_neuron: bool = False

    def arguments(self) -> dict[str, Any]:
        """What the neuron's module takes by keyword besides its surrogate."""
        return {key: getattr(self, key) for key in type(self).model_fields if key not in self.own}


class TCLIFSection(LayerSection):
    """type = "tclif", see `TCLIF`."""

    type: Literal["tclif"]
    reset: Reset = "delayed"
    gamma: NonNegative = 0.5
    c1: float = 0.0
    c2: float = 0.0
    learn_couplings: bool = True
    lattice: bool = False


class RelaxedSection(LayerSection):
    """type = "relaxed", see `RelaxedTCLIF`."""

    type: Literal["relaxed"]
    reset: Reset = "delayed"
    gamma: NonNegative = 0.5
    a1: Fraction = 0.95
    a2: Fraction = 0.95
    b1: Annotated[float, Field(ge=-1, le=0)] = -0.5
    b2: Annotated[float, Field(ge=0, le=1)] = 1.0


class ScheduleSection(Section):
    """schedule = { ... } of an adaptive layer, see `Schedule`."""

    form: Form = "survival"
    k: Positive = 2.0
    theta: Positive = 20.0

    def schedule(self) -> Schedule:
        """The schedule itself. Raises `TclifError` on a shape that its form does not allow."""
        return Schedule(form=self.form, k=self.k, theta=self.theta)

    @model_validator(mode="after")
    def _possible(self) -> ScheduleSection:
        try:
            self.schedule()
        except TclifError as error:
            raise ValueError(str(error)) from None
        return self


class AdaptiveSection(LayerSection):
    """type = "adaptive", see `AdaptiveTCLIF`."""

    own: ClassVar[frozenset[str]] = LayerSection.own | {"schedule"}

    type: Literal["adaptive"]
    reset: Reset = "delayed"
    gamma: NonNegative = 0.5
    a1: Fraction = 0.9
    a2: Fraction = 0.9
    b1: Annotated[float, Field(ge=-1, le=0)] = -0.5
    b2: Annotated[float, Field(ge=0, le=1)] = 1.0
    schedule: ScheduleSection = ScheduleSection()


class LIFSection(LayerSection):
    """type = "lif", see `LIF`."""

    type: Literal["lif"]
    reset: LIFReset = "delayed"
    beta: Annotated[float, Field(ge=0, le=1)] = 0.9
    learn_beta: bool = False

    @model_validator(mode="after")
    def _learnable(self) -> LIFSection:
        if self.learn_beta and not 0 < self.beta < 1:
            raise ValueError(f"beta = {self.beta} cannot be learnt: with learn_beta it must be inside (0, 1)")
        return self


class LiquidSection(LayerSection):
    """type = "liquid", see `LiquidLIF`. It has nothing that could be one a neuron or one a layer."""

    own: ClassVar[frozenset[str]] = LayerSection.own | {"per_neuron"}

    type: Literal["liquid"]
    per_neuron: Literal[False] = False
    vth: Positive = 0.1
    adaptation: NonNegative = 1.8


class ReadoutSection(Section):
    """[model.readout], see `Readout`; it has an output for each class of the task."""

    decay: Annotated[float, Field(ge=0, le=1)] = 1.0
    bias: bool = True


AnyLayer = Annotated[
    TCLIFSection | RelaxedSection | AdaptiveSection | LIFSection | LiquidSection, Field(discriminator="type")
]


class ModelSection(Section):
    """[model]: the layers from the input on, then the readout."""

    layers: Annotated[tuple[AnyLayer, ...], Field(min_length=1, strict=False)]  # TOML has lists alone
    readout: ReadoutSection = ReadoutSection()


class EPropSection(Section):
    """[training.eprop], read if rule = "eprop"; see `EPropOptions`."""

    feedback: Literal["symmetric", "random"] = "symmetric"
    potential: Literal["running", "step"] = "running"
    loss: Literal["cross_entropy", "mean_square"] = "cross_entropy"
    update_every: Annotated[int, Field(ge=0)] = 0


class FPTTSection(Section):
    """[training.fptt], read if rule = "fptt"; see `fptt_step`.

    alpha: how hard parameters are pulled to their running mean. beta: how fast the mean moves. update_every: K, steps.
    """

    alpha: Positive = 0.1
    beta: Annotated[float, Field(gt=0, le=1)] = 0.5
    update_every: Count = 1


class RatesSection(Section):
    """[training.rates]: bounds of firing rates, in spikes a step; of rule = "bptt".

    upper: of a layer's mean rate. lower: of each neuron's. weight: of what being outside costs, see `rate_above` and
    `rate_below`; 0 for no bounds.
    """

    upper: Annotated[float, Field(gt=0, le=1)] = 1.0
    lower: Share = 0.0
    weight: NonNegative = 0.0


class TrainingSection(Section):
    """[training].

    rule: how gradients are found. lr, weight_decay: of the optimiser. scheduler: of lr, an epoch a step; "cosine" falls
    to 0. input_noise: standard deviation of the Gaussian noise on every training input. grad_clip: largest norm of
    the gradient, 0 for any. logits: what the loss sees of the readout, its potential ("sum") or its potential over the
    steps' weights ("mean"), which does not grow with the length of a sample. loss: of that by default; "ce_rate",
    "ce_membrane" and "mse_membrane" are of the potential after every step, see `losses`, for rule = "bptt" and without
    label_smoothing. checkpoint: keep states at every that many steps only and compute the rest again, in less memory
    (see `checkpointed`; 0: keep everything); of rule = "bptt", without rates, batch_norm and loss over time.
    validation: share of the training set held out; if not 0, the weights kept are those of the epoch that does best on
    it, otherwise those of the last epoch.
    seed: of the weights, the order, the noise and the dropout.
    """

    rule: Literal["bptt", "eprop", "fptt"] = "bptt"
    epochs: Count
    batch_size: Count = 64
    optimiser: Literal["adam", "adamw"] = "adam"
    lr: Positive = 2e-3
    scheduler: Literal["constant", "cosine"] = "cosine"
    weight_decay: NonNegative = 0.0
    input_noise: NonNegative = 0.0
    grad_clip: NonNegative = 1.0
    label_smoothing: Share = 0.0
    logits: Literal["sum", "mean"] = "sum"
    loss: Literal["cross_entropy", "ce_rate", "ce_membrane", "mse_membrane"] = "cross_entropy"
    checkpoint: Annotated[int, Field(ge=0)] = 0
    validation: Share = 0.0
    seed: Seed = 0
    rates: RatesSection = RatesSection()
    eprop: EPropSection = EPropSection()
    fptt: FPTTSection = FPTTSection()

    @model_validator(mode="after")
    def _understood_by_the_rule(self) -> TrainingSection:
        over_time = self.loss != "cross_entropy"
        of_bptt = {
            f'loss = "{self.loss}"': over_time,
            f"rates.weight = {self.rates.weight:g}": self.rates.weight > 0,
            f"checkpoint = {self.checkpoint}": self.checkpoint > 0,
        }
        asked = [key for key, given in of_bptt.items() if given]
        if asked and self.rule != "bptt":
            raise ValueError(f'{asked[0]} is for rule = "bptt"; the rule is "{self.rule}"')
        if self.checkpoint and len(asked) > 1:
            raise ValueError(f"{asked[-1]} goes without {asked[0]}, which looks at every step")
        if over_time and (self.label_smoothing or self.logits == "mean"):
            raise ValueError(f'loss = "{self.loss}" has neither label_smoothing nor logits = "mean"')
        return self


class Recipe(Section):
    """A whole recipe: [task], [model] and [training]."""

    task: TaskSpec
    model: ModelSection
    training: TrainingSection

    @model_validator(mode="after")
    def _in_parts(self) -> Recipe:
        if self.training.checkpoint and any(layer.batch_norm for layer in self.model.layers):
            raise ValueError("training.checkpoint goes without batch_norm: a part of a sample has not its statistics")
        return self
