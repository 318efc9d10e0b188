"""The [training] of a recipe: rule, epochs, optimiser, schedule, and what each of these is asked."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tclif_neuro.data.spec import Count, Fraction, NonNegative, Positive, Section, Seed, Share


class EPropSection(Section):
    """[training.eprop], read if rule = "eprop"; see `EPropOptions`."""

    feedback: Literal["symmetric", "random"] = "symmetric"
    """Weights that carry the error back: the readout's own, or fixed random ones."""
    potential: Literal["running", "step"] = "running"
    """The loss of a step sees the readout's running potential, or the input of that step alone."""
    loss: Literal["cross_entropy", "mean_square"] = "cross_entropy"
    """Loss of each step."""
    update_every: Annotated[int, Field(ge=0)] = 0
    """Steps between two updates; 0: one update, at the end of the sample."""


class FPTTSection(Section):
    """[training.fptt], read if rule = "fptt"; see `fptt_step`."""

    alpha: Positive = 0.1
    """Strength of the pull of the parameters towards their running mean."""
    beta: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Rate at which the running mean moves."""
    update_every: Count = 1
    """Steps between two updates."""


class RatesSection(Section):
    """[training.rates]: bounds of firing rates, for rule = "bptt"; see `rate_above` and `rate_below`."""

    upper: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Upper bound of a layer's mean rate, in spikes per neuron and step."""
    lower: Share = 0.0
    """Lower bound of each neuron's rate, in spikes per step."""
    weight: NonNegative = 0.0
    """Weight of the penalty outside the bounds; 0: no bounds."""


class LearningRateSection(Section):
    """[training.schedule]: how the learning rate moves, see `learning_rate`."""

    every: Count = 10
    """Of "step": epochs between two steps."""
    milestones: Annotated[tuple[Count, ...], Field(strict=False)] = ()
    """Of "multistep": after how many epochs to step, in rising order."""
    factor: Fraction = 0.1
    """Of "step" and "multistep": what a step multiplies the rate by."""
    rise: Fraction = 0.3
    """Of "onecycle": the share of all updates in which the rate rises."""
    warmup: NonNegative = 0.0
    """Epochs in which the rate rises linearly, update by update. Not for "onecycle", which rises by itself."""

    @model_validator(mode="after")
    def _rising(self) -> LearningRateSection:
        if any(a >= b for a, b in pairwise(self.milestones)):
            raise ValueError(f"milestones = {list(self.milestones)}: rising numbers expected")
        return self


class AugmentSection(Section):
    """[training.augment]: changes drawn anew for every training sample in every epoch, see `augmented`."""

    shift: Annotated[int, Field(ge=0)] = 0
    """Largest shift in time, in steps, either way; zeros follow. For one class per sample, without lengths."""
    time_masks: Annotated[int, Field(ge=0)] = 0
    """Spans of steps that are set to 0."""
    time_mask: Count = 10
    """Longest such span, in steps."""
    channel_masks: Annotated[int, Field(ge=0)] = 0
    """Bands of inputs that are set to 0."""
    channel_mask: Count = 4
    """Widest such band, in inputs."""
    event_drop: Share = 0.0
    """Share of the inputs, each step's and channel's by itself, that are set to 0."""


