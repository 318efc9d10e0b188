"""The views of the live pages of `tclif train` and `tclif learn`: what their reports say, drawn on a board.

Whoever looks costs the run nothing. A raster costs one sample's forward pass, at most a fiftieth of the run's time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tclif_neuro.cli.commands.drawings import Picture, input_picture, log_charts, rasters
from tclif_neuro.cli.commands.subject import Column
from tclif_neuro.compare.activity import kind
from tclif_neuro.errors import unsaid
from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.page.board import Board
from tclif_neuro.page.chart import chart_figure
from tclif_neuro.page.markup import element, joined
from tclif_neuro.page.page import table
from tclif_neuro.page.raster import raster_figure
from tclif_neuro.show.tables import Sheet, number, share

if TYPE_CHECKING:
    from tclif_neuro.learning.training.run import Progress, Report
    from tclif_neuro.network import QuantizedNetwork
    from tclif_neuro.onchip.tasks.session import LearnProgress, LearnReport

SHARE = 50  # of the time since the last raster, one part for the next
OFTEN = 0.25  # seconds between two lines of progress
SELDOM = 1.0  # seconds between two rasters
MARKS = 2**18  # of a sample's rasters
KEPT = 2000  # rows of a log, of longer ones that many at equal distances


class View:
    """A board, and when its parts are due."""

    def __init__(self, board: Board, clock: Callable[[], float] = time.monotonic) -> None:
        self._board, self._clock = board, clock
        self._begin = clock()
        self._next_facts = self._next_raster = self._begin
        self._rows = 0

    def facts(self, facts: dict[str, str], *, now: bool = False) -> None:
        """The lines of progress, if it is time for them."""
        if now or self._clock() >= self._next_facts:
            self._next_facts = self._clock() + OFTEN
            facts["seconds"] = f"{self._clock() - self._begin:.0f}"
            self._board.put("progress", table(Sheet(title="", columns=(), rows=tuple(facts.items()))))

    def is_new(self, rows: Sequence[object]) -> bool:
        """Return whether a log has grown since its curves were drawn."""
        return len(rows) > self._rows

    def log(self, rows: Sequence[Mapping[str, Any]], axis: str) -> None:
        """The curves of a log."""
        self._rows = len(rows)
        thinned = [*rows[: -1 : -(-len(rows) // KEPT)], rows[-1]]
        names = [name for name in rows[0] if name != "phase"]
        log: dict[str, Column] = {name: tuple(_float(row[name]) for row in thinned) for name in names}
        charts = log_charts([log], marks=_phases(rows, axis))
        self._board.put("curves", element("div", *map(chart_figure, charts), class_="charts"))

    def sample(self, pictures: Callable[[], Sequence[Picture]], said: str) -> None:
        """The rasters of a sample, if it is time for them."""
        begin = self._clock()
        if begin < self._next_raster:
            return
        drawn = rasters(pictures(), MARKS)
        self._board.put("rasters", joined(element("p", said), *map(raster_figure, drawn)))
        end = self._clock()
        self._next_raster = end + max(SELDOM, SHARE * (end - begin))


def _phases(rows: Sequence[Mapping[str, Any]], axis: str) -> list[tuple[float, str]]:
    """The start of each phase, if there are several: the last row of the one before."""
    begins = [(rows[0], rows[0]), *pairwise(rows)]
    named = [(float(a[axis]), str(b.get("phase"))) for a, b in begins if a is b or a.get("phase") != b.get("phase")]
    return named if len(named) > 1 else []


def training_report(view: View) -> Report:
    """Draw what training reports."""
    judged: dict[str, str] = {}

    def report(now: Progress) -> None:
        facts = {
            "epoch": f"{now.epoch} of {now.epochs}",
            "batch": f"{now.batch} of {now.batches}",
            "loss": number(now.loss),
        }
        if view.is_new(now.log):
            rows = [asdict(record) for record in now.log]
            for name, value in rows[-1].items():
                if value is not None and name.endswith(("_accuracy", "_error")):
                    judged[name.replace("_", " ")] = share(value) if "accuracy" in name else number(value)
            view.log(rows, "epoch")
        view.facts({**facts, **judged}, now=now.record is not None)
        if now.sample is not None:
            view.sample(lambda: _floats(now), f"A training sample of epoch {now.epoch}, as the model is now.")

    return report


def learning_report(view: View) -> LearnReport:
    """Draw what learning on the chip reports."""

    def report(now: LearnProgress) -> None:
        if view.is_new(now.rows):
            view.log(now.rows, "sample")
        tests = {k.replace("_", " "): share(_float(v)) for k, v in now.rows[-1].items() if "accuracy_" in k}
        facts = {"phase": now.phase, "sample": f"{now.sample} of {now.samples}", "online accuracy": share(now.online)}
        view.facts({**facts, **tests}, now=now.row is not None)
        if now.last is not None:
            x, y = now.last
            name = now.net.classes[y] if now.net.classes else str(y)
            view.sample(lambda: _integers(now.net, x), f"The last sample, of class {name}, once it was learnt.")

    return report


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)


def _floats(now: Progress) -> list[Picture]:
    """The sample's input and the spikes of each layer; the model's mode is then as it was."""
    import torch

    from tclif_neuro.learning.rules.bptt import spikes_of

    assert now.sample is not None
    was_training = now.model.training
    now.model.eval()
    try:
        with torch.no_grad(), spikes_of(now.model) as spikes:
            now.model(now.sample)
    finally:
        now.model.train(was_training)
    pictures = [input_picture(now.sample[:, 0].cpu().numpy(), grades=not _binary(now.sample.cpu().numpy()))]
    return pictures + [Picture(title=f"Layer {i}", values=s[:, 0].cpu().numpy()) for i, s in enumerate(spikes)]


def _integers(net: QuantizedNetwork, x: Any) -> list[Picture]:
    with unsaid():
        run = run_reference(net, x, record=True)
    pictures = [input_picture(run.input[:, 0], grades=bool(net.input.bits))]
    spiking = [(i, layer) for i, layer in enumerate(net.layers) if not layer.readout]
    return pictures + [
        Picture(title=f"Layer {i}, {kind(layer)}", values=run.layers[i].spikes[:, 0]) for i, layer in spiking
    ]


def _binary(values: Any) -> bool:
    return bool(np.isin(values, (0, 1)).all())
