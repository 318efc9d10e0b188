"""The user's own data as a task: an .npz or HDF5 file, or a folder of .npy files, with arrays of known names.

x [n, T, M], y      the samples and their targets (or x_train, y_train), see `labels.kind_of`
x_test, y_test      the test set; so x_validation, y_validation
groups [n]          who or what a sample is of: a split never divides a group
lengths [n]         the steps of a sample that are its own; or mask [n, T], 1 where a step counts
classes             names
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.data.formats import arrays_of
from tclif_neuro.data.labels import (
    Classes,
    by_name,
    classes_of,
    from_one_hot,
    kind_of,
    named,
    numbered,
    positions,
    some,
    texts,
)
from tclif_neuro.data.sequences import DataError, Dense, Floats, Sequences
from tclif_neuro.data.split import TEST_FRACTION, hold_out
from tclif_neuro.data.task import (
    UNLABELLED,
    Kind,
    Labels,
    Part,
    Targets,
    Task,
    check_groups,
    check_lengths,
    check_sequences,
)
from tclif_neuro.data.toml import nearest

Array = npt.NDArray[Any]
Arrays = dict[str, Array]

FIELDS = ("x", "y", "groups", "lengths", "mask")
PARTS = ("train", "test", "validation")
NAMES = (*FIELDS, *(f"{field}_{part}" for part in PARTS for field in FIELDS), "classes")


def own_task(name: str, path: Path, seed: int, test: Path | None = None) -> Task:
    """The task in a file or folder. test: another whose samples are the test set. Raises `DataError`."""
    arrays = read(path)
    given = {part: fields for part in PARTS if (fields := _fields(path, arrays, part))}
    if test is not None:
        if "test" in given:
            raise DataError(f"{path}: has a test set of its own, and [task] test = {str(test)!r} names another")
        others = read(test)
        _check_names(path, arrays.get("classes"), test, others)
        given["test"] = _fields(test, others, "test") or _fields(test, others, "train")
    if "train" not in given:
        raise DataError(f"{path}: has no array 'x'; it has {sorted(arrays)}")
    for part, fields in given.items():
        if "y" not in fields:
            raise DataError(f"{path}: has no array 'y{_of(part)}'; a task needs what its samples are to become")
    kind, classes = _encode_targets(str(path), given, arrays.get("classes"))
    sources = {"train": str(path), "test": f"x_test of {path}" if test is None else str(test)}
    parts = {k: _part(f"{path}: {{}}{_of(k)}", v, kind, sources.get(k, f"x_{k} of {path}")) for k, v in given.items()}
    if "test" not in parts:
        parts["train"], parts["test"] = hold_out(parts["train"], TEST_FRACTION, seed, kind, str(path))
    return Task(
        name=name,
        classes=classes.names,
        kind=kind,
        train=parts["train"],
        test=parts["test"],
        validation=parts.get("validation"),
    )


def _check_names(path: Path, names: Array | None, test: Path, others: Arrays) -> None:
    """Raises `DataError` where the same numbers are other classes in the two files."""
    theirs, labels = others.get("classes"), others.get("y", others.get("y_test"))
    if theirs is None or labels is None or labels.dtype.kind in "US":
        return
    if names is None or texts(names) != texts(theirs):
        ours = "none" if names is None else some(texts(names))
        raise DataError(f"{test}: its classes are {some(texts(theirs))}; those of {path}: {ours}; number them alike")


def read(path: Path) -> Arrays:
    """The arrays of a file or folder; one of an unknown name is an error, as nothing would come of it."""
    arrays = arrays_of(path)
    if not any(name in arrays for name in ("x", *(f"x_{part}" for part in PARTS))):
        raise DataError(f"{path}: has no array 'x'; it has {sorted(arrays)}")
    for name in arrays:
        if name not in NAMES:
            known = f"{', '.join(FIELDS)}, all also with _test or _validation, and classes"
            raise DataError(
                f"{path}: has an array {name!r}, which nothing uses;{nearest(name, NAMES)} known are {known}"
            )
    return arrays


def _fields(path: Path, arrays: Arrays, part: str) -> Arrays:
    """The arrays of a part by field; {} if there are none."""
    found: Arrays = {}
    for field in FIELDS:
        known = (field, f"{field}_train") if part == "train" else (f"{field}_{part}",)
        keys = [key for key in known if key in arrays]
        if len(keys) > 1:
            raise DataError(f"{path}: has both {keys[0]!r} and {keys[1]!r}; leave one out")
        if keys:
            found[field] = arrays[keys[0]]
    if found and "x" not in found:
        raise DataError(f"{path}: has {next(iter(found))}{_of(part)}, but no array 'x{_of(part)}'")
    return found


def _of(part: str) -> str:
    return "" if part == "train" else f"_{part}"


def _encode_targets(what: str, given: dict[str, Arrays], names: Array | None) -> tuple[Kind, Classes]:
    """Turn the `y` of all parts into numbers of classes in place, or leave them as values."""
    for key, fields in given.items():
        x = fields["x"]
        check_sequences(f"{what}: x{_of(key)}", x[:1] if x.ndim == 3 else x)  # its steps are looked at below
    kinds = {kind_of(f"{what}: y{_of(k)}", v["y"], v["x"].shape[1]) for k, v in given.items()}
    if len(kinds) > 1:
        raise DataError(f"{what}: the targets of its parts are of different kinds: {', '.join(sorted(kinds))}")
    kind = kinds.pop()
    outputs = given["train"]["y"].shape[-1] if given["train"]["y"].ndim == 3 or kind == "values" else 0
    if kind == "values":
        count = outputs if names is None else names.size
        return kind, positions(tuple(map(str, range(count))) if names is None else texts(names))
    labels = {key: from_one_hot(f"{what}: y{_of(key)}", fields["y"]) for key, fields in given.items()}
    if len({array.dtype.kind in "US" for array in labels.values()}) > 1:
        if names is None:
            raise DataError(f"{what}: labels are text in one part and numbers in another; give it an array classes")
        labels = {key: by_name(f"{what}: y{_of(key)}", array, names) for key, array in labels.items()}
    classes = classes_of(f"{what}: y", list(labels.values()), names, outputs)
    for key, fields in given.items():
        fields["y"] = numbered(f"{what}: y{_of(key)}", labels[key], classes)
    return kind, classes


def _part(what: str, fields: Arrays, kind: Kind, source: str) -> Part:
    """what: with a place for the field's name."""
    x = check_sequences(what.format("x"), fields["x"])
    for key, array in fields.items():
        if len(array) != len(x):
            hint = f"; x is [samples, steps, inputs], here {list(x.shape)}" if len(array) in x.shape[1:] else ""
            raise DataError(f"{what.format(key)}: {len(array)} for {len(x)} samples{hint}")
    check_groups(what.format("groups"), fields.get("groups"), len(x))
    lengths, y = fields.get("lengths"), fields["y"]
    if "mask" in fields:
        if lengths is not None:
            raise DataError(f"{what.format('mask')}: and lengths too; leave one out")
        lengths, y = _masked(what.format("mask"), fields["mask"], y, x.shape[1], kind)
    lengths = check_lengths(what.format("lengths"), lengths, (len(x), x.shape[1], x.shape[2]))
    if lengths is not None and y.ndim == (2 if kind == "class per step" else 3):
        y = _until(y, lengths, x.shape[1])
    return Part(x=Dense(x), y=y, lengths=lengths, groups=fields.get("groups"), source=source)


