"""N-MNIST: MNIST's digits seen by a silicon retina of 34 x 34 pixels that moves, 5 bytes per event.

    byte 0: x    byte 1: y    byte 2: polarity (highest bit) and time    bytes 3, 4: time, in microseconds, 23 bits

A y of 240 is no pixel: it says that the times from there on are 2^13 microseconds later, once more each time.

Source: Orchard, Jayawant, Cohen and Thakor, Converting static image datasets to spiking neuromorphic datasets using
saccades, 2015. In a folder or a .zip file: `Train/CLASS/*.bin` and `Test/CLASS/*.bin`, as published; or recordings
`NUMBER.bs2` with lists `train*.txt` and `test*.txt` of numbers and classes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tclif_neuro.data.cache import digest_of
from tclif_neuro.data.events import Bins, Recording, kept_on_disk
from tclif_neuro.data.paths import data_folder, find
from tclif_neuro.data.readers.files import Files
from tclif_neuro.data.sequences import DataError
from tclif_neuro.data.spec import BinsSpec, TaskSpec
from tclif_neuro.data.task import Part, Task

SIDE = 34
OVERFLOW, LATER = 240, 2**13  # the y of an event that is none, and the microseconds that it adds
STEPS, DURATION = 30, 0.3
CLASSES = tuple("0123456789")
_PUBLISHED = re.compile(r"(?:.*/)?(train|test)/([0-9])/[^/]+\.bin", re.IGNORECASE)
_LIST = re.compile(r"(?:.*/)?(train|test)[^/]*\.txt", re.IGNORECASE)

Listing = list[tuple[str, int]]  # the names of recordings, and their classes


def nmnist(spec: TaskSpec, data_dir: Path | None) -> Task:
    """The task "nmnist", in the folder or .zip file `spec.data`. Raises `DataError`."""
    path = find(spec.data or str(data_folder(data_dir) / "nmnist"), spec.folder, data_dir)
    files = Files(path)
    found = _published(files) or _listed(files)
    for part in ("train", "test"):
        if not found.get(part):
            packed = [name for name in files.names if name.lower().endswith((".zip", ".gz", ".rar"))]
            hint = f"; unpack {packed[0]}" if packed else ""
            raise DataError(
                f"{path}: no {part}ing recordings: neither {part.title()}/CLASS/*.bin nor {part}*.txt{hint}"
            )
    parts = {part: _part(files, part, found[part], spec.bins or BinsSpec()) for part in ("train", "test")}
    return Task(name=spec.name, train=parts["train"], test=parts["test"], classes=CLASSES)


def _published(files: Files) -> dict[str, Listing]:
    found: dict[str, Listing] = {}
    for name in files.names:
        if match := _PUBLISHED.fullmatch(name.replace("\\", "/")):
            found.setdefault(match[1].lower(), []).append((name, int(match[2])))
    return found


def _listed(files: Files) -> dict[str, Listing]:
    recordings = {Path(name).stem: name for name in files.names if name.lower().endswith((".bs2", ".bin"))}
    found: dict[str, Listing] = {}
    for name in files.names:
        if not (match := _LIST.fullmatch(name)):
            continue
        for number, line in enumerate(files.read(name).decode("utf-8", "replace").splitlines(), 1):
            words = line.split("#")[0].split()
            if not words:
                continue
            if len(words) != 2 or words[0] not in recordings or words[1] not in CLASSES:
                raise DataError(f"{files.path}: {name}, line {number}: a recording and a class expected: {line[:60]!r}")
            found.setdefault(match[1].lower(), []).append((recordings[words[0]], int(words[1])))
    return found


def _part(files: Files, part: str, listing: Listing, spec: BinsSpec) -> Part:
    bins = Bins(steps=spec.steps or STEPS, duration=spec.duration or DURATION, count=spec.count)
    pool = spec.pool or 1
    side = -(-SIDE // pool)
    identity = f"nmnist {files.identity()} {digest_of(listing)} {pool}"
    source, shape = f"the {part} set in {files.path}", (len(listing), 2 * side * side)
    x = kept_on_disk(_recordings(files, listing, pool), shape, bins, identity, source)
    return Part(x=x, y=np.array([label for _, label in listing], np.int64), source=source)


def _recordings(files: Files, listing: Listing, pool: int) -> Iterator[Recording]:
    for name, _ in listing:
        try:
            yield decode(files.read(name), pool)
        except DataError as error:
            raise DataError(f"{files.path}: {name}: {error}") from None


def decode(content: bytes, pool: int = 1) -> Recording:
    """The events of a recording; channel = (polarity side + y / pool) side + x / pool. Raises `DataError`."""
    if len(content) % 5:
        raise DataError(f"{len(content)} bytes are no events of 5 bytes")
    x, y, high, middle, low = np.frombuffer(content, np.uint8).reshape(-1, 5).T.astype(np.int64)
    time = ((high & 0x7F) << 16 | middle << 8 | low) + LATER * np.cumsum(y == OVERFLOW)
    pixel = y != OVERFLOW
    x, y, polarity, time = x[pixel], y[pixel], high[pixel] >> 7, time[pixel]
    if x.size and max(x.max(), y.max()) >= SIDE:
        raise DataError(f"an event at pixel ({x.max()}, {y.max()}); there are {SIDE} x {SIDE}")
    side = -(-SIDE // pool)
    return Recording(time * 1e-6, (polarity * side + y // pool) * side + x // pool)
