"""The measurements made while learning, and their CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tclif_neuro.errors import unsaid
from tclif_neuro.files import write_atomically
from tclif_neuro.fixed.run import Outside, Run, encode
from tclif_neuro.fixed.simulator import simulate
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.onchip.rule.losses import Losses, shares
from tclif_neuro.onchip.rule.matrices import matrices, weights_of
from tclif_neuro.onchip.rule.setup import LearningSetup
from tclif_neuro.onchip.tasks.stream import Stream

Row = dict[str, float | int | str | None]


def measure(stream: Stream, net: QuantizedNetwork) -> dict[str, float]:
    """The accuracy of `net` on each of the stream's test sets."""
    with unsaid():  # a network that has just begun to learn is silent, or saturates
        return {name: float((simulate(net, x).predictions == y).mean()) for name, (x, y) in stream.tests.items()}


def last_run(stream: Stream, net: QuantizedNetwork) -> Run:
    """The run of `net` on all test sets together; what is `outside` is that of all samples, learnt and tested."""
    tests = np.concatenate([x for x, _ in stream.tests.values()], axis=1)
    with unsaid():
        run = simulate(net, tests)
    tested, learnt = tests.shape[1], stream.x.shape[1]
    pairs = zip(run.outside, encode(net, stream.x).outside, strict=True)
    return replace(run, outside=Outside(*((tested * a + learnt * b) / (tested + learnt) for a, b in pairs)))


def weight_statistics(setup: LearningSetup, before: QuantizedNetwork) -> Row:
    """Of each matrix: the mean |w| in steps, the share at a limit, and the share that differs from `before`."""
    low, high = setup.weight_range
    row: Row = {}
    then = weights_of(before)
    for matrix, now in weights_of(setup.net).items():
        weight = now >> setup.weight_shift
        row[f"weight_{matrix.name}"] = float(np.abs(weight).mean())
        row[f"limit_{matrix.name}"] = float(((weight == low) | (weight == high)).mean())
        row[f"changed_{matrix.name}"] = float((now != then[matrix]).mean())
    return row


def loss_shares(setup: LearningSetup, losses: Losses) -> Row:
    """The shares of what the limits took, in the columns of `rule.losses`; 0 where nothing was learnt."""
    names = ["clipped_error"]
    for matrix in matrices(setup.net):
        if setup.rule(matrix):
            names += [f"clipped_posted_{matrix.layer}"] if not matrix.recurrent else []
            names += [f"{kind}_{matrix.name}" for kind in ("clipped_trace", "lost", "saturated")]
    found = shares(losses)
    return {name: found.get(name, 0.0) for name in names}


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """`rows`, which have the same keys, as a table; replaces the file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, lambda file: file.write(text.getvalue().encode()))


def column(rows: Sequence[Row], name: str) -> npt.NDArray[np.float64]:
    """A column of numbers; NaN where there is none."""
    return np.array([np.nan if row[name] is None else row[name] for row in rows], np.float64)
