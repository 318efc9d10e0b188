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

    input_clipped: the share of the inputs outside the network's code. warnings: `fixed.concerns` of the reference.
    energy: the estimate of the reference's run, if it was asked for.
    """

    file: Path
    source: str
    samples: int
    steps: int
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
    names, skipped = ["reference", "simulator"], []
    if lava:
        from tclif_neuro.lava import available

        if available():
            names.append("lava")
        else:
            skipped.append("lava: it is not installed")
    runs = {
        name: execute(name, net, batch, record=True, timeout=timeout, tell=tell(name) if tell else None)
        for name in names
    }
    comparisons = [_exact(net, runs, name, batch) for name in names[1:]]
    executors = [_executor(name, timed, batch) for name, timed in runs.items()]
    if trained is not None:
        from tclif_neuro.cli.commands.floats import trace_floats

        traces = trace_floats(net, trained, batch, recipe)
        names_ = ("float", "reference")
        floats = compare_float(net, traces, runs["reference"].run, names=names_, labels=batch.y)
        comparisons.insert(0, floats)
        first, error = (None if pair is None else pair[0] for pair in (floats.accuracy, floats.error))
        spikes = sum(layer.rates[0] * layer.neurons for layer in floats.layers)
        each = spikes * runs["reference"].run.steps / len(batch)
        executors.insert(
            0,
            ExecutorResult(name="float", accuracy=first, error=error, spikes_per_sample=each, samples_per_second=None),
        )
    return CompareResult(
        file=file,
        source=batch.source,
        samples=len(batch),
        steps=len(batch.x),
        per_step=batch.per_step,
        identical=all(c.identical for c in comparisons if c.exact),
        executors=tuple(executors),
        comparisons=tuple(comparisons),
        skipped=tuple(skipped),
        input_clipped=runs["reference"].run.input_clipped,
        energy=energy(net, runs["reference"].run) if estimate else None,
        warnings=concerns(net, runs["reference"].run),
    )


def _exact(net: QuantizedNetwork, runs: dict[str, Timed], name: str, batch: Batch) -> Comparison:
    return compare_runs(net, runs["reference"].run, runs[name].run, names=("reference", name), labels=batch.y)


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
