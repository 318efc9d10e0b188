"""What is shown of each command's result: tables of words, made of the results alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tclif_neuro.report.tables import Sheet, comparison_sheet, difference_text, number, share

if TYPE_CHECKING:
    from tclif_neuro.commands.compare import CompareResult
    from tclif_neuro.commands.export import ExportResult
    from tclif_neuro.commands.plot import PlotResult
    from tclif_neuro.commands.run import RunResult
    from tclif_neuro.learning.train import TrainResult
    from tclif_neuro.netx.describe import NetSummary, SynapsesSummary
    from tclif_neuro.quantization import LossReport


def train_sheet(result: TrainResult) -> Sheet:
    """What training gave."""
    rows = [
        ("epoch kept", f"{result.epoch} of {result.epochs}"),
        ("training accuracy", share(result.train_accuracy)),
        ("validation accuracy", share(result.validation_accuracy)),
        ("test accuracy", share(result.test_accuracy)),
        ("parameters", f"{result.parameters:,}"),
        ("seconds", f"{result.seconds:.1f}"),
        ("checkpoint", str(result.checkpoint)),
    ]
    return Sheet(title="trained", columns=(), rows=tuple(row for row in rows if row[1] != share(None)))


def export_parts(result: ExportResult) -> list[Sheet | str]:
    """What a conversion lost, and where it is."""
    return [loss_sheet(result.report), f"wrote {result.file}"]


def loss_sheet(report: LossReport) -> Sheet:
    """What a conversion lost, layer by layer."""
    columns = ("layer", "neurons", "scale", "weight error", "clipped", "states use", "saturations", "rate, float",
               "rate, integer", "spikes differ")  # fmt: skip
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
                number(layer.float_rate),
                number(layer.integer_rate),
                share(layer.spikes_differ),
            )
        )
    return Sheet(title=f"converted; {loss_verdict(report)}", columns=columns, rows=tuple(rows))


def loss_verdict(report: LossReport) -> str:
    """The accuracy before and after, in one phrase."""
    text = f"the same class for {share(report.agreement)} of {report.samples} samples"
    if report.float_accuracy is None:
        return text
    return f"accuracy {share(report.float_accuracy)} in float, {share(report.integer_accuracy)} in integers; {text}"


def run_sheet(result: RunResult) -> Sheet:
    """What a run gave, layer by layer."""
    title = (
        f"{result.file.name} on {result.samples} samples of {result.source} ({result.steps} steps), {result.backend}: "
        f"accuracy {share(result.accuracy)}, {number(result.spikes_per_sample)} spikes a sample, "
        f"{number(result.samples_per_second)} samples/s"
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
    return Sheet(title=title, columns=("layer", "neurons", "spikes a sample", "rate", "saturations"), rows=rows)


def compare_parts(result: CompareResult) -> list[Sheet | str]:
    """Every executor's accuracy and speed, each comparison and its first difference, and the verdict."""
    rows = tuple((e.name, share(e.accuracy), number(e.samples_per_second)) for e in result.executors)
    title = f"{result.file.name} on {result.samples} samples of {result.source} ({result.steps} steps)"
    parts: list[Sheet | str] = [Sheet(title=title, columns=("executor", "accuracy", "samples/s"), rows=rows)]
    for comparison in result.comparisons:
        parts.append(comparison_sheet(comparison))
        if comparison.first is not None:
            parts.append(difference_text(comparison.first, comparison.left, comparison.right))
    parts += [f"left out: {reason}" for reason in result.skipped]
    names = " = ".join(["reference", *(c.right for c in result.comparisons if c.exact)])
    parts.append(f"{names}, to the bit" if result.identical else "executors of integers DIFFER")
    return parts


def plot_parts(result: PlotResult) -> list[Sheet | str]:
    """What was drawn."""
    truth = "" if result.label is None else f", truly {result.label}"
    return [f"wrote {result.figure}: sample {result.sample} of {result.source}, predicts {result.prediction}{truth}"]


def inspect_parts(summary: NetSummary) -> list[Sheet | str]:
    """What is in a .net file: its facts, its layers, their coefficients."""
    return [_facts(summary), _layers(summary), _coefficients(summary)]


def _facts(summary: NetSummary) -> Sheet:
    coding = (
        "spikes, 0 or 1" if not summary.input_bits else f"{'signed' if summary.input_signed else 'unsigned'} 8 bits"
    )
    classes = ", ".join(summary.classes[:12]) + (", ..." if len(summary.classes) > 12 else "")
    rows = (
        ("format", f"{summary.format} {summary.version or ''}".strip()),
        ("inputs", f"{summary.inputs}: {coding}, value times {summary.input_scale:g}"),
        ("outputs", f"{summary.outputs}{': ' if classes else ''}{classes}"),
        ("steps a sample", number(summary.steps) if summary.steps else "any"),
        ("synapses", number(summary.synapses)),
        ("parameters", number(summary.parameters)),
        ("memory, packed", f"{number(summary.memory_bytes)} bytes"),
        ("unmodified lava-dl", "can run it" if summary.stock else f"cannot run it: {summary.why_not_stock}"),
        ("recipe", f"{len(summary.recipe.splitlines())} lines (--json shows it)" if summary.recipe else "none"),
    )
    return Sheet(title=summary.file, columns=(), rows=rows)


def _layers(summary: NetSummary) -> Sheet:
    columns = ("layer", "neuron", "inputs", "neurons", "weights", "recurrent", "zeros", "bias", "threshold", "gamma",
               "scale", "reset")  # fmt: skip
    rows = tuple(
        (
            layer.path,
            f"{layer.neuron}{', readout' if layer.readout else ''}",
            number(layer.inputs),
            number(layer.neurons),
            _weights(layer.synapses),
            _weights(layer.recurrent),
            share(layer.synapses.sparsity),
            f"{layer.bias[0]:,} .. {layer.bias[1]:,}",
            "–" if layer.readout else number(layer.threshold),
            number(layer.gamma),
            f"2^{layer.scale_bits}",
            layer.reset or "–",
        )
        for layer in summary.layers
    )
    return Sheet(title="layers, in integers", columns=columns, rows=rows)


def _weights(synapses: SynapsesSummary | None) -> str:
    return "–" if synapses is None else f"{synapses.low} .. {synapses.high}, 2^{synapses.exponent}"


def _coefficients(summary: NetSummary) -> Sheet:
    rows = tuple(
        (
            f"{layer.path} {c.name}",
            f"{c.low} .. {c.high}" if c.low != c.high else str(c.low),
            f"{c.low_decimal:.4f} .. {c.high_decimal:.4f}" if c.low != c.high else f"{c.low_decimal:.4f}",
            number(c.steps),
            number(c.neurons),
        )
        for layer in summary.layers
        for c in layer.coefficients
    )
    return Sheet(title="coefficients", columns=("coefficient", "of 4096", "decimal", "steps", "neurons"), rows=rows)
