"""The energy estimate as a table, for whatever shows it."""

from __future__ import annotations

from collections.abc import Sequence

from tclif_neuro.compare.energy import ACCUMULATE, MULTIPLY, Energy
from tclif_neuro.show.tables import Sheet, number

COLUMNS = ("layer", "accumulates", "multiplies", "nJ per step", "uJ per sample", "as LIF, nJ", "as LSTM, nJ")


def energy_sheet(energy: Energy, kinds: Sequence[str] = ()) -> Sheet:
    """`compare.energy.energy` of a run, a row per layer and one of their sums. kinds: a word for each layer."""
    of_a_sample = energy.uj_per_sample / (energy.nj_per_step or 1.0)
    rows = [
        (
            f"{i} {kinds[i]}" if kinds else str(i),
            number(layer.accumulates),
            number(layer.multiplies),
            number(layer.nj),
            number(layer.nj * of_a_sample),
            number(layer.lif_nj),
            number(layer.lstm_nj or None),
        )
        for i, layer in enumerate(energy.layers)
    ]
    total = (
        "all",
        number(sum(layer.accumulates for layer in energy.layers)),
        number(sum(layer.multiplies for layer in energy.layers)),
        number(energy.nj_per_step),
        number(energy.uj_per_sample),
        number(energy.lif_nj_per_step),
        number(energy.lstm_nj_per_step),
    )
    title = (
        f"energy, an estimate for arithmetic alone: operations per step of a sample, {ACCUMULATE} pJ per accumulate, "
        f"{MULTIPLY} pJ per multiply-accumulate; beside it, the same spikes in LIF, and an LSTM of the same sizes"
    )
    return Sheet(title=title, columns=COLUMNS, rows=(*rows, total))
