"""ECG of the QT database, delta-coded, with the wave that each step belongs to: a class per step.

    x [n, 1301, 4]    spikes of two leads, rises and falls    y [n, 1301, 6]    one-hot

in `QTDB_train.mat` and `QTDB_test.mat`. Source of the recordings: Laguna, Mark, Goldberg and Moody, A database for
evaluation of algorithms for measurement of QT and other waveform intervals in the ECG, 1997; of this form of them: Yin,
Corradi and Bohte, Accurate and efficient time-domain classification with adaptive spiking recurrent neural networks,
2021.
"""

from __future__ import annotations

from pathlib import Path

from tclif_neuro.data.labels import from_one_hot
from tclif_neuro.data.paths import data_folder, find
from tclif_neuro.data.readers.matlab import read_matlab
from tclif_neuro.data.sequences import DataError, Dense
from tclif_neuro.data.spec import TaskSpec
from tclif_neuro.data.task import Part, Task, check_sequences

CLASSES = 6


def ecg(spec: TaskSpec, data_dir: Path | None) -> Task:
    """The task "ecg": its two files are in the folder `spec.data`, by default `ecg` among the data sets."""
    folder = find(spec.data or str(data_folder(data_dir) / "ecg"), spec.folder, data_dir)
    train, test = (_part(folder / f"QTDB_{part}.mat") for part in ("train", "test"))
    return Task(name=spec.name, train=train, test=test, classes=tuple(map(str, range(CLASSES))), kind="class per step")


def _part(path: Path) -> Part:
    arrays = read_matlab(path, ("x", "y"))
    x, y = arrays["x"], arrays["y"]
    if x.dtype.kind not in "buif" or y.dtype.kind not in "bui" or y.ndim != 3 or y.shape[-1] != CLASSES:
        raise DataError(f"{path}: y [n, T, {CLASSES}] of 0 and 1 expected, got {y.dtype} {list(y.shape)}")
    return Part(x=Dense(check_sequences(f"{path}: x", x)), y=from_one_hot(f"{path}: y", y), source=str(path))