class TrainingSection(Section):
    """[training].

    The losses over time ("ce_rate", "ce_membrane", "mse_membrane", see `losses`), `checkpoint` (see `checkpointed`) and
    `rates` are for rule = "bptt". A loss over time takes no label_smoothing; `checkpoint` cannot be combined with
    `rates`, batch_norm and losses over time.
    """

    rule: Literal["bptt", "eprop", "fptt"] = "bptt"
    """Learning rule that computes the gradients."""
    epochs: Count
    """Passes over the training samples."""
    batch_size: Count = 64
    """Samples per update."""
    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    """Optimiser."""
    momentum: Share = 0.0
    """Momentum of "sgd"."""
    nesterov: bool = False
    """Take Nesterov's momentum; for "sgd" with momentum."""
    lr: Positive = 2e-3
    """Learning rate; the highest one if it is scheduled."""
    scheduler: Literal["constant", "cosine", "step", "multistep", "onecycle"] = "cosine"
    """Learning-rate schedule, by epoch; "cosine" falls to 0. "onecycle" goes by update."""
    weight_decay: NonNegative = 0.0
    """Weight decay of the optimiser."""
    input_noise: NonNegative = 0.0
    """Standard deviation of the Gaussian noise on the training inputs."""
    grad_clip: NonNegative = 1.0
    """Maximum gradient norm; 0: no clipping."""
    label_smoothing: Share = 0.0
    """Share of each target that is spread over all classes."""
    balanced: bool = False
    """Weigh each class in the loss by the inverse of how often it occurs."""
    class_weights: Annotated[tuple[Positive, ...], Field(strict=False)] = ()
    """The weight of each class in the loss, in the order of the classes."""
    logits: Literal["sum", "mean"] = "sum"
    """The loss sees the readout's potential, or that potential averaged over the steps."""
    loss: Literal["cross_entropy", "mse", "ce_rate", "ce_membrane", "mse_membrane"] = "cross_entropy"
    """"cross_entropy" and, for real targets, "mse" are of the final potential, or of each step that has a target; the
    others are of classes, and of the potential after every step."""
    checkpoint: Annotated[int, Field(ge=0)] = 0
    """Store states every that many steps and recompute the others, in less memory; 0: store all."""
    validation: Share = 0.0
    """Share of the training set held out. If it is not 0, the weights of the best epoch are kept."""
    patience: Annotated[int, Field(ge=0)] = 0
    """End after that many epochs without a better validation accuracy; 0: never."""
    start: str | None = None
    """Weights to start from: a checkpoint, or the folder of a run, of a model of the same layers."""
    seed: Seed = 0
    """Seed of the weights, the order, the noise and the dropout."""
    schedule: LearningRateSection = LearningRateSection()
    """Options of the learning-rate schedule."""
    augment: AugmentSection = AugmentSection()
    """Changes of the training samples."""
    rates: RatesSection = RatesSection()
    """Bounds of firing rates."""
    eprop: EPropSection = EPropSection()
    """Options of e-prop."""
    fptt: FPTTSection = FPTTSection()
    """Options of FPTT."""

    @model_validator(mode="after")
    def _understood_by_the_rule(self) -> TrainingSection:
        over_time = self.loss not in ("cross_entropy", "mse")
        of_bptt = {
            f'loss = "{self.loss}"': over_time,
            f"rates.weight = {self.rates.weight:g}": self.rates.weight > 0,
            f"checkpoint = {self.checkpoint}": self.checkpoint > 0,
        }
        asked = [key for key, given in of_bptt.items() if given]
        if asked and self.rule != "bptt":
            raise ValueError(f'{asked[0]} is for rule = "bptt"; the rule is "{self.rule}"')
        if self.checkpoint and len(asked) > 1:
            raise ValueError(f"{asked[-1]} cannot be combined with {asked[0]}, which looks at every step")
        if self.loss == "mse" and self.rule == "eprop" and self.eprop.potential == "step":
            raise ValueError('loss = "mse" is of the running potential; eprop.potential = "running"')
        if self.loss != "cross_entropy" and (self.label_smoothing or self.logits == "mean"):
            raise ValueError(f'loss = "{self.loss}" has neither label_smoothing nor logits = "mean"')
        return self

    @model_validator(mode="after")
    def _understood_by_optimiser_and_schedule(self) -> TrainingSection:
        if self.optimiser != "sgd" and (self.momentum or self.nesterov):
            raise ValueError(f'momentum and nesterov are for optimiser = "sgd"; the optimiser is "{self.optimiser}"')
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        if self.scheduler == "multistep" and not self.schedule.milestones:
            raise ValueError('scheduler = "multistep" needs schedule.milestones')
        if self.scheduler == "onecycle" and self.schedule.warmup:
            raise ValueError('scheduler = "onecycle" rises by itself; schedule.warmup = 0')
        return self

    @model_validator(mode="after")
    def _weights_of_classes(self) -> TrainingSection:
        if not (self.balanced or self.class_weights):
            return self
        what = "balanced" if self.balanced else "class_weights"
        if self.balanced and self.class_weights:
            raise ValueError("balanced and class_weights both say how classes weigh; give one")
        if self.loss != "cross_entropy":
            raise ValueError(f'{what}: is for loss = "cross_entropy"')
        if self.rule == "eprop" and self.eprop.loss != "cross_entropy":
            raise ValueError(f'{what}: is for eprop.loss = "cross_entropy"')
        return self
