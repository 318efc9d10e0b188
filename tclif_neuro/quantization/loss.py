"""The loss of a conversion: the float model and the network of integers on the same input, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tclif_neuro.errors import unsaid
from tclif_neuro.fixed.run import InputError, LayerRun, Run, check_input, check_lengths, numbers
from tclif_neuro.fixed.simulator import simulate
from tclif_neuro.network import ACT_SHIFT, STATE_MAX, Layer, QuantizedNetwork, Synapses
from tclif_neuro.neurons.chain import evaluating
from tclif_neuro.neurons.modules import Readout
from tclif_neuro.neurons.outputs import logits, outputs
from tclif_neuro.neurons.trace import LayerTrace, trace
from tclif_neuro.neurons.within import within
from tclif_neuro.quantization.stages import Stage, as_input, canonical, parse
from tclif_neuro.score import Score, per_step, score

CHUNK = 64  # samples at a time: the states of all steps are held


@dataclass(frozen=True, kw_only=True)
class WeightLoss:
    """One weight matrix.

    exponent: its weight exponent. largest: its largest mantissa. clipped: the share of weights beyond the grid.
    error: the relative rounding error |rounded - float| / |float|, in Euclidean norms.
    """

    exponent: int
    largest: int
    clipped: float
    error: float


@dataclass(frozen=True, kw_only=True)
class LayerLoss:
    """One layer.

    scale_bits: f. bias_error, threshold_error: relative. state_used: the largest integer state as a share of 24 bits;
    saturations: how often a state left them. float_rate, integer_rate: spikes per neuron and step. spikes_differ: the
    share of (step, sample, neuron) in which the two disagree.
    """

    name: str
    kind: str
    neurons: int
    scale_bits: int
    weight: WeightLoss
    recurrent: WeightLoss | None
    bias_error: float
    threshold_error: float
    state_used: float
    saturations: int
    float_rate: float
    integer_rate: float
    spikes_differ: float


@dataclass(frozen=True, kw_only=True)
class LossReport:
    """The whole network, on `samples` samples of `steps` steps, `own_steps` of which are a sample's own on average.

    input_bits: 0 (binary) or 8; input_clipped: the share of inputs outside the coding's range. agreement: the share of
    samples that both put in the same class. float_accuracy, integer_accuracy: None without labels. float_error,
    integer_error: root mean squares, of real targets. per_step: agreement and accuracy are of steps; with lengths,
    nothing counts padding.
    """

    samples: int
    steps: int
    own_steps: float
    input_bits: int
    input_clipped: float
    agreement: float
    float_accuracy: float | None
    integer_accuracy: float | None
    float_error: float | None
    integer_error: float | None
    per_step: bool
    layers: tuple[LayerLoss, ...]

    @property
    def float_spikes(self) -> float:
        """Spikes per sample, in float."""
        return self.own_steps * sum(layer.float_rate * layer.neurons for layer in self.layers)

    @property
    def integer_spikes(self) -> float:
        """Spikes per sample, in integers."""
        return self.own_steps * sum(layer.integer_rate * layer.neurons for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return asdict(self)


def report(
    model: nn.Module,
    net: QuantizedNetwork,
    x: Tensor,
    y: Tensor | None = None,
    lengths: Tensor | None = None,
) -> LossReport:
    """Compare `model` with `net`, its conversion, on the float input x [T, B, M].

    y: the targets: classes [B], or per step [T, B], negative where there is none; or values [B, K], [T, B, K], NaN
    where there is none. lengths: [B], the steps of each sample that are its own (None: all).

    The answers are those of `model` itself, in evaluation mode; spikes are compared with those of its stages in double
    precision.

    Raises `InputError` where x, y or lengths do not fit.
    """
    x = as_input("input", x)
    stages = parse(model)
    if len(stages) != len(net.layers):
        raise InputError(f"network: has {len(net.layers)} layers, the model {len(stages)}")
    array = check_input(net, x, stream=lengths is not None)
    own = None if lengths is None else torch.from_numpy(check_lengths(net, lengths, array))
    targets = _targets(y, x, net)
    steps = targets is not None and per_step(targets)
    before = [_answers(model, chunk, ends, steps) for chunk, ends in _chunks(x.detach(), own)]
    tallies, after, clipped = _tallies(canonical(stages), net, x, own, steps)
    floats, integers = (np.concatenate(chunks, axis=1 if steps else 0) for chunks in (before, after))
    scores = [Score() if targets is None else score(answers, targets) for answers in (floats, integers)]
    return LossReport(
        samples=x.shape[1],
        steps=x.shape[0],
        own_steps=x.shape[0] if own is None else float(own.double().mean()),
        input_bits=net.input.bits,
        input_clipped=clipped,
        agreement=_agreement(floats, integers, own if steps else None),
        float_accuracy=scores[0].accuracy,
        integer_accuracy=scores[1].accuracy,
        float_error=scores[0].error,
        integer_error=scores[1].error,
        per_step=steps,
        layers=tuple(
            _layer_loss(stage, layer, net.input.scale if i == 0 else 1.0, tally)
            for i, (stage, layer, tally) in enumerate(zip(stages, net.layers, tallies, strict=True))
        ),
    )


def _targets(y: Tensor | None, x: Tensor, net: QuantizedNetwork) -> npt.NDArray[Any] | None:
    """The targets as an array. Raises `InputError` where they do not fit the input and the network's outputs."""
    if y is None:
        return None
    found, (steps, batch) = numbers(y, "labels"), x.shape[:2]
    last = (net.outputs,) if found.dtype.kind == "f" else ()
    if found.shape not in ((batch, *last), (steps, batch, *last)):
        raise InputError(f"labels: shape {[batch, *last]} or {[steps, batch, *last]} expected, got {list(y.shape)}")
    if found.dtype.kind == "b" or (found.dtype.kind != "f" and (found >= net.outputs).any()):
        raise InputError(
            f"labels: classes 0 to {net.outputs - 1} expected, of {net.outputs} outputs (negative: none), got "
            + ("bool" if found.dtype.kind == "b" else str(found.max()))
        )
    return found