def _masked(what: str, mask: Array, y: Array, steps: int, kind: Kind) -> tuple[Labels | None, Array]:
    """A mask as lengths, if targets are per sample; otherwise it takes the targets of the other steps away."""
    if mask.shape != (len(y), steps) or not np.isin(mask, (0, 1)).all():
        raise DataError(f"{what}: 0 and 1 of shape [{len(y)}, {steps}] expected, got {mask.dtype} {list(mask.shape)}")
    on = mask.astype(bool)
    if kind == "class per step":
        return None, np.where(on, y, UNLABELLED)
    if y.ndim == 3:
        return None, np.where(on[..., None], y, np.nan)
    lengths = on.sum(1)
    if not (on == (np.arange(steps) < lengths[:, None])).all():
        raise DataError(f"{what}: with one target per sample, its steps must be its first ones, then none")
    return lengths.astype(np.int64), y


def _until(y: Array, lengths: Array, steps: int) -> Array:
    """Targets per step with none in the padding."""
    own = np.arange(steps) < lengths[:, None]
    return np.where(own, y, UNLABELLED) if y.ndim == 2 else np.where(own[..., None], y, np.nan)


class Samples:
    """Sequences to run a network on: x [n, T, M] float32, and where they are from.

    y: their targets if they are known, as of a task. lengths: [n], the steps that are a sample's own; None: all.
    groups: [n], who or what each sample is of. names: of the files that the samples are, if each is one; else ().
    test: whether they are the part of their file that it calls its test set.
    """

    def __init__(
        self,
        x: Sequences,
        y: Targets | None,
        source: str,
        lengths: Labels | None = None,
        groups: Array | None = None,
        names: tuple[str, ...] = (),
        *,
        test: bool = False,
    ) -> None:
        self.sequences, self.y, self.source, self.lengths, self.groups = x, y, source, lengths, groups
        self.names, self.test = names, test

    @property
    def x(self) -> Floats:
        """All samples in memory, [n, T, M] float32."""
        return self.sequences.all()


