"""A trained model into a `QuantizedNetwork`: `make_plan` chooses the scales, `apply_plan` rounds."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from tclif_neuro.errors import warn
from tclif_neuro.lavadl import why_not_stock
from tclif_neuro.network import InputCoding, Layer, QuantizedNetwork, Synapses
from tclif_neuro.neurons.modules import Readout
from tclif_neuro.neurons.trace import trace
from tclif_neuro.quantization.concerns import concerns
from tclif_neuro.quantization.mapping import to_neuron
from tclif_neuro.quantization.plan import Plan, check_calibration, make_plan
from tclif_neuro.quantization.qat import QATModel
from tclif_neuro.quantization.scales import LayerPlan, Options
from tclif_neuro.quantization.stages import ConversionError, Stage, canonical, parse


def quantize(  # noqa: PLR0913 (what is given with a calibration, what is kept, how to convert)
    model: nn.Module,
    calibration: Tensor,
    *,
    lengths: Tensor | None = None,
    classes: Sequence[str] = (),
    recipe: str = "",
    steps: int | None = None,
    input_coding: InputCoding | None = None,
    stock: bool = False,
    weight_bits: int = 8,
) -> QuantizedNetwork:
    """The network of integers of `model`, an `nn.Sequential` that ends in a Readout or a spiking layer.

    calibration: [T, B, M], a batch of the model's float input: the largest states on it set the scales.
    lengths: [B], the steps of each sample of it that are its own; the others do not count (None: all).
    classes, recipe, steps: kept in the network; steps is the calibration's T unless given (0: any).
    input_coding, stock, weight_bits: see `Options`. A `QATModel` has its plan already: these three must be left out.

    Raises `ConversionError`, which names the module or parameter that cannot be converted. `report` says what was lost.
    Issues a `TclifWarning` where that is more than a good conversion loses (`quantization.concerns`).
    """
    stages = parse(model)
    x = check_calibration(stages, calibration, lengths)
    traces = trace(canonical(stages), x, lengths)
    options = Options(input_coding=input_coding, stock=stock, weight_bits=weight_bits)
    if isinstance(model, QATModel):
        if options != Options():
            raise ConversionError(
                "input_coding, stock, weight_bits: a QATModel was prepared with its own; leave them out"
            )
        plan = model.plan
    else:
        plan = make_plan(stages, x, options, traces=traces)
    steps = len(x) if steps is None else steps
    net = apply_plan(stages, plan, classes=classes, recipe=recipe, steps=steps)
    for sentence in concerns(stages, plan, traces, net, x, lengths):
        warn(sentence)
    return net


def apply_plan(
    stages: Sequence[Stage], plan: Plan, *, classes: Sequence[str] = (), recipe: str = "", steps: int = 0
) -> QuantizedNetwork:
    """Round a parsed model to the grids of `plan`, made for this model or for one of the same shape.

    Raises `ConversionError` where the two do not fit, and where a stock layer is one that lava-dl computes wrongly.
    """
    if len(stages) != len(plan.layers):
        raise ConversionError(f"plan: is for {len(plan.layers)} layers, the model has {len(stages)}")
    layers = tuple(_layer(stage, layer) for stage, layer in zip(stages, plan.layers, strict=True))
    for i, (stage, layer) in enumerate(zip(stages, layers, strict=True)):
        reason = why_not_stock(layer, plan.input if i == 0 else None) if plan.stock else ""
        if reason and stage.weight.any() and not layer.synapses.weight.any():
            reason = f"all weights are zero once they are rounded; {_bound(plan.layers[i], layer)}"
        if reason:
            raise stage.error(f"{reason}; use stock=False")
    return QuantizedNetwork(layers=layers, input=plan.input, steps=steps, classes=tuple(classes), recipe=recipe)


def _layer(stage: Stage, plan: LayerPlan) -> Layer:
    recurrent = stage.recurrent
    if (recurrent is None) != (plan.recurrent is None):
        raise stage.error("is recurrent in only one of model and plan")
    return Layer(
        synapses=Synapses(weight=plan.weight.integers(stage.weight), exponent=plan.weight.exponent),
        recurrent=None
        if recurrent is None or plan.recurrent is None
        else Synapses(weight=plan.recurrent.integers(recurrent), exponent=plan.recurrent.exponent),
        neuron=to_neuron(stage, plan.scale_bits),
        bias_mant=plan.bias.integers(stage.bias),
        bias_exp=plan.bias.exponent,
        scale_bits=plan.scale_bits,
        readout=isinstance(stage.neuron, Readout),
    )


def _bound(plan: LayerPlan, layer: Layer) -> str:
    """Return the reason that a layer's scale is too small for its weights, as text."""
    if plan.limit == "current":
        return f"what its {layer.inputs} inputs can deliver together must fit in the current's 24 bits"
    return f"the scale is bounded by: {plan.limit}"