def _chunks(x: Tensor, own: Tensor | None) -> Iterator[tuple[Tensor, Tensor | None]]:
    """`CHUNK` samples at a time, and their lengths."""
    for start in range(0, x.shape[1], CHUNK):
        now = slice(start, start + CHUNK)
        yield x[:, now], None if own is None else own[now]


def _agreement(before: npt.NDArray[Any], after: npt.NDArray[Any], own: Tensor | None) -> float:
    """The share of answers with the same class; own: of answers per step, the steps that are each sample's own."""
    same = before.argmax(-1) == after.argmax(-1)
    return float((same if own is None else same[np.arange(len(same))[:, None] < own.numpy()]).mean())


def _tallies(
    model: nn.Sequential, net: QuantizedNetwork, x: Tensor, own: Tensor | None, steps: bool
) -> tuple[list[npt.NDArray[Any]], list[npt.NDArray[Any]], float]:
    """The tally of each layer, the answers of `net` chunk by chunk, and the share of the inputs that were clipped."""
    tallies: list[npt.NDArray[Any]] = [np.zeros(len(_TALLY)) for _ in net.layers]
    answers, outside, places = [], 0.0, 0
    for traces, run in _both(model, net, x, own):
        tallies = [_add(*layer, run.steps) for layer in zip(tallies, traces, run.layers, strict=True)]
        answers.append(run.float_outputs if steps else run.float_logits)
        outside += run.input_clipped * run.steps
        places += run.steps
    return tallies, answers, outside / places


def _both(
    model: nn.Sequential, net: QuantizedNetwork, x: Tensor, own: Tensor | None
) -> Iterator[tuple[list[LayerTrace], Run]]:
    for chunk, ends in _chunks(x.detach().cpu().double(), own):
        with unsaid():
            run = simulate(net, chunk.numpy(), lengths=ends, record=True)
        yield trace(model, chunk if ends is None else within(chunk, ends), ends), run


