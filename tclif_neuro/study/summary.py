"""A study's results as one table: mean, spread and firing rates of every setting over its seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tclif_neuro.study.folder import Result, line
from tclif_neuro.study.spec import SEED, Job, Settings

Done = Sequence[tuple[Job, Result]]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One setting. accuracies: on the test set, of each seed. spread: their sample standard deviation, 0 for one.

    rates: of each spiking layer, spikes per neuron and step, the mean over seeds. validation: mean accuracy, or None.
    """

    settings: Settings
    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    mean: float
    spread: float
    validation: float | None
    rates: tuple[float, ...]
    parameters: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """rows: of a study of trainings, in order; a search's with the best validation accuracy first.

    samples, right, rates: of an evaluation in slices.
    """

    rows: tuple[Row, ...] = ()
    samples: int = 0
    right: int = 0
    rates: tuple[float, ...] = ()

    @property
    def accuracy(self) -> float:
        """An evaluation's."""
        return self.right / max(1, self.samples)


def summarise(done: Done) -> Summary:
    """The table of what is done so far; what took how long is not in it, so that it is the same wherever it is made."""
    if done and "samples" in done[0][1]:
        return _slices([result for _, result in done])
    groups: dict[str, list[tuple[Settings, Job, Result]]] = {}
    for job, result in done:
        settings = {key: value for key, value in result.get("settings", job).items() if key != SEED}
        groups.setdefault(line(settings), []).append((settings, job, result))
    rows = tuple(map(_row, groups.values()))
    if done and "trial" in done[0][0]:
        rows = tuple(sorted(rows, key=lambda row: -(row.validation or 0.0)))
    return Summary(rows=rows)


def _row(group: Sequence[tuple[Settings, Job, Result]]) -> Row:
    results = [result for _, _, result in group]
    accuracies = tuple(float(result["test_accuracy"]) for result in results)
    chosen_by = [result["validation_accuracy"] for result in results]
    return Row(
        settings=group[0][0],
        seeds=tuple(job[SEED] for _, job, _ in group if SEED in job),
        accuracies=accuracies,
        mean=statistics.mean(accuracies),
        spread=statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0,
        validation=None if None in chosen_by else statistics.mean(chosen_by),
        rates=_means([result["rates"] for result in results]),
        parameters=int(results[0]["parameters"]),
    )


def _means(rates: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Of each layer; a setting's networks have as many layers."""
    return tuple(statistics.mean(layer) for layer in zip(*rates, strict=True))


def _slices(results: Sequence[Result]) -> Summary:
    steps = sum(result["steps"] for result in results)
    weighted = zip(*([rate * result["steps"] for rate in result["rates"]] for result in results), strict=True)
    return Summary(
        samples=sum(result["samples"] for result in results),
        right=sum(result["right"] for result in results),
        rates=tuple(sum(layer) / max(1, steps) for layer in weighted),
    )
