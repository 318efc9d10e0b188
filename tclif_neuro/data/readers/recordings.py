"""A folder of recordings: sound (.wav) or events (.txt, .csv), a folder per class.

    words/yes/*.wav            words/train/yes/*.wav        words/testing_list.txt       a line per file: yes/17.wav
    words/no/*.wav       or    words/test/yes/*.wav   or    words/validation_list.txt    likewise
                               words/validation/...         words/groups.txt             yes/17.wav ann

A list may name recordings of classes that have no folder, as where some words of a data set were kept. Folders that
begin with _ or . are left out. Event files have a line per event, its time in seconds and its channel, with a comma, a
semicolon or spaces between; a first line of words and what follows a # are passed over.

So is Google's Speech Commands, "speech-commands": its lists are kept, and who spoke is the first part of a file's name
(Warden, Speech Commands: a dataset for limited-vocabulary speech recognition, 2018).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tclif_neuro.data.cache import Row, digest_of, files_identity, kept_rows
from tclif_neuro.data.events import Bins, Recording, kept_on_disk
from tclif_neuro.data.labels import some
from tclif_neuro.data.paths import data_folder, find
from tclif_neuro.data.readers.files import read_lines
from tclif_neuro.data.sequences import DataError, Dense, Sequences
from tclif_neuro.data.sound import LEVELS, log_mel, read_wav, steps_of
from tclif_neuro.data.spec import BinsSpec, FoundSpec, SoundSpec, TaskSpec
from tclif_neuro.data.split import TEST_FRACTION, hold_out
from tclif_neuro.data.task import Labels, Part, Task
from tclif_neuro.errors import warn

SOUND, EVENTS = (".wav",), (".txt", ".csv")
PARTS = ("train", "test", "validation")
FOLDERS = {"train": "train", "test": "test"} | dict.fromkeys(("validation", "valid", "val"), "validation")
LISTS = {"test": "testing_list.txt", "validation": "validation_list.txt"}
CHANNELS = 2**16  # of events, at most
STEPS = 100  # of events, where the recipe does not say
LONG = 3600.0  # seconds that a recording of events hardly lasts
CUT = 0.01  # the share of the sound that may be cut without a word
_SPEAKER = re.compile(r"(.+)_nohash_\d+")


@dataclass(frozen=True)
class File:
    """A recording: its path inside the folder, its class, its part."""

    name: str
    label: str
    part: str


def is_folder_of_recordings(path: Path) -> bool:
    """Return whether a folder has folders in it and no arrays."""
    return path.is_dir() and not any(path.glob("*.npy")) and bool(_folders(path))


def speech_commands(spec: TaskSpec, data_dir: Path | None) -> Task:
    """The task "speech-commands": its folders are in `spec.data`, by default `speech-commands` among the data sets."""
    root = find(spec.data or str(data_folder(data_dir) / "speech-commands"), spec.folder, data_dir)
    for name in LISTS.values():
        if not (root / name).is_file():
            raise DataError(
                f"{root / name}: no such file; it says which recordings are of the published split. Without it: "
                "name = the folder's path, and a split of your own"
            )
    sound = spec.sound or SoundSpec()
    return recordings(
        spec.model_copy(update={"sound": sound.model_copy(update={"duration": sound.duration or 1.0})}), root
    )


def recordings(spec: TaskSpec, root: Path) -> Task:
    """The task in a folder of recordings. Raises `DataError` that names the file."""
    files = files_of(root)
    sound = are_sound(root, files)
    if (unused := "bins" if sound and spec.bins else "sound" if not sound and spec.sound else None) is not None:
        raise DataError(f"{root}: holds {'sound' if sound else 'events'}; task.{unused} is not for it")
    return _task(spec, root, files, _sounds(spec, root, files) if sound else _events(spec, root, files))


def are_sound(root: Path, files: list[File]) -> bool:
    """Return whether the recordings are sound, or else events. Raises `DataError` where they are both."""
    kinds = {Path(file.name).suffix.lower() in SOUND for file in files}
    if len(kinds) > 1:
        raise DataError(f"{root}: holds both sound ({', '.join(SOUND)}) and events ({', '.join(EVENTS)})")
    return kinds.pop()


class _Read(NamedTuple):
    """All recordings in steps; lengths: [n], None where all are as long as the longest."""

    x: Sequences
    lengths: Labels | None
    found: FoundSpec


def _task(spec: TaskSpec, root: Path, files: list[File], read: _Read) -> Task:
    classes = tuple(sorted({file.label for file in files}))
    y = np.array([classes.index(file.label) for file in files], np.int64)
    whole = Part(x=read.x, y=y, lengths=read.lengths, groups=groups_of(root, files), source=str(root))
    part = np.array([file.part for file in files])
    parts = {k: whole.part(np.flatnonzero(part == k), f"{k} of {root}") for k in PARTS if (part == k).any()}
    if "train" not in parts:
        raise DataError(f"{root}: no recording is left for training")
    if "test" not in parts:
        kept = whole.part(np.flatnonzero(part == "train"), str(root))
        parts["train"], parts["test"] = hold_out(kept, TEST_FRACTION, spec.seed, "class", str(root))
    return Task(name=spec.name, classes=classes, kind="class", found=read.found, **parts)


def _folders(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir() and child.name[0] not in "_.")


def files_of(root: Path) -> list[File]:
    """All recordings, in order. Raises `DataError` if there are none, or a list names another."""
    top = _folders(root)
    parts = {folder: FOLDERS.get(folder.name.lower(), "") for folder in top}
    divided = all(parts.values()) and "train" in parts.values()
    labels = [(label, parts[folder]) for folder in top for label in _folders(folder)] if divided else []
    labels = labels or [(folder, "train") for folder in top]
    found = [
        File(path.relative_to(root).as_posix(), label.name, part)
        for label, part in labels
        for path in sorted(label.iterdir())
        if path.suffix.lower() in SOUND + EVENTS and path.name[0] not in "_."
    ]
    if not found:
        kinds = {path.suffix or "folders" for label, _ in labels for path in label.iterdir() if path.name[0] != "."}
        there = f"; there are {some(sorted(kinds))} in {labels[0][0].name}, ..." if kinds else ""
        raise DataError(
            f"{root}: no recordings: FOLDER/CLASS/*{', *'.join(SOUND + EVENTS)} expected, or .npy files{there}"
        )
    _say_unused(root, [label for label, _ in labels], found)
    return found if divided else _listed(root, found)


def _say_unused(root: Path, labels: list[Path], found: list[File]) -> None:
    """Say what stands in the classes' folders and is no recording of them, hidden files apart."""
    kinds = f"neither {', '.join(SOUND)} nor {', '.join(EVENTS)}"
    others = sum(path.name[0] != "." for label in labels for path in label.iterdir()) - len(found)
    if others:
        warn(f"{root}: {others} files or folders in the folders of its classes are {kinds}; not used")
    full = {(root / file.name).parent for file in found}
    empty = [label.relative_to(root).as_posix() for label in labels if label not in full]
    if empty:
        warn(f"{root}: no recordings right in {some(empty)}: no class of that name there")


