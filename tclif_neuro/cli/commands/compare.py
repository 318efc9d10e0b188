"""`tclif compare`: the float model, the reference, the simulator and Lava on the same samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tclif_neuro.cli.commands.executors import Tell, Timed, execute
from tclif_neuro.cli.commands.samples import Batch, Choice, load_batch
from tclif_neuro.compare.energy import Energy, energy
from tclif_neuro.compare.runs import Comparison, compare_float, compare_runs, score_of
from tclif_neuro.fixed.concerns import concerns
from tclif_neuro.fixed.run import Run
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.netx import load


@dataclass(frozen=True, kw_only=True)
class ExecutorResult:
    """The performance of one executor. accuracy, error: as of `tclif run`. spikes_per_sample: of all layers."""

    name: str
    accuracy: float | None
    error: float | None
    spikes_per_sample: float
    samples_per_second: float | None


@dataclass(frozen=True, kw_only=True)
class CompareResult:
    """Every executor, and each of them against the reference. identical: whether those of integers agree to the bit.

    steps: of a sample, with its padding; lengths: of the shortest and the longest without it.
    input_clipped: the share of the inputs outside the network's code. warnings: `fixed.concerns` of the reference.
    energy: the estimate of the reference's run, if it was asked for.
    """

    file: Path
    source: str
    samples: int
    steps: int
    lengths: tuple[int, int]
    per_step: bool
    identical: bool
    executors: tuple[ExecutorResult, ...]
    comparisons: tuple[Comparison, ...]
    skipped: tuple[str, ...]
    input_clipped: float
    energy: Energy | None
    warnings: tuple[str, ...]


def compare_file(
    file: Path,
    choice: Choice,
    *,
    trained: Path | None = None,
    recipe: Path | None = None,
    lava: bool = True,
    estimate: bool = False,
    timeout: float | None = None,
    tell: Callable[[str], Tell] | None = None,
) -> CompareResult:
    """Run the network in `file` with every executor and compare; `trained` is the run that has its float model.

    recipe: the run's recipe file, needed where it names a neuron of another package.
    estimate: the energy, too, see `compare.energy`.
    tell: given an executor's name, the function that is told of its progress.
    """
    net = load(file)
    batch = load_batch(net, choice)
    names, skipped = _executors(lava)
    runs = {
        name: execute(name, net, batch, record=True, timeout=timeout, tell=tell(name) if tell else None)
        for name in names
    }
    reference = runs["reference"].run
    comparisons = [
        compare_runs(net, reference, runs[name].run, names=("reference", name), labels=batch.y) for name in names[1:]
    ]
    executors = [_executor(name, timed, batch) for name, timed in runs.items()]
    if trained is not None:
        floats = _float_model(net, trained, recipe, batch, reference)
        comparisons.insert(0, floats)
        executors.insert(0, _float_executor(floats, reference.steps / len(batch)))
    return CompareResult(
        file=file,
        source=batch.source,
        samples=len(batch),
        steps=len(batch.x),
        lengths=reference.step_range,
        per_step=batch.per_step,
        identical=all(c.identical for c in comparisons if c.exact),
        executors=tuple(executors),
        comparisons=tuple(comparisons),
        skipped=skipped,
        input_clipped=reference.input_clipped,
        energy=energy(net, reference) if estimate else None,
        warnings=concerns(net, reference),
    )


def _executors(lava: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the executors of integers, the reference first, and what is left out, with the reason."""
    if not lava:
        return ("reference", "simulator"), ()
    from tclif_neuro.lava import available

    if not available():
        return ("reference", "simulator"), ("lava: it is not installed",)
    return ("reference", "simulator", "lava"), ()


def _float_model(net: QuantizedNetwork, trained: Path, recipe: Path | None, batch: Batch, reference: Run) -> Comparison:
    from tclif_neuro.cli.commands.floats import trace_floats

    traces = trace_floats(net, trained, batch, recipe)
    return compare_float(net, traces, reference, names=("float", "reference"), labels=batch.y)


def _float_executor(floats: Comparison, steps: float) -> ExecutorResult:
    """The float model's line, from its comparison. steps: those of a sample, on average."""
    accuracy, error = (None if pair is None else pair[0] for pair in (floats.accuracy, floats.error))
    spikes = sum(layer.rates[0] * layer.neurons for layer in floats.layers)
    return ExecutorResult(
        name="float", accuracy=accuracy, error=error, spikes_per_sample=spikes * steps, samples_per_second=None
    )


def _executor(name: str, timed: Timed, batch: Batch) -> ExecutorResult:
    found = score_of(timed.run, batch.y)
    spikes = sum(float(layer.counts.sum()) for layer in timed.run.layers)
    return ExecutorResult(
        name=name,
        accuracy=found.accuracy,
        error=found.error,
        spikes_per_sample=spikes / len(batch),
        samples_per_second=len(batch) / timed.seconds,
    )