def _answers(model: nn.Module, x: Tensor, own: Tensor | None, steps: bool) -> npt.NDArray[Any]:
    """Return `model`'s outputs at the end [B, K], or after each step [T, B, K]; without a readout its spikes so far."""
    like = next(model.parameters())
    x = x.to(like.device, like.dtype)
    with evaluating(model):
        if (steps or own is not None) and isinstance(model, nn.Sequential) and isinstance(model[-1], Readout):
            return (outputs if steps else logits)(model, x, own).as_subclass(Tensor).cpu().numpy()
        out = model(x if own is None else within(x, own)).as_subclass(Tensor)
        if out.ndim == 3:
            out = out if own is None else within(out, own)
            out = out.cumsum(0) if steps else out.sum(0)
    return out.cpu().numpy()


_TALLY = ("peak", "saturations", "float spikes", "integer spikes", "different", "places")


def _add(tally: npt.NDArray[Any], activity: LayerTrace, run: LayerRun, steps: int) -> npt.NDArray[Any]:
    """The tally (see `_TALLY`) with one more chunk, of so many steps of all samples together."""
    spikes = activity.spikes.numpy() != 0
    counts = [run.saturations, spikes.sum(), run.spikes.sum(), (spikes != run.spikes).sum(), steps * spikes.shape[-1]]
    peak = np.abs(run.states).max()
    return np.array([max(tally[0], peak), *(tally[1:] + counts)])


def _layer_loss(stage: Stage, layer: Layer, input_scale: float, tally: npt.NDArray[Any]) -> LayerLoss:
    peak, saturations, float_spikes, integer_spikes, different, places = (float(n) for n in tally)
    unit = math.ldexp(1.0, -layer.scale_bits)
    return LayerLoss(
        name=stage.name,
        kind=type(stage.neuron).__name__,
        neurons=layer.size,
        scale_bits=layer.scale_bits,
        weight=_weight_loss(stage.weight, layer.synapses, unit * input_scale),
        recurrent=None if stage.recurrent is None else _weight_loss(stage.recurrent, layer.recurrent, unit),
        bias_error=_relative(torch.from_numpy(layer.bias * unit), stage.bias),
        threshold_error=_threshold_error(stage, layer.neuron.vth * unit),
        state_used=peak / STATE_MAX,
        saturations=int(saturations),
        float_rate=float_spikes / places,
        integer_rate=integer_spikes / places,
        spikes_differ=different / places,
    )


def _threshold_error(stage: Stage, vth: float) -> float:
    return 0.0 if isinstance(stage.neuron, Readout) else abs(vth / stage.neuron.vth - 1)


def _weight_loss(matrix: Tensor, synapses: Synapses | None, unit: float) -> WeightLoss:
    """unit: what one unit of state is worth, times the scale of the input."""
    if synapses is None:
        raise InputError("network: has no recurrent synapses where the model has")
    unit = math.ldexp(unit, synapses.exponent + ACT_SHIFT)
    mantissas = synapses.weight.astype(np.int64)
    return WeightLoss(
        exponent=synapses.exponent,
        largest=int(np.abs(mantissas).max()),
        clipped=_clipped(mantissas, matrix, unit),
        error=_relative(torch.from_numpy(mantissas * unit), matrix),
    )


def _clipped(mantissas: npt.NDArray[np.int64], matrix: Tensor, unit: float) -> float:
    """The share of weights further from their mantissa than rounding takes them: than half a step of the grid.

    The step is the largest power of two that divides all mantissas.
    """
    bits = int(np.bitwise_or.reduce(np.abs(mantissas), axis=None))
    half = (bits & -bits or 1) * unit * 0.5000001
    return float(((torch.from_numpy(mantissas * unit) - matrix).abs() > half).double().mean())


def _relative(rounded: Tensor, exact: Tensor) -> float:
    """|rounded - exact| / |exact|, 0 where both are zero."""
    size = float(exact.norm())
    return float((rounded - exact).norm()) / size if size else 0.0