def _listed(root: Path, files: list[File]) -> list[File]:
    """The same with the parts that the lists name; of a class without a folder nothing is used."""
    parts: dict[str, str] = {}
    known, labels = {file.name for file in files}, {file.label for file in files}
    absent: set[str] = set()
    for part, name in LISTS.items():
        for (recording,) in _lines(root / name, 1) if (root / name).exists() else []:
            label = recording.split("/")[0]
            if label not in labels and not (root / label).exists():
                absent.add(label)
                continue
            if recording not in known or parts.get(recording, part) != part:
                why = "in both lists" if recording in known else "not there"
                raise DataError(f"{root / name}: {recording} is {why}")
            parts[recording] = part
    if absent:
        warn(f"{root}: the lists also name recordings of {some(sorted(absent))}, which are no folders there; not used")
    return [File(file.name, file.label, parts.get(file.name, "train")) for file in files]


def groups_of(root: Path, files: list[File]) -> np.ndarray[tuple[int], np.dtype[np.str_]] | None:
    """Return who each recording is of: as groups.txt says, or as Speech Commands names its files; None: not known."""
    path = root / "groups.txt"
    if path.exists():
        named = {line[0]: line[1] for line in _lines(path, 2)}
        missing = next((file.name for file in files if file.name not in named), None)
        if missing is not None:
            raise DataError(f"{path}: does not say whose {missing} is")
        return np.array([named[file.name] for file in files])
    speakers = [_SPEAKER.fullmatch(Path(file.name).stem) for file in files]
    return np.array([match[1] for match in speakers if match]) if all(speakers) else None


def _lines(path: Path, words: int) -> Iterator[list[str]]:
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        if len(found := line.rsplit(maxsplit=words - 1) if words > 1 else [line.strip()]) != words:
            raise DataError(f"{path}, line {number}: a file and its group expected: {line[:60]!r}")
        yield found


