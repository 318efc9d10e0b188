"""Recordings that a network has not seen, in the steps that it was trained on: a file, or a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tclif_neuro.data.events import Bins, Recording, binned
from tclif_neuro.data.labels import named, numbered
from tclif_neuro.data.own import Samples
from tclif_neuro.data.readers.recordings import (
    CUT,
    EVENTS,
    SOUND,
    STEPS,
    File,
    are_sound,
    event_lengths,
    files_of,
    groups_of,
    is_folder_of_recordings,
    read_events,
    rows_of_sound,
    sound_lengths,
)
from tclif_neuro.data.sequences import DataError, Dense
from tclif_neuro.data.sound import LEVELS, read_wav, steps_of
from tclif_neuro.data.spec import BinsSpec, FoundSpec, SoundSpec, TaskSpec
from tclif_neuro.data.task import Labels
from tclif_neuro.errors import warn


def are_recordings(path: Path) -> bool:
    """Return whether `path` is a file of sound or events, or a folder that has some, but no arrays, in it."""
    if path.is_dir():
        return is_folder_of_recordings(path) or bool(_flat(path))
    return path.suffix.lower() in SOUND + EVENTS


def new_recordings(path: Path, spec: TaskSpec | None, classes: tuple[str, ...]) -> Samples:
    """The recordings at `path`: one file; a folder of files, without labels; or one laid out as for training.

    spec: the [task] of the network's recipe, with what its recordings had in common; None: it has none. Of a folder
    with parts, the test set is taken. Raises `DataError`.
    """
    if spec is None or spec.found is None:
        raise DataError(
            f"{path}: recordings; the network does not say how they become steps: it was not trained on recordings, or "
            "exported by an older version"
        )
    root, files = _chosen(path)
    sound = are_sound(root, files)
    if sound != (spec.found.rate is not None):
        here, there = ("sound", "events") if sound else ("events", "sound")
        raise DataError(f"{path}: holds {here}; the network was trained on {there}")
    x, lengths = (_sounds if sound else _events)(spec, spec.found, root, files)
    y = groups = None
    if all(file.label for file in files):
        y = numbered(str(path), np.array([file.label for file in files]), named(classes))
        groups = groups_of(root, files)
    names = tuple(file.name for file in files)
    test = is_folder_of_recordings(path) and all(file.part == "test" for file in files)
    return Samples(x, y, str(path), lengths, groups, names, test=test)


def _flat(folder: Path) -> list[Path]:
    if any(folder.glob("*.npy")):
        return []
    found = (file for file in folder.iterdir() if file.is_file() and file.name[0] not in "_.")
    return sorted(file for file in found if file.suffix.lower() in SOUND + EVENTS)


def _chosen(path: Path) -> tuple[Path, list[File]]:
    """The folder that the files are in, and they."""
    if not path.is_dir():
        return path.parent, [File(path.name, "", "test")]
    if not is_folder_of_recordings(path):
        return path, [File(file.name, "", "test") for file in _flat(path)]
    files = files_of(path)
    return path, [file for file in files if file.part == "test"] or files


def _sounds(spec: TaskSpec, found: FoundSpec, root: Path, files: list[File]) -> tuple[Dense, Labels | None]:
    sound = spec.sound or SoundSpec()
    steps = steps_of(sound, found.duration)
    rows = list(rows_of_sound(root, files, sound, steps, (found.rate or 0, "the training recordings had")))
    _say_dropped(root, sum(row.dropped for row in rows), sum(row.total for row in rows), "sound", found)
    x = Dense(np.stack([row.content for row in rows]).reshape(len(files), steps, sound.bands), scale=LEVELS)
    if not spec.lengths:
        return x, None
    seconds = (len(wave) / rate for wave, rate in (read_wav(root / file.name) for file in files))
    return x, sound_lengths(sound, seconds, steps)


def _events(spec: TaskSpec, found: FoundSpec, root: Path, files: list[File]) -> tuple[Dense, Labels | None]:
    asked = spec.bins or BinsSpec()
    bins = Bins(steps=asked.steps or STEPS, duration=found.duration, count=asked.count)
    read = [read_events(root / file.name) for file in files]
    x, dropped = [], 0
    for file, recording in zip(files, read, strict=True):
        pooled = Recording(recording.times, recording.channels // (asked.pool or 1))
        try:
            spikes, late = binned(pooled, found.inputs, bins)
        except DataError as error:
            raise DataError(f"{root / file.name}: {error} in the training recordings") from None
        x.append(spikes)
        dropped += late
    _say_dropped(root, dropped, sum(len(recording.times) for recording in read), "events", found)
    return Dense(np.stack(x)), event_lengths(read, bins) if spec.lengths else None


def _say_dropped(root: Path, dropped: int, total: int, what: str, found: FoundSpec) -> None:
    if dropped > CUT * total:
        share = f"{dropped / total:.0%} of the {what}"
        warn(f"{root}: {share} after {found.duration:g} s, the duration of the training recordings, is not used")
