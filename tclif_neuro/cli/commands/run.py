"""`tclif run`: a .net file on samples, with any executor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.cli.commands.executors import Tell, execute
from tclif_neuro.cli.commands.outputs import check_output, save_arrays
from tclif_neuro.cli.commands.samples import Batch, Choice, load_batch
from tclif_neuro.compare.activity import kind
from tclif_neuro.compare.breakdown import Breakdown, breakdown
from tclif_neuro.compare.energy import Energy, energy
from tclif_neuro.compare.runs import answers, score_of
from tclif_neuro.fixed.concerns import concerns
from tclif_neuro.fixed.run import Run
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.netx import load


@dataclass(frozen=True, kw_only=True)
class LayerActivity:
    """The activity of a layer: spikes per sample, rate (spikes per neuron and step), how often states left 24 bits."""

    kind: str
    neurons: int
    spikes_per_sample: float
    rate: float
    saturations: int | None


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The result of `tclif run`.

    accuracy: the share of samples, or of the steps that have a label (per_step), classified rightly; None without
    labels. error: the root mean square error of real targets, in the units of the float model; errors: of each output.
    breakdown: the accuracy per class and group, and the confusion matrix; None without classes.
    steps: of a sample, with its padding; lengths: of the shortest and the longest without it. predictions: of each
    sample the class, or a class for each of its own steps; of real targets the outputs themselves.
    input_clipped: the share of the inputs outside the network's code. warnings: `fixed.concerns` of the run.
    energy: the estimate, if it was asked for.
    """

    file: Path
    backend: str
    source: str
    samples: int
    steps: int
    seconds: float
    samples_per_second: float
    lengths: tuple[int, int]
    accuracy: float | None
    error: float | None
    errors: tuple[float, ...]
    per_step: bool
    breakdown: Breakdown | None
    input_clipped: float
    spikes_per_sample: float
    layers: tuple[LayerActivity, ...]
    predictions: tuple[Any, ...]
    recorded: Path | None
    energy: Energy | None
    warnings: tuple[str, ...]


def run_file(
    file: Path,
    choice: Choice,
    *,
    backend: str,
    size: int | None = None,
    record: Path | None = None,
    estimate: bool = False,
    timeout: float | None = None,
    tell: Tell | None = None,
) -> RunResult:
    """Run the network in `file` on the samples of `choice`; `record`: a file for all spikes and states.

    estimate: the energy, too, see `compare.energy`.
    """
    if record is not None:
        check_output(record, (".npz",), [file, *([choice.data] if choice.data else [])])
    net = load(file)
    batch = load_batch(net, choice)
    keep = record is not None or batch.per_step
    timed = execute(backend, net, batch, record=keep, size=size, timeout=timeout, tell=tell)
    run, found = timed.run, score_of(timed.run, batch.y)
    if record is not None:
        save_arrays(record, arrays(run, batch.y))
    layers = _activity(net, run, len(batch))
    return RunResult(
        file=file,
        backend=backend,
        source=batch.source,
        samples=len(batch),
        steps=len(batch.x),
        lengths=run.step_range,
        seconds=timed.seconds,
        samples_per_second=len(batch) / timed.seconds,
        accuracy=found.accuracy,
        error=found.error,
        errors=found.errors,
        per_step=found.per_step,
        breakdown=_breakdown(net, run, batch),
        input_clipped=run.input_clipped,
        spikes_per_sample=sum(layer.spikes_per_sample for layer in layers),
        layers=layers,
        predictions=tuple(_predictions(run, batch, run.ends)),
        recorded=record,
        energy=energy(net, run) if estimate else None,
        warnings=concerns(net, run),
    )


def _activity(net: QuantizedNetwork, run: Run, samples: int) -> tuple[LayerActivity, ...]:
    return tuple(
        LayerActivity(
            kind=kind(layer),
            neurons=layer.size,
            spikes_per_sample=float(done.counts.sum() / samples),
            rate=float(done.counts.sum() / (run.steps * layer.size)),
            saturations=None if done.saturations < 0 else done.saturations,
        )
        for layer, done in zip(net.layers, run.layers, strict=True)
    )


def _breakdown(net: QuantizedNetwork, run: Run, batch: Batch) -> Breakdown | None:
    if batch.y is None or batch.y.dtype.kind == "f":
        return None
    names = net.classes or tuple(map(str, range(net.outputs)))
    return breakdown(answers(run, batch.y).argmax(-1), batch.y, names, batch.groups)


def _predictions(run: Run, batch: Batch, own: npt.NDArray[np.int64]) -> list[Any]:
    if batch.y is None or not (batch.per_step or batch.y.dtype.kind == "f"):
        return run.predictions.tolist()
    found = answers(run, batch.y)
    if batch.y.dtype.kind != "f":
        found = found.argmax(-1)
    if not batch.per_step:
        return found.tolist()
    return [found[:end, b].tolist() for b, end in enumerate(own)]


def arrays(run: Run, labels: Any) -> dict[str, Any]:
    """Return the arrays that `--record` keeps, in the integers of the executor.

    Sequences are [T, B, N], states [2, T, B, N].
    """
    kept = {"input": run.input, "logits": run.logits, "predictions": run.predictions}
    if labels is not None:
        kept["labels"] = labels
    if run.lengths is not None:
        kept["lengths"] = run.lengths
    for i, layer in enumerate(run.layers):
        kept |= {f"spikes_{i}": layer.spikes, f"states_{i}": layer.states}
    return kept
