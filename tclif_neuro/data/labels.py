"""From labels as they stand in a file to classes by name, or to steps and values; what is odd about them is said."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tclif_neuro.data.sequences import DataError
from tclif_neuro.data.task import UNLABELLED, Kind, Targets
from tclif_neuro.errors import warn

Array = npt.NDArray[Any]
MAX_CLASSES = 10_000  # an output each; more are values that were meant for a regression
SHOWN = 5  # examples in a message


def kind_of(what: str, y: Array, steps: int) -> Kind:
    """Return the kind of a file's targets, by their type and shape alone. Raises `DataError` if it is not known.

    [n] integers or text: a class per sample. [n, T] integers, or [n, T, K] of 0 and 1: a class per step.
    [n, K] or [n, T, K] of real numbers: values.
    """
    discrete = y.dtype.kind in "buiUS"
    if y.ndim == 1 and discrete:
        return "class"
    if discrete and (y.ndim == 2 or y.ndim == 3) and y.shape[1] == steps:
        return "class per step"
    if y.dtype.kind == "f" and y.ndim in (2, 3):
        return "values"
    if y.dtype.kind == "f" and y.ndim == 1:
        raise DataError(
            f"{what}: {y.dtype} {list(y.shape)}: integers or text are classes, y.astype(int); "
            "real numbers are targets, [samples, outputs], y[:, None]"
        )
    raise DataError(
        f"{what}: {y.dtype} {list(y.shape)}: integers or text are classes, [samples] or [samples, {steps} steps]; real "
        f"numbers (y.astype(float)) are targets, [samples, outputs] or [samples, {steps} steps, outputs]"
    )


def from_one_hot(what: str, y: Array) -> Array:
    """[n, T, K] of 0 and 1 as integers [n, T]; a step without a 1 is unlabelled. Other arrays as they are."""
    if y.ndim != 3:
        return y
    if y.dtype.kind not in "bui" or y.min() < 0 or y.max() > 1 or y.sum(-1).max() > 1:
        raise DataError(f"{what}: one 1 among zeros per step expected in [n, T, K], got others")
    return np.where(y.any(-1), y.argmax(-1), UNLABELLED).astype(np.int64)


class Classes(NamedTuple):
    """names: of the classes, in the order of a model's outputs. numbers: of each label, as text, its class."""

    names: tuple[str, ...]
    numbers: dict[str, int]


def classes_of(what: str, labels: list[Array], names: Array | None, outputs: int = 0) -> Classes:
    """The classes in several arrays of labels: those that occur, sorted.

    names: what the file says they are called: of integers, name i is of label i; of text, the order. outputs: how many
    there are if the file's shape says so. A gap, or a start at another number than 0, is a warning. Raises `DataError`.
    """
    found = np.unique(np.concatenate([np.unique(y[~_unlabelled(y)]) for y in labels]))
    if not found.size:
        raise DataError(f"{what}: no step has a label")
    if found.size > MAX_CLASSES:
        raise DataError(f"{what}: {found.size} different labels; at most {MAX_CLASSES} classes")
    given = () if names is None else texts(names)
    if len(set(given)) != len(given):
        raise DataError(f"{what}: a name occurs twice among the classes {some(given)}")
    if found.dtype.kind in "US":
        return _of_text(what, tuple(map(_text, found)), given)
    if given or outputs:
        return _of_positions(what, found, given or tuple(map(str, range(outputs))))
    if not np.array_equal(found, np.arange(len(found))):
        odd = "start at" if int(found[-1]) - int(found[0]) + 1 == len(found) else "have gaps, from"
        warn(f"{what}: the labels {odd} {found[0]}; the {len(found)} classes are those that occur: {some(found)}")
    return named(tuple(map(str, found.tolist())))


def named(names: tuple[str, ...]) -> Classes:
    """Classes whose labels are their names."""
    return Classes(names, {name: i for i, name in enumerate(names)})


def positions(names: tuple[str, ...]) -> Classes:
    """Classes whose labels are 0, 1, ..., whatever they are called."""
    return Classes(names, {str(i): i for i in range(len(names))})


def numbered(what: str, labels: Array, classes: Classes) -> Targets:
    """Labels as the numbers of their classes, int64; unlabelled steps stay so. Raises `DataError` for others."""
    unlabelled = _unlabelled(labels)
    values, where = np.unique(labels, return_inverse=True)
    known = np.array([classes.numbers.get(_text(v), -1) for v in values], np.int64)[where.reshape(labels.shape)]
    wrong = np.argwhere((known < 0) & ~unlabelled)
    if wrong.size:
        at = tuple(int(i) for i in wrong[0])
        label = _text(labels[at])
        raise DataError(f"{what}: label {label!r} of sample {at[0]} is none of {some(tuple(classes.numbers))}")
    return np.where(unlabelled, UNLABELLED, known)


def by_name(what: str, labels: Array, names: Array) -> Array:
    """Labels that are the numbers of `names` as these names, "" where there is none; text as it is."""
    if labels.dtype.kind in "US":
        return labels
    known = texts(names)
    _check_positions(what, np.unique(labels[~_unlabelled(labels)]), known)
    return np.array([*known, ""])[np.where(_unlabelled(labels), len(known), labels)]


def texts(names: Array) -> tuple[str, ...]:
    """The names in an array, as text."""
    return tuple(map(_text, names.ravel()))


def _of_positions(what: str, found: Array, names: tuple[str, ...]) -> Classes:
    _check_positions(what, found, names)
    return positions(names)


def _check_positions(what: str, found: Array, names: tuple[str, ...]) -> None:
    if found.size and (found[0] < 0 or found[-1] >= len(names)):
        at = found[0] if found[0] < 0 else found[-1]
        raise DataError(f"{what}: label {at} has no name; there are {len(names)} classes, 0 to {len(names) - 1}")


def _of_text(what: str, found: tuple[str, ...], given: tuple[str, ...]) -> Classes:
    strange = [name for name in found if name not in given] if given else []
    if strange:
        raise DataError(f"{what}: label {strange[0]!r} is none of the file's classes {some(given)}")
    return named(given or found)


def _unlabelled(y: Array) -> npt.NDArray[np.bool_]:
    """Steps without a label: negative numbers, empty text. Every sample has one."""
    if y.ndim == 1:
        return np.zeros(y.shape, bool)
    return y == "" if y.dtype.kind == "U" else (y == b"" if y.dtype.kind == "S" else y < 0)


def _text(label: Any) -> str:
    return label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)


def some(values: Any) -> str:
    """The first few of them."""
    shown = ", ".join(map(_text, values[:SHOWN]))
    return f"{shown}, ..." if len(values) > SHOWN else shown
