"""A study as tables and as a plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from tclif_neuro.show.tables import Sheet, number, share

if TYPE_CHECKING:
    from tclif_neuro.study.run import Outcome
    from tclif_neuro.study.summary import Row, Summary

MOST = 40  # settings in the plot


def study_parts(outcome: Outcome) -> list[Sheet | str]:
    """Its table, what failed, and where it is."""
    failed = [f"failed: {reason}" for reason in outcome.failed]
    return [study_sheet(outcome.summary), *failed, f"{outcome.done} of {outcome.jobs} jobs are in {outcome.folder}"]


def study_sheet(summary: Summary) -> Sheet:
    """A row per setting: accuracy and its spread over seeds, firing rates per layer; or an evaluation's one row."""
    if not summary.rows:
        found = (share(summary.accuracy), number(summary.samples), _rates(summary.rates))
        return Sheet(
            title="evaluation", columns=("accuracy", "samples", "rates"), rows=(found,) if summary.samples else ()
        )
    chosen_by = any(row.validation is not None for row in summary.rows)
    columns = ("settings", "seeds", "test accuracy", *(["validation"] if chosen_by else []), "rates", "parameters")
    rows = tuple(
        (
            setting(row),
            number(len(row.accuracies)),
            _spread(row),
            *([share(row.validation)] if chosen_by else []),
            _rates(row.rates),
            number(row.parameters),
        )
        for row in summary.rows
    )
    return Sheet(title="study; rates are spikes per neuron and step, layer by layer", columns=columns, rows=rows)


def setting(row: Row) -> str:
    """Return the settings that distinguish the row from others; a variant's name stands for its own."""
    short = {k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in row.settings.items()}
    return ", ".join(text if key == "variant" else f"{key} = {text}" for key, text in short.items()) or "the recipe"


def _spread(row: Row) -> str:
    return f"{100 * row.mean:.2f} ± {100 * row.spread:.2f} %" if len(row.accuracies) > 1 else f"{100 * row.mean:.2f} %"


def _rates(rates: tuple[float, ...]) -> str:
    return ", ".join(f"{rate:.3f}" for rate in rates)


def study_figure(summary: Summary) -> Figure:
    """Each setting's accuracies, a point per seed and a stroke at their mean; the first settings if there are many."""
    rows = summary.rows[:MOST]
    figure = Figure(figsize=(7.2, 1.2 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for y, row in enumerate(rows):
        axes.plot([100 * a for a in row.accuracies], [y] * len(row.accuracies), "o", color="#0072B2", alpha=0.5, ms=4)
        axes.plot([100 * row.mean], [y], "|", color="#D55E00", ms=14, mew=2)
    axes.set_yticks(range(len(rows)), [setting(row) for row in rows], fontsize=7, parse_math=False)
    axes.invert_yaxis()
    hidden = len(summary.rows) - len(rows)
    axes.set_xlabel("test accuracy, %" + (f"; {hidden} more settings are in the table" if hidden else ""), fontsize=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
