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

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from tclif_neuro.data.spec import Count, Fraction, NonNegative, Positive, Section, Share, TaskSpec
from tclif_neuro.errors import TclifError
from tclif_neuro.learning.recipe.training import TrainingSection
from tclif_neuro.neurons.kinds import KINDS
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
    learn_couplings: bool = False
    """Learn b1 and b2 too, within their ranges."""


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
    learn_couplings: bool = False
    """Learn b1 and b2 too, within their ranges."""
    schedule: ScheduleSection = ScheduleSection()
    """Schedule along which the decays fall."""


class GeneralizedSection(LayerSection):
    """type = "generalized", see `GeneralizedTCLIF`."""

    type: Literal["generalized"]
    """The generalized two-compartment neuron: decays and couplings of any sign, learnt or fixed."""
    reset: Reset = "delayed"
    """A spike is taken off in the next step, or in the same one."""
    gamma: NonNegative = 0.5
    """Reset of the dendrite by a spike."""
    a1: Fraction = 0.95
    """Initial decay of the dendrite."""
    a2: Fraction = 0.95
    """Initial decay of the soma."""
    b1: Annotated[float, Field(ge=-1, le=1)] = -0.5
    """Initial coupling from soma to dendrite."""
    b2: Annotated[float, Field(ge=-1, le=1)] = 0.5
    """Initial coupling from dendrite to soma."""
    learn_decays: bool = True
    """Learn a1 and a2."""
    learn_couplings: bool = True
    """Learn b1 and b2, within [-1, 1]."""


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


class CUBALIFSection(LayerSection):
    """type = "cubalif", see `CUBALIF`."""

    own: ClassVar[frozenset[str]] = LayerSection.own | {"bias"}

    type: Literal["cubalif"]
    """LIF with a synaptic current that has a decay of its own."""
    reset: LIFReset = "delayed"
    """The threshold is taken off in the next step or in the same one, or the potential is set to zero."""
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Decay of the current; the initial one if it is learnt."""
    beta: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Decay of the potential; the initial one if it is learnt."""
    learn_decays: bool = False
    """Learn both decays."""
    bias: bool = True
    """Add a bias to each current. With reset = "zero" it has no integers: bias = false."""

    @model_validator(mode="after")
    def _learnable(self) -> CUBALIFSection:
        for key, value in (("alpha", self.alpha), ("beta", self.beta)):
            if self.learn_decays and not 0 < value < 1:
                raise ValueError(f"{key} = {value} cannot be learnt: with learn_decays it must be inside (0, 1)")
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


class CustomSection(LayerSection):
    """type = "my_package:MyNeuron": a neuron of a package of the user's, see docs/neurons.md.

    Such a recipe makes the program import the package, so that it must come from a file that the user names: the text
    inside a .net file or a checkpoint cannot.
    """

    own: ClassVar[frozenset[str]] = LayerSection.own | {"neuron", "options"}

    type: Literal["custom"]
    """A neuron of a package of yours; or, instead of this key and `neuron`, type = "my_package:MyNeuron"."""
    neuron: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    """Its module and class, "my_package:MyNeuron". Not in the recipe inside a .net file or a checkpoint."""
    options: dict[str, bool | int | float | str] = Field(default={})
    """Keyword arguments of the class, besides the keys above that it takes."""

    @model_validator(mode="after")
    def _from_a_file(self, info: ValidationInfo) -> CustomSection:
        if not (info.context or {}).get("custom"):
            raise ValueError(
                f"{self.neuron} is code of a package, which only a recipe file may name; what stands in a .net file or "
                "a checkpoint is not imported; where a command has --recipe, name the file there"
            )
        return self


class ReadoutSection(Section):
    """[model.readout], see `Readout`; it has one output per class of the task."""

    decay: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the potential that is left after each step."""
    bias: bool = True
    """Add a bias to each output."""


AnyLayer = Annotated[
    TCLIFSection
    | RelaxedSection
    | AdaptiveSection
    | GeneralizedSection
    | LIFSection
    | CUBALIFSection
    | LiquidSection
    | CustomSection,
    Field(discriminator="type"),
]


SECTIONS: dict[str, type[LayerSection]] = {
    get_args(section.model_fields["type"].annotation)[0]: section for section in get_args(get_args(AnyLayer)[0])
}


def retyped(layer: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """The keys of a layer's section as one of type `kind`; other sections and other kinds get the word alone.

    What both types have stays, unless it is the old type's default; all else is the new type's default.
    """
    types = layer["type"], kind
    if not all(isinstance(name, str) and name in SECTIONS and name != "custom" for name in types):
        return {**layer, "type": kind}  # the recipe says what is wrong with it
    old, new = (SECTIONS[name].model_validate({"type": name, "size": 1}).model_dump(mode="json") for name in types)
    return {**new, **{key: layer[key] for key in layer.keys() & new.keys() if layer[key] != old[key]}, "type": kind}


def _named(layers: Any) -> Any:
    """A layer of type "my_package:MyNeuron" as one of type "custom"."""
    if not isinstance(layers, list | tuple):
        return layers
    return [
        {**layer, "type": "custom", "neuron": layer["type"]}
        if isinstance(layer, dict) and isinstance(layer.get("type"), str) and ":" in layer["type"]
        else layer
        for layer in layers
    ]


class ModelSection(Section):
    """[model]: the layers from the input on, then the readout."""

    layers: Annotated[
        tuple[AnyLayer, ...], BeforeValidator(_named), Field(min_length=1, strict=False)
    ]  # TOML has lists alone
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
            raise ValueError(
                "training.checkpoint cannot be combined with batch_norm: a part lacks the whole's statistics"
            )
        return self

    @model_validator(mode="after")
    def _within_e_prop(self) -> Recipe:
        without = {kind.name for kind in KINDS if not kind.eprop}
        for i, layer in enumerate(self.model.layers if self.training.rule == "eprop" else ()):
            asked = {
                "has no batch normalisation; batch_norm = false": layer.batch_norm,
                "has no dropout; dropout = 0": layer.dropout > 0,
                "has no dropout; current_dropout = 0": layer.current_dropout > 0,
                f'has no {layer.type} neuron; another type, or rule = "bptt" or "fptt"': layer.type in without,
            }
            for what in (what for what, given in asked.items() if given):
                raise ValueError(f"model.layers[{i}]: e-prop {what}")
        return self


def _placed(path: str, folder: Path) -> str:
    return path if path.startswith("~") else str(folder.resolve() / path)  # an absolute path stays as it is