def _sounds(spec: TaskSpec, root: Path, files: list[File]) -> _Read:
    sound = spec.sound or SoundSpec()
    measured = spec.lengths or sound.duration is None
    seconds = [len(wave) / rate for wave, rate in (read_wav(root / f.name) for f in files)] if measured else []
    duration = sound.duration or max(seconds)
    steps, rate = steps_of(sound, duration), read_wav(root / files[0].name)[1]
    identity = f"sound 1 {files_identity(root, [f.name for f in files])} {sound!r} {steps}"
    rows = rows_of_sound(root, files, sound, steps, (rate, f"{files[0].name} has"))
    words, cut = kept_rows(rows, (len(files), steps * sound.bands), identity, "sound")
    if cut > CUT:
        warn(f"{root}: {cut:.0%} of the sound comes after {duration:g} s and is cut (task.sound.duration)")
    return _Read(
        Dense(words.reshape(len(files), steps, sound.bands), scale=LEVELS),
        sound_lengths(sound, seconds, steps) if spec.lengths else None,
        FoundSpec(duration=duration, inputs=sound.bands, rate=rate),
    )


def sound_lengths(sound: SoundSpec, seconds: Iterable[float], steps: int) -> Labels:
    """Return how many of its `steps` each recording fills."""
    return np.array([min(steps, steps_of(sound, each)) for each in seconds], np.int64)


def rows_of_sound(
    root: Path, files: list[File], spec: SoundSpec, steps: int, expected: tuple[int, str]
) -> Iterator[Row]:
    """The bands of each file. expected: the samples per second of all, and whose they are. Raises `DataError`."""
    for file in files:
        sound, rate = read_wav(root / file.name)
        if rate != expected[0]:
            raise DataError(f"{root / file.name}: {rate} samples per second; {expected[1]} {expected[0]}: resample it")
        content = log_mel(sound, rate, spec, steps).reshape(-1)
        yield Row(content, max(0, len(sound) - round(steps * spec.step * rate)), len(sound))


def _events(spec: TaskSpec, root: Path, files: list[File]) -> _Read:
    asked = spec.bins or BinsSpec()
    read = [read_events(root / file.name) for file in files]
    longest = max(float(recording.times.max(initial=0)) for recording in read)
    if longest > LONG:
        warn(f"{root}: its last event is at {longest:g}; times are in seconds, are these milli- or microseconds?")
    pool = asked.pool or 1
    duration = asked.duration or max(1e-6, longest * (1 + 1e-9))  # the last event is in the last step
    bins = Bins(steps=asked.steps or STEPS, duration=duration, count=asked.count)
    channels = 1 + max(int(recording.channels.max(initial=0)) for recording in read) // pool
    identity = f"events {files_identity(root, [f.name for f in files])} {digest_of(files)} {pool}"
    pooled = (Recording(recording.times, recording.channels // pool) for recording in read)
    return _Read(
        kept_on_disk(pooled, (len(files), channels), bins, identity, str(root)),
        event_lengths(read, bins) if spec.lengths else None,
        FoundSpec(duration=duration, inputs=channels),
    )


def event_lengths(read: Iterable[Recording], bins: Bins) -> Labels:
    """Return the number of steps until each recording's last event; at least one."""
    last = np.array([recording.times.max(initial=0) for recording in read])
    return np.minimum(np.floor(last * (bins.steps / bins.duration)).astype(np.int64) + 1, bins.steps)


def read_events(path: Path) -> Recording:
    """The events in a text file. Raises `DataError` that names file and line."""
    lines = read_lines(path)
    if lines and not _is_number(re.split(r"[\s,;]", lines[0].strip())[0]):
        lines[0] = "#"
    separator = next((sign for sign in ",;" if any(sign in line for line in lines)), None)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")
            events = np.loadtxt(lines, delimiter=separator, ndmin=2, comments="#")
        if events.size and events.shape[1] != 2:
            raise ValueError(f"{events.shape[1]} numbers per line")
    except ValueError as error:
        raise DataError(f"{path}: a time in seconds and a channel per line expected: {error}") from error
    times, channels = events.reshape(-1, 2).T
    possible = np.isfinite(times) & (times >= 0) & np.isin(channels, np.arange(CHANNELS))
    if not possible.all():
        at = int(np.argmin(possible))
        raise DataError(
            f"{path}: event {at}: time {times[at]:g}, channel {channels[at]:g}: "
            f"a time from 0 on and a whole channel in [0, {CHANNELS}) expected"
        )
    return Recording(times, channels.astype(np.int64))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
