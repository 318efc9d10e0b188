"""The display of each command's result: tables of words, made of the results alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tclif_neuro.show.breakdown import breakdown_sheets
from tclif_neuro.show.energy import energy_sheet
from tclif_neuro.show.tables import (
    Sheet,
    comparison_sheet,
    difference_text,
    number,
    pair,
    score_text,
    share,
    steps_text,
)

if TYPE_CHECKING:
    from tclif_neuro.cli.commands.compare import CompareResult
    from tclif_neuro.cli.commands.export import ExportResult
    from tclif_neuro.cli.commands.plot import PlotResult
    from tclif_neuro.cli.commands.run import RunResult
    from tclif_neuro.cli.commands.train import SeedsResult
    from tclif_neuro.learning.training.train import TrainResult
    from tclif_neuro.netx.describe import LayerSummary, NetSummary, SynapsesSummary
    from tclif_neuro.quantization import LossReport


def train_sheet(result: TrainResult) -> Sheet:
    """Return the result of training."""
    of = " per step" if result.per_step else ""
    rows = [
        ("epoch kept", f"{result.epoch} of {result.epochs}"),
        (f"training accuracy{of}", share(result.train_accuracy)),
        (f"validation accuracy{of}", share(result.validation_accuracy)),
        (f"test accuracy{of}", share(result.test_accuracy)),
        (f"training error{of}", number(result.train_error)),
        (f"validation error{of}", number(result.validation_error)),
        (f"test error{of}", number(result.test_error)),
        ("spikes per sample", number(result.spikes_per_sample)),
        ("test set", result.test_set),
        ("parameters", f"{result.parameters:,}"),
        ("device", result.device),
        ("seconds", f"{result.seconds:.1f}"),
        ("checkpoint", str(result.checkpoint)),
    ]
    return Sheet(title="trained", columns=(), rows=tuple(row for row in rows if row[1] != share(None)))


def seeds_sheet(result: SeedsResult) -> Sheet:
    """Return the result of each seed, and the mean and spread of all."""
    values = result.mean_test_error is not None
    measure = "error" if values else "accuracy"
    mean, spread = (getattr(result, f"{what}_test_{measure}") for what in ("mean", "spread"))
    rows = [
        (
            str(seed),
            f"{run.epoch} of {run.epochs}",
            number(run.validation_error) if values else share(run.validation_accuracy),
            number(run.test_error) if values else share(run.test_accuracy),
            str(run.checkpoint),
        )
        for seed, run in zip(result.seeds, result.runs, strict=True)
    ]
    if values:
        found = number(mean) + ("" if spread is None else f" ± {number(spread)}")
    else:
        found = f"{100 * mean:.2f}" + ("" if spread is None else f" ± {100 * spread:.2f}") + " %"
    rows.append(("mean" if spread is None else "mean ± spread", "", "", found, ""))
    return Sheet(
        title=f"trained with {len(result.seeds)} seeds",
        columns=("seed", "epoch kept", f"validation {measure}", f"test {measure}", "checkpoint"),
        rows=tuple(rows),
    )


def export_parts(result: ExportResult) -> list[Sheet | str]:
    """Return the loss of a conversion, and where the file is."""
    why = result.why_not_loihi
    loihi = f"Loihi 2's stock neurons: {f'not this network: {why}' if why else 'can be this network'}"
    return [loss_sheet(result.report), loihi, f"wrote {result.file}"]


def loss_sheet(report: LossReport) -> Sheet:
    """Return the loss of a conversion, layer by layer."""
    columns = (
        "layer",
        "neurons",
        "scale",
        "weight error",
        "clipped",
        "states use",
        "saturated",
        "rates",
        "spikes differ",
    )
    rows = []
    for i, layer in enumerate(report.layers):
        matrices = [layer.weight] if layer.recurrent is None else [layer.weight, layer.recurrent]
        rows.append(
            (
                f"{i} {layer.kind}",
                str(layer.neurons),
                f"2^{layer.scale_bits}",
                share(max(matrix.error for matrix in matrices)),
                share(max(matrix.clipped for matrix in matrices)),
                share(layer.state_used),
                number(layer.saturations),
                pair(layer.float_rate, layer.integer_rate),
                share(layer.spikes_differ),
            )
        )
    return Sheet(title=f"converted; {loss_verdict(report)}", columns=columns, rows=tuple(rows))


def loss_verdict(report: LossReport) -> str:
    """The accuracy before and after, in one phrase."""
    clipped, each = f"{share(report.input_clipped)} of the inputs clipped", " per step" if report.per_step else ""
    spikes = f"{pair(report.float_spikes, report.integer_spikes)} spikes per sample"
    if report.float_error is not None:
        errors = f"{number(report.float_error)} in float, {number(report.integer_error)} in integers"
        return f"error{each} {errors}; {spikes}; {report.samples} samples; {clipped}"
    what = "the steps of " if report.per_step else ""
    same = f"the same class for {share(report.agreement)} of {what}{report.samples} samples"
    text = f"{spikes}; {same}; {clipped}"
    if report.float_accuracy is None:
        return text
    return (
        f"accuracy{each} {share(report.float_accuracy)} in float, {share(report.integer_accuracy)} in integers; {text}"
    )


def run_parts(result: RunResult) -> list[Sheet | str]:
    """Return the result of a run, by class and group, and its energy where that was asked for."""
    energy = [] if result.energy is None else [energy_sheet(result.energy, [layer.kind for layer in result.layers])]
    parts = [] if result.breakdown is None else breakdown_sheets(result.breakdown)
    return [run_sheet(result), *parts, *energy]


def run_sheet(result: RunResult) -> Sheet:
    """Return the result of a run, layer by layer."""
    title = (
        f"{result.file.name} on {result.samples} samples of {result.source} ({steps_text(result.lengths)}), "
        f"{result.backend}: {score_text(result.accuracy, result.error, result.per_step)}, "
        f"{number(result.spikes_per_sample)} spikes per sample, {number(result.samples_per_second)} samples/s, "
        f"{share(result.input_clipped)} of the inputs clipped"
    )
    rows = tuple(
        (
            f"{i} {layer.kind}",
            str(layer.neurons),
            number(layer.spikes_per_sample),
            number(layer.rate),
            number(layer.saturations),
        )
        for i, layer in enumerate(result.layers)
    )
    return Sheet(title=title, columns=("layer", "neurons", "spikes per sample", "rate", "saturated"), rows=rows)


def compare_parts(result: CompareResult) -> list[Sheet | str]:
    """Every executor's accuracy and speed, each comparison and its first difference, and the verdict."""
    values, each = any(e.error is not None for e in result.executors), " per step" if result.per_step else ""
    measure = f"{'error' if values else 'accuracy'}{each}"
    rows = tuple(
        (
            e.name,
            number(e.error) if values else share(e.accuracy),
            number(e.spikes_per_sample),
            number(e.samples_per_second),
        )
        for e in result.executors
    )
    title = (
        f"{result.file.name} on {result.samples} samples of {result.source} ({steps_text(result.lengths)}), "
        f"{share(result.input_clipped)} of the inputs clipped"
    )
    columns = ("executor", measure, "spikes per sample", "samples/s")
    parts: list[Sheet | str] = [Sheet(title=title, columns=columns, rows=rows)]
    for comparison in result.comparisons:
        parts.append(comparison_sheet(comparison))
        if comparison.first is not None:
            parts.append(difference_text(comparison.first, comparison.left, comparison.right))
    if result.energy is not None:
        parts.append(energy_sheet(result.energy))
    parts += [f"left out: {reason}" for reason in result.skipped]
    names = " = ".join(["reference", *(c.right for c in result.comparisons if c.exact)])
    parts.append(f"{names}, to the bit" if result.identical else "executors of integers DIFFER")
    return parts


