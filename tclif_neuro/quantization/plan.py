"""The plan of a conversion: the coding of the input and every layer's scale and grids, from a calibration batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tclif_neuro.network import ACT_SHIFT, MIXED_WEIGHT, InputCoding
from tclif_neuro.neurons.modules import LIF, Readout
from tclif_neuro.neurons.trace import LayerTrace, trace
from tclif_neuro.neurons.within import within
from tclif_neuro.quantization.scales import SPIKES, LayerPlan, Options, Planner, Signal
from tclif_neuro.quantization.stages import ConversionError, Stage, as_input, canonical, on_cpu


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The coding of the input and each layer's plan, in order. stock: for an unmodified lava-dl."""

    input: InputCoding
    layers: tuple[LayerPlan, ...]
    stock: bool = False


def make_plan(
    stages: Sequence[Stage],
    calibration: Tensor,
    options: Options | None = None,
    *,
    traces: Sequence[LayerTrace] | None = None,
) -> Plan:
    """Choose the scales of a parsed model from a `calibration` batch [T, B, M] of its float input.

    traces: of the stages on the calibration, where they are known already.
    Raises `ConversionError` where a stage cannot be converted or the calibration does not fit.
    """
    options = options or Options()
    x = check_calibration(stages, calibration)
    for stage in stages:
        _check_stock(stage, options)
    traces = trace(canonical(stages), x) if traces is None else traces
    peaks = [_peak(*pair) for pair in zip(stages, traces, strict=True)]
    coding = options.input_coding or _input_coding(x, options.stock)
    if options.stock and coding.bits and options.input_coding is None:
        coding = _shared_bits(coding, _first_planner(stages[0], peaks[0], x, coding, options))
    first = _first_planner(stages[0], peaks[0], x, coding, options)
    others = [Planner(*pair, SPIKES, options) for pair in zip(stages[1:], peaks[1:], strict=True)]
    return Plan(input=coding, layers=tuple(p.plan() for p in (first, *others)), stock=options.stock)


def check_calibration(stages: Sequence[Stage], x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """`x` [T, B, M] in float64, 0 after the samples' own steps; or `ConversionError`."""
    inputs, x = stages[0].weight.shape[1], as_input("calibration", x)
    if x.ndim != 3 or x.shape[2] != inputs or 0 in x.shape:
        raise ConversionError(f"calibration: [steps, batch, {inputs}] expected, got shape {list(x.shape)}")
    x = on_cpu("calibration", x).double()
    x = x if lengths is None else within(x, lengths)
    if not x.isfinite().all():
        raise ConversionError("calibration: contains NaN or infinity")
    return x


def _input_coding(x: Tensor, stock: bool) -> InputCoding:
    """Binary for spikes, otherwise 8 bits over the range of `x`; stock: counts as they are, which leaves bits."""
    if ((x == 0) | (x == 1)).all():
        return InputCoding()
    largest = float(x.abs().max())
    signed = bool((x < 0).any())
    top = 127 if signed else 255
    counts = stock and largest <= top and bool((x == x.round()).all())
    return InputCoding(bits=8, scale=1.0 if counts else top / largest, signed=signed)


def _first_planner(stage: Stage, peak: float, x: Tensor, coding: InputCoding, options: Options) -> Planner:
    occurring = np.abs(coding.encode(x.numpy())).max()
    signal = Signal(scale=coding.scale, largest=max(abs(v) for v in coding.range), occurring=max(1, int(occurring)))
    return Planner(stage, peak, signal, options)


def _shared_bits(coding: InputCoding, first: Planner) -> InputCoding:
    """A coarser coding, so that the weights have bits left.

    A stock layer has no negative exponent: what the state resolves is shared by a weight's bits and the input's, and 8
    bits of input would leave almost none. Kept are 4 bits of the input at least, and counts as they are.
    """
    if coding.scale == 1:
        return coding
    f, largest = first.plan().scale_bits, float(first.stage.weight.abs().max())
    full = (
        math.ldexp(largest, f - ACT_SHIFT) / MIXED_WEIGHT[1]
    )  # the scale at which the largest weight uses all its bits
    return replace(coding, scale=max(coding.scale / 16, min(coding.scale, full)))


def _check_stock(stage: Stage, options: Options) -> None:
    neuron = stage.neuron
    if options.stock and not (isinstance(neuron, Readout) or neuron.reset == "zero"):
        raise stage.error("is not a stock neuron; stock=True takes LIF and CUBALIF with reset='zero', and Readout only")


def _peak(stage: Stage, activity: LayerTrace) -> float:
    """The largest value that a compartment of the layer takes on the calibration, before its reset."""
    neuron, states = stage.neuron, activity.states
    peak = states.abs().max()
    if isinstance(neuron, LIF):  # the current has a compartment of its own
        current = activity.input
        if stage.recurrent is not None:
            current = current.clone()
            current[1:] += activity.spikes[:-1] @ stage.recurrent.T
        peak = torch.maximum(peak, current.abs().max())
    if not isinstance(neuron, Readout) and neuron.reset == "immediate":
        peak = torch.maximum(peak, (states[1] + neuron.vth * activity.spikes).abs().max())
        peak = torch.maximum(peak, (states[0] + neuron.gamma * activity.spikes).abs().max())
    if not peak.isfinite():
        raise stage.error("its states overflow on the calibration; the layer is unstable")
    return float(peak)
