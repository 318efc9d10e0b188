"""DVS128 Gesture: 11 hand and arm gestures seen by a silicon retina of 128 x 128 pixels, in AEDAT 3.1 files.

    trials_to_train.txt, trials_to_test.txt     names of recordings: userNN_LIGHT.aedat
    userNN_LIGHT.aedat                          lines that begin with #, then packets:
        type, source [int16], size, offset, overflow, capacity, number, valid [int32], then number x size bytes;
        type 1: 32 bits of x (15), y (15), polarity (1), valid (1), from the highest bit on; time [int32] in
        microseconds, of which `overflow` are the bits from 31 on
    userNN_LIGHT_labels.csv                     class (1 to 11), start, end in microseconds: a sample per line
    gesture_mapping.csv                         action, label: the names of the classes, where it is there

Source: Amir et al., A low power, fully event-based gesture recognition system, 2017. The published split is kept: its
test set is of other people. A sample's group is who makes the gesture.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tclif_neuro.data.cache import digest_of, files_identity
from tclif_neuro.data.events import Bins, Recording, kept_on_disk
from tclif_neuro.data.paths import data_folder, find
from tclif_neuro.data.readers.files import read_lines
from tclif_neuro.data.sequences import DataError
from tclif_neuro.data.spec import BinsSpec, TaskSpec
from tclif_neuro.data.task import Part, Task

SIDE, CLASSES = 128, 11
STEPS, DURATION, POOL = 100, 6.0, 4  # most gestures are repeated for some six seconds
MAX_BYTES = 2**30  # of a recording; they have some 25 MB
HEADER = np.dtype(
    [(k, "<i2") for k in ("type", "source")]
    + [(k, "<i4") for k in ("size", "offset", "overflow", "capacity", "number", "valid")]
)
EVENT = np.dtype([("data", "<u4"), ("time", "<i4")])
POLARITY = 1  # the type of packets of such events
Ints = npt.NDArray[np.int64]


class Trial(NamedTuple):
    """A sample: the file that it is in, its class from 0 on, and from when until when, in microseconds."""

    file: str
    label: int
    start: int
    end: int


class Events(NamedTuple):
    """time: in microseconds; x, y; polarity: 1 where it grew brighter."""

    time: Ints
    x: Ints
    y: Ints
    polarity: Ints


def dvs_gesture(spec: TaskSpec, data_dir: Path | None) -> Task:
    """The task "dvs-gesture", in the folder `spec.data`, by default `DvsGesture` among the data sets."""
    root = find(spec.data or str(data_folder(data_dir) / "DvsGesture"), spec.folder, data_dir)
    parts = {part: _part(root, part, spec.bins or BinsSpec()) for part in ("train", "test")}
    return Task(name=spec.name, train=parts["train"], test=parts["test"], classes=_names(root))


def _part(root: Path, part: str, spec: BinsSpec) -> Part:
    trials = [trial for file in _listed(root / f"trials_to_{part}.txt") for trial in _trials(root, file)]
    if not trials:
        raise DataError(f"{root / f'trials_to_{part}.txt'}: names no recording with a label")
    bins = Bins(steps=spec.steps or STEPS, duration=spec.duration or DURATION, count=spec.count)
    pool = spec.pool or POOL
    side = -(-SIDE // pool)
    files = sorted({trial.file for trial in trials})
    identity = f"dvs-gesture {files_identity(root, files)} {digest_of(trials)} {pool}"
    source = f"the {part} set in {root}"
    x = kept_on_disk(_recordings(root, trials, pool), (len(trials), 2 * side * side), bins, identity, source)
    users = np.array([trial.file.split("_")[0] for trial in trials])
    return Part(x=x, y=np.array([trial.label for trial in trials], np.int64), groups=users, source=source)


def _listed(path: Path) -> list[str]:
    return [line.strip() for line in read_lines(path) if line.strip()]


def _trials(root: Path, file: str) -> Iterator[Trial]:
    """The samples of a recording, as its list of labels has them."""
    if not re.fullmatch(r"[\w-]+\.aedat", file) or not (root / file).is_file():
        raise DataError(f"{root}: {file[:60]!r} is in the lists of trials and is no .aedat file there")
    path = root / f"{file.removesuffix('.aedat')}_labels.csv"
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip() or line.lower().startswith("class"):
            continue
        try:
            label, start, end = map(int, line.split(","))
        except ValueError:
            raise DataError(f"{path}, line {number}: class, start and end expected: {line[:60]!r}") from None
        if not (1 <= label <= CLASSES and 0 <= start < end):
            raise DataError(f"{path}, line {number}: class 1 to {CLASSES}, start before end: {line[:60]!r}")
        yield Trial(file, label - 1, start, end)


def _names(root: Path) -> tuple[str, ...]:
    path = root / "gesture_mapping.csv"
    if not path.exists():
        return tuple(str(k) for k in range(1, CLASSES + 1))
    names = {row[1].strip(): row[0].strip() for row in csv.reader(read_lines(path)) if len(row) == 2}
    missing = [k for k in range(1, CLASSES + 1) if str(k) not in names]
    if missing:
        raise DataError(f"{path}: has no name of class {missing[0]}")
    return tuple(names[str(k)] for k in range(1, CLASSES + 1))


def _recordings(root: Path, trials: list[Trial], pool: int) -> Iterator[Recording]:
    """Each trial's events, from its start; a file is read once."""
    side, last, events = -(-SIDE // pool), "", Events(*(np.zeros(0, np.int64) for _ in range(4)))
    for trial in trials:
        if trial.file != last:
            last, events = trial.file, read_aedat(root / trial.file)
        own = (events.time >= trial.start) & (events.time < trial.end)
        time, x, y, polarity = (array[own] for array in events)
        yield Recording((time - trial.start) * 1e-6, (polarity * side + y // pool) * side + x // pool)


def read_aedat(path: Path) -> Events:
    """The valid events of an AEDAT 3.1 file. Raises `DataError`."""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if not content.startswith(b"#!AER-DAT3.1") or len(content) > MAX_BYTES:
        raise DataError(f"{path}: is no AEDAT 3.1 file of at most {MAX_BYTES} bytes; it begins {content[:16]!r}")
    try:
        packets = list(_packets(content))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    none = np.zeros(0, np.int64)
    data = np.concatenate([none, *(bits for bits, _ in packets)])
    time = np.concatenate([none, *(times for _, times in packets)])
    x, y = data >> 17, data >> 2 & 0x7FFF
    if x.size and max(x.max(), y.max()) >= SIDE:
        raise DataError(f"{path}: an event at pixel ({x.max()}, {y.max()}); there are {SIDE} x {SIDE}")
    return Events(time, x, y, data >> 1 & 1)


def _packets(content: bytes) -> Iterator[tuple[Ints, Ints]]:
    """The bits and times of the valid events, packet by packet."""
    at = 0
    while content[at : at + 1] == b"#":
        at = content.find(b"\n", at) + 1 or len(content)
    while at < len(content):
        if len(content) - at < HEADER.itemsize:
            raise DataError(f"ends in the header of a packet, at byte {at}")
        header = np.frombuffer(content, HEADER, 1, at)[0]
        number, size = int(header["number"]), int(header["size"])
        at += HEADER.itemsize
        if number < 0 or size < 0 or number * size > len(content) - at:
            raise DataError(f"a packet of {number} events of {size} bytes at byte {at}; {len(content) - at} are left")
        if header["type"] == POLARITY:
            if size != EVENT.itemsize:
                raise DataError(f"events of {size} bytes at byte {at}; {EVENT.itemsize} expected")
            events = np.frombuffer(content, EVENT, number, at)
            valid = events[(events["data"] & 1).astype(bool)]
            if valid.size and valid["time"].min() < 0:
                raise DataError(f"an event at {valid['time'].min()} microseconds in the packet before byte {at}")
            yield valid["data"].astype(np.int64), valid["time"].astype(np.int64) + (int(header["overflow"]) << 31)
        at += number * size