def load_samples(
    path: str | Path, *, inputs: int | None = None, classes: int | tuple[str, ...] | None = None
) -> Samples:
    """The samples of an own file: its test set if it has one, else all; with their targets if they are there.

    inputs: how many the network has (None: any). classes: how many, or their names (None: any integers). Raises
    `DataError` on an empty file, other shapes or types, NaN or infinity, or a label that is none of the classes.
    """
    path = Path(path).expanduser()
    arrays = read(path)
    part = "test" if "x_test" in arrays else "train"
    fields = _fields(path, arrays, part)
    if not fields:
        raise DataError(f"{path}: has no array 'x' or 'x_test'; it has {sorted(arrays)}")
    x = check_sequences(f"{path}: x", fields["x"])
    if inputs is not None and x.shape[2] != inputs:
        raise DataError(f"{path}: x has {x.shape[2]} inputs per step, the network {inputs}")
    source = f"x_test of {path}" if part == "test" else str(path)
    kind: Kind = "class"
    if "y" in fields:
        if fields["y"].shape[:1] != (len(x),):
            got = list(fields["y"].shape)
            raise DataError(f"{path}: y: one label per sample expected, shape [{len(x)}], got {got}")
        kind = kind_of(f"{path}: y", fields["y"], x.shape[1])
        fields["y"] = _known_targets(f"{path}: y", fields["y"], kind, classes, arrays.get("classes"))
    placeholder = {"y": np.zeros(len(x), np.int64)}
    found = _part(f"{path}: {{}}", placeholder | fields, kind, source)
    known = found.y if "y" in fields else None
    return Samples(found.x, known, source, found.lengths, found.groups, test=part == "test")


def _known_targets(
    what: str, y: Array, kind: Kind, classes: int | tuple[str, ...] | None, names: Array | None
) -> Targets:
    """Targets of a file as numbers of the network's classes, or as its outputs' values."""
    if kind == "values":
        outputs = classes if isinstance(classes, int) else y.shape[-1] if classes is None else len(classes)
        if y.shape[-1] != outputs:
            raise DataError(f"{what}: {y.shape[-1]} values, the network has {outputs} outputs")
        return y.astype(np.float32)
    labels = from_one_hot(what, y)
    if isinstance(classes, tuple) and names is not None and set(texts(names)) & set(classes):
        labels = by_name(what, labels, names)
    return numbered(what, labels, _known(what, labels, classes, names))


def _known(what: str, y: Array, classes: int | tuple[str, ...] | None, names: Array | None) -> Classes:
    """The network's classes, as the labels of the file call them."""
    if classes is None:
        return classes_of(what, [y], names)
    if isinstance(classes, int):
        return positions(tuple(map(str, range(classes))))
    are_names = y.dtype.kind in "US" or all(name.removeprefix("-").isdigit() for name in classes)
    return named(classes) if are_names else positions(classes)
