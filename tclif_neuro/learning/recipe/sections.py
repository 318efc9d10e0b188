"""Training recipes: data, model and training in one TOML file, checked key by key.

    [task]
    name = "digits-rows"

    [[model.layers]]
    type = "tclif"
    size = 128
    recurrent = true

    [training]
    epochs = 150

A key that is left out has the default below. The text under each key becomes docs/recipes.md, by
`scripts/recipe_reference.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tclif_neuro.data.spec import Count, Fraction, NonNegative, Positive, Section, Share, TaskSpec
from tclif_neuro.errors import TclifError
from tclif_neuro.learning.recipe.training import TrainingSection
from tclif_neuro.neurons.schedule import Form, Schedule
from tclif_neuro.neurons.step import LIFReset, Reset, ResetGrad
from tclif_neuro.neurons.surrogate import SurrogateName


class LayerSection(Section):
    """[[model.layers]]: a `Linear`, normalisation and dropout of its currents, the neurons, dropout of their spikes.

    The keys but `own` are the keyword arguments of the neuron's module.
    """

    own: ClassVar[frozenset[str]] = frozenset(
        {"type", "size", "batch_norm", "current_dropout", "dropout", "surrogate", "surrogate_k"}
    )

    size: Count
    """Neurons."""
    batch_norm: bool = False
    """Normalise the layer's input currents over the batch; folded into the weights by `quantize`."""
    current_dropout: Share = 0.0
    """Share of the layer's input currents that training drops, after the normalisation."""
    dropout: Share = 0.0
    """Share of the layer's spikes that training drops."""
    recurrent: bool = False
    """All-to-all weights from the layer's spikes of the step before."""
    vth: Positive = 1.0
    """Threshold."""
    surrogate: SurrogateName = "triangle"
    """Shape of the surrogate derivative."""
    surrogate_k: Positive = 1.0
    """Slope of the surrogate."""
    reset_grad: ResetGrad = "keep"
    """Let the gradient pass through the reset, or detach it."""
    per_neuron: bool = False
    """Learn couplings or decays per neuron, not per layer."""

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of the neuron's module, without its surrogate."""
        return {key: getattr(self, key) for key in type(self).model_fields if key not in self.own}


class TCLIFSection(LayerSection):
    """type = "tclif", see `TCLIF`."""

    type: Literal["tclif"]
    """TC-LIF: both decays are 1, the couplings are learnt."""
    reset: Reset = "delayed"
    """A spike is taken off in the next step, or in the same one."""
    gamma: NonNegative = 0.5
    """Reset of the dendrite by a spike."""
    c1: float = 0.0
    """Initial value of c1; b1 = -sigmoid(c1)."""
    c2: float = 0.0
    """Initial value of c2; b2 = sigmoid(c2)."""
    learn_couplings: bool = True
    """Learn c1 and c2."""
    lattice: bool = False
    """Hold b1 and b2 to sixteenths, so that stock Loihi 2 neurons can compute the layer."""