def plot_parts(result: PlotResult) -> list[Sheet | str]:
    """Return a line on what was drawn."""
    truth = "" if result.label is None else f", truly {result.label}"
    return [
        f"wrote {result.figure}: sample {result.sample} of {result.source}, predicts {result.prediction}{truth}; "
        f"{share(result.input_clipped)} of its inputs clipped"
    ]


def inspect_parts(summary: NetSummary) -> list[Sheet | str]:
    """Return the contents of a .net file: its facts, and its layers side by side."""
    return [_facts(summary), _layers(summary)]


def _facts(summary: NetSummary) -> Sheet:
    graded = f"{'signed' if summary.input_signed else 'unsigned'} 8 bits"
    classes = ", ".join(summary.classes[:12]) + (", ..." if len(summary.classes) > 12 else "")
    coding = f"{graded if summary.input_bits else 'spikes'}, the value times {summary.input_scale:g}"
    rows = (
        ("format", f"{summary.format} {summary.version or ''}".strip()),
        ("inputs", f"{summary.inputs}: {coding}"),
        ("outputs", f"{summary.outputs}{': ' if classes else ''}{classes}"),
        ("steps per sample", number(summary.steps) if summary.steps else "any"),
        ("synapses", number(summary.synapses)),
        ("parameters", number(summary.parameters)),
        ("memory, packed", f"{number(summary.memory_bytes)} bytes"),
        ("unmodified lava-dl", "can run it" if summary.stock else f"cannot run it: {summary.why_not_stock}"),
        ("recipe", f"{len(summary.recipe.splitlines())} lines (--json shows it)" if summary.recipe else "none"),
    )
    return Sheet(title=summary.file, columns=(), rows=rows)


def _layers(summary: NetSummary) -> Sheet:
    """A column per layer, a row for everything that any of them has."""
    columns = [_layer(layer) for layer in summary.layers]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = tuple((name, *(column.get(name, "–") for column in columns)) for name in names)
    return Sheet(title="layers, in integers", columns=("", *(layer.path for layer in summary.layers)), rows=rows)


def _layer(layer: LayerSummary) -> dict[str, str]:
    """Return the facts of a layer, by name."""
    found = {
        "neuron": layer.neuron,
        "neurons": number(layer.neurons),
        "inputs": number(layer.inputs),
        "weights": _weights(layer.synapses),
        "zero weights": share(layer.synapses.sparsity),
    }
    if layer.recurrent is not None:
        found["recurrent weights"] = _weights(layer.recurrent)
    found["bias"] = _range(*layer.bias)
    if layer.readout:
        found["read"] = "at the end"
    else:
        found["threshold"] = f"{layer.threshold:,} = {layer.threshold_decimal:g}"
    if layer.gamma is not None:
        found["gamma"] = f"{layer.gamma:,} = {layer.gamma_decimal:g}"
    found["1.0 is"] = f"2^{layer.scale_bits}"
    if layer.reset is not None:
        found["reset"] = layer.reset
    for c in layer.coefficients:
        decimal = f"{c.low_decimal:.4f}" if c.low == c.high else f"{c.low_decimal:.3f} .. {c.high_decimal:.3f}"
        found[c.name] = f"{_range(c.low, c.high)} = {decimal}" + (f", {c.steps} steps" if c.steps > 1 else "")
    return found


def _weights(synapses: SynapsesSummary) -> str:
    return f"{_range(synapses.low, synapses.high)}, 2^{synapses.exponent}"


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} .. {high:,}"
