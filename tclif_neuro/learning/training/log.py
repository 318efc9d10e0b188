"""The measurements of training, epoch by epoch, in a CSV file and for TensorBoard."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tclif_neuro.files import write_atomically


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """One epoch.

    epoch: from 1. lr: of the epoch. loss, train_accuracy: over its batches, as they were trained on (noise, dropout).
    Of real targets there are errors in place of accuracies: root mean squares.
    validation_accuracy, test_accuracy: after it; the test set is looked at only where no validation set chooses the
    weights. spikes_per_sample: of all layers together; lowest_rate, highest_rate: of the layer that spikes least and
    most, in spikes per neuron and step; all three on that validation or test set. seconds: the epoch took.
    """

    epoch: int
    lr: float
    loss: float
    train_accuracy: float | None = None
    validation_accuracy: float | None = None
    test_accuracy: float | None = None
    train_error: float | None = None
    validation_error: float | None = None
    test_error: float | None = None
    spikes_per_sample: float | None = None
    lowest_rate: float | None = None
    highest_rate: float | None = None
    seconds: float


COLUMNS = tuple(field.name for field in fields(EpochRecord))
_SCALARS = COLUMNS[1:]


def write_csv(path: Path, records: Iterable[EpochRecord]) -> None:
    """`records` as a table, one row each; replaces the file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(record) for record in records)
    write_atomically(path, lambda file: _write(file, text.getvalue()))


def _write(file: Any, text: str) -> None:
    file.write(text.encode())


class TensorBoard:
    """The same numbers as event files in `folder`; epochs from `start` on replace those of an interrupted run."""

    def __init__(self, folder: Path, start: int) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter  # slow to import, and asked for by few

        self._writer = SummaryWriter(str(folder), purge_step=start)

    def add(self, record: EpochRecord) -> None:
        """One epoch's numbers."""
        for name in _SCALARS:
            value = getattr(record, name)
            if value is not None:
                self._writer.add_scalar(name, value, record.epoch)
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        self._writer.close()
