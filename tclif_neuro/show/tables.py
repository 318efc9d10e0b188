"""Results as text: one `Sheet` of words, shown as a rich table or as markdown; any result as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from tclif_neuro.compare.runs import Comparison, Difference, LayerComparison
from tclif_neuro.text import clean


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table of words: a title, a name for each column, and rows. Columns after the first hold numbers.

    Without columns, the rows are facts: a name and what it is.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def rich(self) -> Table:
        """For a terminal, without the title."""
        table = Table(
            header_style="dim", box=None, show_header=bool(self.columns), pad_edge=False, padding=(0, 2, 0, 0)
        )
        for i, name in enumerate(self.columns or ("", "")):
            table.add_column(name, justify="right" if i and self.columns else "left", no_wrap=not i)
        for row in self.rows:
            table.add_row(*(Text(clean(cell)) for cell in row))
        return table

    def markdown(self) -> str:
        """For a document, without the title."""
        columns = self.columns or ("", "")
        rule = ["---", *("---:" if self.columns else "---" for _ in columns[1:])]
        lines = [columns, rule, *self.rows]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def share(value: float | None) -> str:
    """A share as a percentage; "100 %" only if it is exactly 1, so that a rare difference stays visible."""
    if value is None:
        return "–"
    if value in (0, 1):
        return f"{value:.0%}".replace("%", " %")
    for digits in (2, 4, 6, 8):
        text = f"{100 * value:.{digits}f}"
        if float(text) not in (0, 100):
            break
    return f"{text} %"


def score_text(accuracy: float | None, error: float | None, per_step: bool) -> str:
    """Return the score of a run, in one phrase."""
    each = " per step" if per_step else ""
    return f"error{each} {number(error)}" if error is not None else f"accuracy{each} {share(accuracy)}"


def number(value: float | None, digits: int = 4) -> str:
    """A number to `digits` significant digits; a dash for none."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}g}"


def comparison_sheet(result: Comparison) -> Sheet:
    """Layer by layer: rates (spikes per neuron and step) and saturations, left / right; how far the two are apart."""
    return Sheet(
        title=f"{result.left} and {result.right}: {verdict(result)}",
        columns=("layer", "neurons", "rates", "spikes equal", "state rms", "saturated"),
        rows=tuple(_layer_row(i, layer) for i, layer in enumerate(result.layers)),
    )


def _layer_row(i: int, layer: LayerComparison) -> tuple[str, ...]:
    spiking = layer.kind != "readout"
    return (
        f"{i} {layer.kind}",
        str(layer.neurons),
        pair(*layer.rates) if spiking else "–",
        share(layer.agreement) if spiking else "–",
        number(layer.state_rms, 3),
        pair(*layer.saturations),
    )


def pair(left: float | None, right: float | None) -> str:
    """Two numbers to be compared."""
    return f"{number(left)} / {number(right)}"


def steps_text(lengths: tuple[int, int]) -> str:
    """Return the number of steps in samples, of which these are the shortest's and the longest's."""
    least, most = lengths
    return f"{most} steps" if least == most else f"{least} to {most} steps"


def verdict(result: Comparison) -> str:
    """Return the finding of a comparison, in one phrase."""
    where = f"{result.samples} samples of {steps_text(result.lengths)}"
    if result.exact:
        return f"{'equal to the bit' if result.identical else 'they DIFFER'} on {where}"
    if result.error is not None:
        return f"outputs {number(result.layers[-1].state_rms)} apart, root mean square, on {where}"
    where = f"the steps of {where}" if result.per_step else where
    return f"the same class for {share(result.predictions)} of {where}"


def difference_text(difference: Difference, left: str, right: str) -> str:
    """Describe where two runs first differ, and both values there."""
    when = "over the sample" if difference.step is None else f"at step {difference.step}"
    what = "input" if difference.layer < 0 else f"layer {difference.layer}"
    unit = "channel" if difference.layer < 0 else "neuron"
    text = (
        f"first difference {when}, {what}, sample {difference.sample}, {unit} {difference.neuron}: "
        f"{difference.quantity} {difference.left} ({left}), {difference.right} ({right})"
    )
    states = "; ".join(f"{name} {number(a, 6)}, {number(b, 6)}" for name, a, b in difference.around)
    return f"{text}; {states}" if states else text


def as_json(result: Any) -> str:
    """Any result (dataclasses, arrays, mappings) as JSON on one line; NaN and infinity become null."""
    return json.dumps(plain(result), allow_nan=False)  # ASCII: for any terminal, and nothing that one obeys


def plain(value: Any) -> Any:
    """`value` in the types that JSON has."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