class RelaxedSection(LayerSection):
    """type = "relaxed", see `RelaxedTCLIF`."""

    type: Literal["relaxed"]
    """Relaxed TC-LIF: the decays are learnt, the couplings are fixed."""
    reset: Reset = "delayed"
    """A spike is taken off in the next step, or in the same one."""
    gamma: NonNegative = 0.5
    """Reset of the dendrite by a spike."""
    a1: Fraction = 0.95
    """Initial decay of the dendrite."""
    a2: Fraction = 0.95
    """Initial decay of the soma."""
    b1: Annotated[float, Field(ge=-1, le=0)] = -0.5
    """Coupling from soma to dendrite."""
    b2: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Coupling from dendrite to soma."""


class ScheduleSection(Section):
    """schedule = { ... } of an adaptive layer, see `Schedule`."""

    form: Form = "survival"
    """Form of g(t): a gamma survival function, a gamma density, or a power law."""
    k: Positive = 2.0
    """Shape of g(t)."""
    theta: Positive = 20.0
    """Time scale of g(t), in steps."""

    def schedule(self) -> Schedule:
        """Make the schedule. Raises `TclifError` on a shape that its form does not allow."""
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
    """Adaptive TC-LIF: the decays fall within each sample towards learnt minima."""
    reset: Reset = "delayed"
    """A spike is taken off in the next step, or in the same one."""
    gamma: NonNegative = 0.5
    """Reset of the dendrite by a spike."""
    a1: Fraction = 0.9
    """Initial minimum of the dendrite's decay."""
    a2: Fraction = 0.9
    """Initial minimum of the soma's decay."""
    b1: Annotated[float, Field(ge=-1, le=0)] = -0.5
    """Coupling from soma to dendrite."""
    b2: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Coupling from dendrite to soma."""
    schedule: ScheduleSection = ScheduleSection()
    """Schedule along which the decays fall."""


class LIFSection(LayerSection):
    """type = "lif", see `LIF`."""

    type: Literal["lif"]
    """LIF: one compartment."""
    reset: LIFReset = "delayed"
    """The threshold is taken off in the next step or in the same one, or the potential is set to zero."""
    beta: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Decay of the potential; the initial one if it is learnt."""
    learn_beta: bool = False
    """Learn the decay."""

    @model_validator(mode="after")
    def _learnable(self) -> LIFSection:
        if self.learn_beta and not 0 < self.beta < 1:
            raise ValueError(f"beta = {self.beta} cannot be learnt: with learn_beta it must be inside (0, 1)")
        return self


class LiquidSection(LayerSection):
    """type = "liquid", see `LiquidLIF`. It has no coefficient to be learnt per neuron or per layer."""

    own: ClassVar[frozenset[str]] = LayerSection.own | {"per_neuron"}

    type: Literal["liquid"]
    """A neuron with liquid time constants."""
    per_neuron: Literal[False] = False
    """Has no meaning for this neuron."""
    vth: Positive = 0.1
    """Threshold at rest."""
    adaptation: NonNegative = 1.8
    """Rise of the threshold under lasting spiking; 0 keeps it fixed."""


class ReadoutSection(Section):
    """[model.readout], see `Readout`; it has one output per class of the task."""

    decay: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the potential that is left after each step."""
    bias: bool = True
    """Add a bias to each output."""


AnyLayer = Annotated[
    TCLIFSection | RelaxedSection | AdaptiveSection | LIFSection | LiquidSection, Field(discriminator="type")
]


class ModelSection(Section):
    """[model]: the layers from the input on, then the readout."""

    layers: Annotated[tuple[AnyLayer, ...], Field(min_length=1, strict=False)]  # TOML has lists alone
    """The spiking layers, from the input on."""
    readout: ReadoutSection = ReadoutSection()
    """The output layer."""


class Recipe(Section):
    """A whole recipe: [task], [model] and [training]."""

    task: TaskSpec
    """The data."""
    model: ModelSection
    """The network."""
    training: TrainingSection
    """The training."""

    def placed(self, folder: Path) -> Recipe:
        """The same with paths relative to `folder`."""
        training = self.training
        if training.start is not None:
            training = training.model_copy(update={"start": _placed(training.start, folder)})
        return self.model_copy(update={"task": self.task.placed(folder), "training": training})

    @model_validator(mode="after")
    def _in_parts(self) -> Recipe:
        if self.training.checkpoint and any(layer.batch_norm for layer in self.model.layers):
            raise ValueError("training.checkpoint goes without batch_norm: a part of a sample has not its statistics")
        return self

    @model_validator(mode="after")
    def _within_e_prop(self) -> Recipe:
        for i, layer in enumerate(self.model.layers if self.training.rule == "eprop" else ()):
            asked = {
                "has no batch normalisation; batch_norm = false": layer.batch_norm,
                "has no dropout; dropout = 0": layer.dropout > 0,
                "has no dropout; current_dropout = 0": layer.current_dropout > 0,
                'has no liquid neuron; another type, or rule = "bptt" or "fptt"': layer.type == "liquid",
            }
            for what in (what for what, given in asked.items() if given):
                raise ValueError(f"model.layers[{i}]: e-prop {what}")
        return self


def _placed(path: str, folder: Path) -> str:
    return path if path.startswith("~") else str(folder.resolve() / path)  # an absolute path stays as it is
