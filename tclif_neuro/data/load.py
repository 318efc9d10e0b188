"""The tasks by name."""

from __future__ import annotations

import difflib
from pathlib import Path

from tclif_neuro.data.digits import digits_pixels, digits_rows
from tclif_neuro.data.formats import SUFFIXES, is_path
from tclif_neuro.data.mnist import mnist_permuted, mnist_permuted_rows, mnist_pixels, mnist_rows
from tclif_neuro.data.own import own_task
from tclif_neuro.data.paths import find
from tclif_neuro.data.readers.dvs_gesture import dvs_gesture
from tclif_neuro.data.readers.ecg import ecg
from tclif_neuro.data.readers.heidelberg import heidelberg
from tclif_neuro.data.readers.new_recordings import are_recordings
from tclif_neuro.data.readers.nmnist import nmnist
from tclif_neuro.data.readers.recordings import EVENTS, is_folder_of_recordings, recordings, speech_commands
from tclif_neuro.data.sequences import DataError
from tclif_neuro.data.spec import TaskSpec
from tclif_neuro.data.task import Task

_DIGITS = {"digits-rows": digits_rows, "digits-pixels": digits_pixels}
_MNIST = {
    "smnist-rows": mnist_rows,
    "smnist": mnist_pixels,
    "psmnist": mnist_permuted,
    "psmnist-rows": mnist_permuted_rows,
}
_EVENTS = {"nmnist": nmnist, "shd": heidelberg, "ssc": heidelberg, "dvs-gesture": dvs_gesture}
_FILES = {**_EVENTS, "speech-commands": speech_commands, "ecg": ecg}
TASKS = (*_DIGITS, *_MNIST, *_FILES)


def load_task(task: str | TaskSpec, seed: int = 0, data_dir: str | Path | None = None) -> Task:
    """The task of that name, or one made of the user's own file.

    task: one of `TASKS`, or the path of an own file or folder (see `data.own`), of which a fifth becomes the test set
    if it has none; or the [task] of a recipe, which has a seed of its own and may have a code. seed: of the split
    (digits, own files) or of the permutation (psmnist and its rows). data_dir: where MNIST is, see `load_mnist`, and
    one of the places where own files are looked for. Raises `DataError`.
    """
    spec = TaskSpec(name=task, seed=seed) if isinstance(task, str) else task
    plain = _plain_task(spec, None if data_dir is None else Path(data_dir))
    if spec.encoding is None:
        return plain
    from tclif_neuro.data.encode import encode_task  # imports torch

    return encode_task(plain, spec)


def _plain_task(spec: TaskSpec, data_dir: Path | None) -> Task:
    name = spec.name
    if is_path(name):
        return _own(spec, find(name, spec.folder, data_dir), data_dir)
    if name not in TASKS:
        raise _unknown(spec, data_dir)
    if spec.test is not None:
        raise DataError(f"task {name!r}: has a test set of its own; test = {spec.test!r} is for own files")
    if spec.bins is not None and name not in _EVENTS:
        raise DataError(f"task {name!r}: bins are for {', '.join(_EVENTS)} and folders of events")
    if spec.sound is not None and name != "speech-commands":
        raise DataError(f"task {name!r}: sound is for speech-commands and folders of sound")
    if spec.lengths and name != "speech-commands":
        raise DataError(f"task {name!r}: lengths is for speech-commands and folders of recordings")
    if name in _FILES:
        return _FILES[name](spec, data_dir)
    if spec.data is not None:
        raise DataError(f"task {name!r}: data is for {', '.join(_FILES)}")
    if name in _DIGITS:
        return _DIGITS[name](name, spec.seed)
    return _MNIST[name](name, spec.seed, data_dir)


def _unknown(spec: TaskSpec, data_dir: Path | None) -> DataError:
    name = spec.name
    near = difflib.get_close_matches(name, TASKS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    try:
        if find(name, spec.folder, data_dir).is_dir():
            hint = f"the folder of that name is './{name}'. "
    except DataError:
        pass
    return DataError(
        f"task {name!r}: {hint}There are {', '.join(TASKS)}, or the path of an .npz or .h5 file or a folder (with a /)"
    )


def _own(spec: TaskSpec, path: Path, data_dir: Path | None) -> Task:
    """The task in the user's own file or folder."""
    if is_folder_of_recordings(path):
        if spec.test is not None:
            raise DataError(
                f"{path}: test = {spec.test!r} is for files; recordings have folders train and test, or lists"
            )
        return recordings(spec, path)
    if path.is_file() and path.suffix.lower() not in SUFFIXES:
        kinds = f"a {', '.join(SUFFIXES)} file, a folder of .npy files, or a folder of recordings, a folder per class"
        table = "; docs/your-data.md makes one of a table" if path.suffix.lower() in EVENTS else ""
        raise DataError(f"{path}: a task of one's own is {kinds}{table}")
    if are_recordings(path):
        raise DataError(f"{path}: recordings without a folder per class: FOLDER/CLASS/* expected")
    for key in ("bins", "sound", "lengths"):
        if getattr(spec, key):
            raise DataError(f"{path}: task.{key} is for folders of recordings, and this has steps already")
    test = None if spec.test is None else find(spec.test, spec.folder, data_dir)
    return own_task(spec.name, path, spec.seed, test)
