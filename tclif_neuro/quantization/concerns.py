"""Sentences about a conversion that lost more than a good one does: in its weights, in its spikes, in its states.

The networks in models/ lose at most a fiftieth of a matrix's norm, and fire at their float model's rates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import Tensor

from tclif_neuro.errors import unsaid
from tclif_neuro.fixed import concerns as of_run
from tclif_neuro.fixed.simulator import simulate
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.neurons.modules import Readout
from tclif_neuro.neurons.trace import LayerTrace
from tclif_neuro.quantization.grid import Grid
from tclif_neuro.quantization.plan import Plan
from tclif_neuro.quantization.stages import Stage

LOST = 0.2  # of a matrix's Euclidean norm
FADED = 0.5  # of the float model's firing rate
FEW = 100  # spikes of the float model, below which a rate says little


def concerns(
    stages: Sequence[Stage],
    plan: Plan,
    traces: Sequence[LayerTrace],
    net: QuantizedNetwork,
    x: Tensor,
    lengths: Tensor | None = None,
) -> tuple[str, ...]:
    """Return what `net` lost of the model parsed into `stages`, on the calibration `x` [T, B, M], a sentence each."""
    with unsaid():
        whole = replace(net, steps=0)
        run = simulate(whole, x.numpy(), lengths=lengths)
    counts = [int(layer.counts.sum()) for layer in run.layers]
    return (*_weights(stages, plan), *_rates(stages, traces, counts, run.steps), *of_run.concerns(whole, run))


def _weights(stages: Sequence[Stage], plan: Plan) -> Iterator[str]:
    for i, (stage, layer) in enumerate(zip(stages, plan.layers, strict=True)):
        for name, matrix, grid in (
            ("weights", stage.weight, layer.weight),
            ("recurrent weights", stage.recurrent, layer.recurrent),
        ):
            if matrix is not None and grid is not None and (lost := lost_norm(matrix, grid)) > LOST:
                yield (
                    f"layer {i} (module {stage.name}): its {name} lose {lost:.0%} of their norm, the largest mantissa "
                    f"is {int(grid.mantissas(matrix).abs().max())}; the scale is bounded by: {layer.limit}"
                )


def lost_norm(matrix: Tensor, grid: Grid) -> float:
    """|rounded - matrix| / |matrix|; 0 of a matrix of zeros."""
    size = float(matrix.double().norm())
    return float((grid.values(matrix) - matrix.double()).norm()) / size if size else 0.0


def _rates(stages: Sequence[Stage], traces: Sequence[LayerTrace], counts: Sequence[int], steps: int) -> Iterator[str]:
    for i, (stage, traced, count) in enumerate(zip(stages, traces, counts, strict=True)):
        if isinstance(stage.neuron, Readout):
            continue
        places, expected = steps * traced.spikes.shape[-1], float(traced.spikes.sum())
        if expected >= FEW and 0 < count < FADED * expected:
            yield (
                f"layer {i} (module {stage.name}): fires at {count / places:.3g} per neuron and step in integers, at "
                f"{expected / places:.3g} in float"
            )
