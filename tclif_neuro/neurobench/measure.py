"""NeuroBench's figures of a network of integers, or of a float model, on samples."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tclif_neuro.errors import TclifError, unsaid
from tclif_neuro.fixed.simulator import simulate
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.neurobench.replay import Replay, float_parts, integer_parts
from tclif_neuro.neurons.trace import trace
from tclif_neuro.score import per_step

NUMBERS = 2**23  # of a layer's activity on a batch: what it costs to look at it is eight bytes each
Array = npt.NDArray[Any]


class NeuroBenchError(TclifError):
    """NeuroBench is not installed, or one of its measures failed."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """NeuroBench's figures. Operations and updates are a mean per sample.

    numbers: "int8" or "float32", of the weights. accuracy: of the samples, or of the steps that have a label
    (per_step); None without classes. footprint: bytes of weights, biases, coefficients and thresholds; weights: of the
    weights alone. connection_sparsity, activation_sparsity: shares of zeros, of weights and of spikes. accumulates,
    multiplies: synaptic operations with inputs of spikes and of graded values; dense: as if nothing were 0.
    membrane_updates: a state's update each, per neuron and step.
    """

    numbers: str
    samples: int
    accuracy: float | None
    per_step: bool
    footprint: int
    weights: int
    connection_sparsity: float
    activation_sparsity: float
    accumulates: float
    multiplies: float
    dense: float
    membrane_updates: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Activity:
    """A run of a batch, time first: inputs [T, B, M], spikes of each layer [T, B, N], answers [T, B, K] or [B, K]."""

    inputs: Tensor
    spikes: tuple[Tensor, ...]
    answers: Tensor


Record = Callable[[Tensor, Tensor], Activity]  # of x [T, B, M] and lengths [B]


def measure(
    net: QuantizedNetwork,
    x: npt.ArrayLike,
    y: npt.ArrayLike | None = None,
    *,
    lengths: npt.ArrayLike | None = None,
    floats: nn.Sequential | None = None,
) -> Figures:
    """NeuroBench's figures of `net` on x [T, B, M], or, if they are given, of the `floats` that it was made from.

    y: classes [B], or [T, B] with a negative number where a step has none. lengths: [B], the steps of each sample.

    Raises `NeuroBenchError` without the package, or where a measure of it failed; `InputError` if x does not fit.

    >>> measure(tn.load("models/digits-rows.net"), x, y).accumulates
    """
    samples, labels = torch.as_tensor(np.asarray(x)), None if y is None else torch.as_tensor(np.asarray(y))
    steps, batch = samples.shape[:2]
    ends = torch.full((batch,), steps) if lengths is None else torch.as_tensor(np.asarray(lengths))
    classes = labels if labels is not None and not labels.is_floating_point() else None
    each = classes is not None and per_step(np.asarray(classes))
    replay = Replay(integer_parts(net) if floats is None else float_parts(floats))
    found = _run(replay, _integers(net, each) if floats is None else _floats(floats, net, each), samples, classes, ends)
    operations = found["SynapticOperations"]
    return Figures(
        numbers="int8" if floats is None else "float32",
        samples=batch,
        accuracy=found.get("ClassificationAccuracy", found.get("StepAccuracy")),
        per_step=each,
        footprint=found["Footprint"],
        weights=sum(p.numel() * p.element_size() for p in replay.parameters()),
        connection_sparsity=found["ConnectionSparsity"],
        activation_sparsity=found["ActivationSparsity"],
        accumulates=operations["Effective_ACs"],
        multiplies=operations["Effective_MACs"],
        dense=operations["Dense"],
        membrane_updates=found["MembraneUpdates"],
    )


def _integers(net: QuantizedNetwork, each: bool) -> Record:
    def record(x: Tensor, lengths: Tensor) -> Activity:
        with unsaid():
            run = simulate(net, x.numpy(), lengths=lengths.numpy(), record=True)
        spikes = tuple(torch.from_numpy(layer).short() for layer in run.spikes)
        answers = torch.from_numpy(run.outputs if each else run.logits)
        return Activity(inputs=torch.from_numpy(run.input), spikes=spikes, answers=answers)

    return record


def _floats(model: nn.Sequential, net: QuantizedNetwork, each: bool) -> Record:
    def record(x: Tensor, lengths: Tensor) -> Activity:
        traces = trace(model, x, lengths)
        last = traces[-1]
        answers = last.states[1] if net.layers[-1].readout else last.spikes.cumsum(0)  # stay after a sample's end
        spikes = tuple(layer.spikes for layer in traces)
        return Activity(inputs=x, spikes=spikes, answers=answers if each else answers[-1])

    return record


def _run(replay: Replay, record: Record, x: Tensor, y: Tensor | None, lengths: Tensor) -> dict[str, Any]:
    """NeuroBench's benchmark over batches. It prints what fails and counts that as 0: here it is an error."""
    metrics, benchmark = _package()
    steps, samples, inputs = x.shape
    widest = max(inputs, *(part["weight"].out_features for part in replay.layers))
    size = max(1, NUMBERS // (steps * widest))
    each = y is not None and y.ndim == 2

    def gathered(indices: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Samples first, as NeuroBench has it."""
        chosen = torch.tensor(indices)
        label = torch.zeros(len(chosen)) if y is None else y[:, chosen].T if each else y[chosen]
        return x[:, chosen].transpose(0, 1), label, lengths[chosen]

    loader: Any = torch.utils.data.DataLoader(range(samples), batch_size=size, collate_fn=gathered)  # type: ignore[arg-type]
    said = io.StringIO()
    with warnings.catch_warnings(), redirect_stdout(said), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        model, chosen = metrics(replay, record, labels=None if y is None else "steps" if each else "samples")
        found = benchmark(model, loader, [lambda data: ((data[0], data[2]), data[1])], [], chosen).run()
    failed = [line for line in said.getvalue().splitlines() if line.startswith("Error running")]
    if failed:
        raise NeuroBenchError(f"NeuroBench: {failed[0]}")
    return dict(found)


def _package() -> tuple[Any, Any]:
    try:
        from neurobench.benchmarks import Benchmark
    except ImportError as error:
        raise NeuroBenchError(
            f'these measures are those of the package neurobench: pip install "tclif-neuro[neurobench]" ({error})'
        ) from None
    from tclif_neuro.neurobench.adapter import adapt

    return adapt, Benchmark
