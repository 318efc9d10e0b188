"""The Spiking Heidelberg Digits and Spiking Speech Commands: 700 channels of an artificial cochlea, in HDF5.

    spikes/times [n], spikes/units [n]   of variable length: seconds, and channels in [0, 700)
    labels [n], extra/keys, extra/speaker [n]

Source: Cramer, Stradmann, Schemmel and Zenke, The Heidelberg spiking data sets for the systematic evaluation of spiking
neural networks, 2020. The official split is kept: two of the twelve speakers of SHD are in its test set alone.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.data.cache import file_identity
from tclif_neuro.data.events import Bins, Recording, kept_on_disk
from tclif_neuro.data.paths import data_folder, find
from tclif_neuro.data.sequences import DataError
from tclif_neuro.data.spec import BinsSpec, TaskSpec
from tclif_neuro.data.task import Part, Task, check_labels

CHANNELS = 700
STEPS, DURATION = 100, 1.4  # the longest recording of SHD has 1.37 s
READ = """
import sys, h5py
with h5py.File(sys.argv[1]) as file:
    for array in (file["spikes/times"], file["spikes/units"]):
        for i in range(len(array)):
            array[i]
"""
DEADLINE = 1800.0  # seconds; SSC, 2.5 GB, takes some minutes from a slow disk
FILES = {"shd": {"train": "train", "test": "test"}, "ssc": {"train": "train", "validation": "valid", "test": "test"}}


@dataclass(frozen=True, kw_only=True)
class _Contents:
    labels: npt.NDArray[np.int64]
    names: tuple[str, ...]
    speakers: npt.NDArray[Any] | None


def heidelberg(spec: TaskSpec, data_dir: Path | None) -> Task:
    """The task "shd" or "ssc": its files are in the folder `spec.data`, by default among the data sets."""
    folder = data_folder(data_dir) if spec.data is None else find(spec.data, spec.folder, data_dir)
    parts: dict[str, Part] = {}
    names: tuple[str, ...] = ()
    for part, suffix in FILES[spec.name].items():
        path = _file(folder, spec.name, f"{spec.name}_{suffix}.h5")
        contents = _contents(path)
        if names and contents.names and contents.names != names:
            raise DataError(f"{path}: names other classes than the training set")
        names = names or contents.names
        parts[part] = _part(path, contents, spec.bins or BinsSpec())
    highest = max(int(part.y.max()) for part in parts.values())
    classes = names or tuple(map(str, range(highest + 1)))
    return Task(
        name=spec.name, train=parts["train"], test=parts["test"], validation=parts.get("validation"), classes=classes
    )


def _file(folder: Path, name: str, file: str) -> Path:
    for path in (folder / file, folder / name / file, folder / name.upper() / file):
        if path.is_file():
            return path
    raise DataError(f"{file}: is not in {folder}; unpack it there (from zenkelab.org), or say where it is: task.data")


def _contents(path: Path) -> _Contents:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            labels, times, units = file["labels"][()], file["spikes/times"], file["spikes/units"]
            if not len(labels) == len(times) == len(units) > 0:
                raise DataError(f"{path}: {len(times)} times, {len(units)} units and {len(labels)} labels")
            names = tuple(bytes(key).decode() for key in file["extra/keys"][()]) if "extra/keys" in file else ()
            speakers = _texts(file["extra/speaker"]) if "extra/speaker" in file else None
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: is not laid out as SHD and SSC are: {error}") from error
    check_labels(f"{path}: labels", labels, len(labels), len(names) or int(labels.max(initial=0)) + 1)
    return _Contents(labels=labels.astype(np.int64), names=names, speakers=speakers)


def _texts(item: Any) -> npt.NDArray[Any]:
    """A data set's numbers, or its texts."""
    import h5py

    return np.asarray(item[()] if h5py.check_string_dtype(item.dtype) is None else item.asstr()[()].astype(str))


def _part(path: Path, contents: _Contents, spec: BinsSpec) -> Part:
    bins = Bins(steps=spec.steps or STEPS, duration=spec.duration or DURATION, count=spec.count)
    pool = spec.pool or 1
    identity = f"heidelberg {file_identity(path)} {pool}"
    count, channels = len(contents.labels), -(-CHANNELS // pool)
    try:
        x = kept_on_disk(_recordings(path, pool), (count, channels), bins, identity, str(path))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return Part(x=x, y=contents.labels, groups=contents.speakers, source=str(path))


def _try_in_a_child(path: Path) -> None:
    """Raises `DataError` where reading the file ends a process, as HDF5 does on some damaged arrays of many lengths."""
    command = [sys.executable, "-I", "-c", READ, str(path.absolute())]
    try:
        ended = subprocess.run(command, capture_output=True, timeout=DEADLINE).returncode
    except subprocess.TimeoutExpired:
        raise DataError(f"reading it takes more than {DEADLINE:g} s: it may be damaged") from None
    if ended < 0:
        raise DataError(f"is damaged: a process that read it died of signal {-ended}")


def _recordings(path: Path, pool: int) -> Iterator[Recording]:
    import h5py

    _try_in_a_child(path)
    with h5py.File(path, "r") as file:
        times, units = file["spikes/times"], file["spikes/units"]
        for i in range(len(times)):
            try:
                when, where = np.asarray(times[i], np.float64), np.asarray(units[i], np.int64)
            except (OSError, TypeError, ValueError) as error:
                raise DataError(f"sample {i} cannot be read: {error}") from error
            if where.size and where.max() >= CHANNELS:
                raise DataError(f"unit {where.max()} of sample {i}; there are {CHANNELS}")
            yield Recording(when, where // pool)
