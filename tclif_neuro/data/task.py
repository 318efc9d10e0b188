"""The data a model is trained on: sequences and the target of each, checked once when the object is made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tclif_neuro.data.sequences import DataError, Dense, Floats, Indices, Sequences
from tclif_neuro.data.spec import FoundSpec

Labels = npt.NDArray[np.int64]
Targets = npt.NDArray[Any]

# A class per sample, y [n]; a class per step, y [n, T]; real values at the end, y [n, K], or per step, y [n, T, K].
Kind = Literal["class", "class per step", "values"]
UNLABELLED = -100  # the class of a step that has none, as in torch's losses; of values it is NaN


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Some samples of a task.

    x: [n, T, M]; an array is taken too. y: their targets, see `Kind`. lengths: [n], the steps of a sample that are its
    own, the rest is padding; None: all. groups: [n], who or what each sample is of. source: where they are from.
    """

    x: Sequences
    y: Targets
    lengths: Labels | None = None
    groups: npt.NDArray[Any] | None = None
    source: str = ""

    def __len__(self) -> int:
        return len(self.x)

    def part(self, samples: Indices, source: str) -> Part:
        """The samples of these indices alone."""
        kept = {k: v[samples] for k in ("y", "lengths", "groups") if (v := getattr(self, k)) is not None}
        return replace(self, x=self.x.part(samples), source=source, **kept)

    def targets(self) -> Targets:
        """Return the outputs expected of a model, step by step where a sample's own end or every step counts.

        `y` itself; but of targets per sample with lengths, [n, T] or [n, T, K], the target at the sample's last own
        step, and `UNLABELLED` or NaN elsewhere.
        """
        if not self.at_the_end:
            return self.y
        nothing = UNLABELLED if self.y.ndim == 1 else np.nan
        found = np.full((*self.x.shape[:2], *self.y.shape[1:]), nothing, self.y.dtype)
        assert self.lengths is not None
        found[np.arange(len(self)), self.lengths - 1] = self.y
        return found

    @property
    def at_the_end(self) -> bool:
        """True if `targets` are of each sample's last own step alone."""
        return self.lengths is not None and self.y.ndim == (1 if self.y.dtype.kind in "iu" else 2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """Sequences of T steps of M inputs, sample first, and what each is to become.

    train, test, validation: its parts; None: no validation set of its own. classes: the name of each class, or of each
    output where the targets are real values. kind: of the targets. found: of recordings, what new ones need to become
    the same steps. Raises `DataError` where these do not fit together.
    """

    name: str
    train: Part
    test: Part
    classes: tuple[str, ...]
    validation: Part | None = None
    kind: Kind = "class"
    found: FoundSpec | None = None

    def __post_init__(self) -> None:
        for key, part in self.parts():
            x = part.x
            if not isinstance(x, Sequences):
                x = Dense(check_sequences(f"{self.name}: x_{key}", x))
            y = check_targets(f"{self.name}: y_{key}", part.y, x.shape, self.kind, len(self.classes))
            lengths = check_lengths(f"{self.name}: lengths_{key}", part.lengths, x.shape)
            check_groups(f"{self.name}: groups_{key}", part.groups, len(x))
            object.__setattr__(self, key, replace(part, x=x, y=y, lengths=lengths))
        for key, part in self.parts():
            if part.x.shape[1:] != self.train.x.shape[1:]:
                raise DataError(
                    f"{self.name}: a training sample is [T, M] = {list(self.train.x.shape[1:])}, "
                    f"a {key} sample {list(part.x.shape[1:])}"
                )

    def parts(self) -> Iterator[tuple[str, Part]]:
        """The parts that there are, by name."""
        yield from (("train", self.train), ("test", self.test))
        if self.validation is not None:
            yield "validation", self.validation

    @property
    def x_train(self) -> Floats:
        """The training samples, all in memory: [n, T, M] float32."""
        return self.train.x.all()

    @property
    def y_train(self) -> Targets:
        """Their targets."""
        return self.train.y

    @property
    def x_test(self) -> Floats:
        """The test samples, all in memory: [n, T, M] float32."""
        return self.test.x.all()

    @property
    def y_test(self) -> Targets:
        """Their targets."""
        return self.test.y

    @property
    def steps(self) -> int:
        """T, the steps of a sample."""
        return self.train.x.shape[1]

    @property
    def inputs(self) -> int:
        """M, the inputs of a step."""
        return self.train.x.shape[2]

    def digest(self) -> str:
        """Identifies the data: equal only for the same numbers in the same split."""
        digest = hashlib.blake2b(digest_size=16)
        for _, part in self.parts():
            part.x.identify(digest)
            for array in (part.y, part.lengths):
                if array is not None:
                    digest.update(repr(array.shape).encode())
                    digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def check_sequences(what: str, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`x` [n, T, M] as float32, or as the small type that float32 holds exactly (bool, int8, uint8, int16, float16).

    Raises `DataError` naming `what` on another shape or type, no samples, NaN or infinity.
    """
    if x.dtype.kind not in "buif":
        raise DataError(f"{what}: numbers expected, got {x.dtype}")
    if x.ndim != 3:
        raise DataError(f"{what}: [samples, steps, inputs] expected, got shape {list(x.shape)}")
    if 0 in x.shape:
        raise DataError(f"{what}: is empty, shape {list(x.shape)}")
    if np.can_cast(x.dtype, np.float32) and x.dtype.kind != "f":
        return x
    if x.dtype.itemsize > 4 or x.dtype.kind != "f":
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is reported below
            x = x.astype(np.float32)
    each = max(1, 2**24 // (x.shape[1] * x.shape[2]))
    for start in range(0, len(x), each):
        finite = np.isfinite(x[start : start + each])
        if not finite.all():
            sample, step, channel = (int(i) for i in np.argwhere(~finite)[0])
            value = x[start + sample, step, channel]
            raise DataError(f"{what}: {value} at sample {start + sample}, step {step}, input {channel}")
    return x


def check_targets(what: str, y: Targets, shape: tuple[int, int, int], kind: Kind, outputs: int) -> Targets:
    """Targets of samples of that `shape` [n, T, M], as int64 or float32. Raises `DataError` naming `what`."""
    n, steps, _ = shape
    if kind == "values":
        if y.dtype.kind != "f" or y.shape not in ((n, outputs), (n, steps, outputs)):
            expected = f"[{n}, {outputs}] or [{n}, {steps}, {outputs}]"
            raise DataError(f"{what}: real targets {expected} expected, got {y.dtype} {list(y.shape)}")
        if np.isinf(y).any():
            raise DataError(f"{what}: has infinite targets; NaN is for a step without one")
        return y.astype(np.float32, copy=False)
    if kind == "class":
        return check_labels(what, y, n, outputs)
    if y.dtype.kind not in "ui" or y.shape != (n, steps):
        raise DataError(f"{what}: a label per step expected, integers [{n}, {steps}], got {y.dtype} {list(y.shape)}")
    labels = y.astype(np.int64, copy=False)
    _check_range(what, labels[labels != UNLABELLED], outputs)
    return labels


def check_labels(what: str, y: npt.NDArray[Any], samples: int, classes: int) -> Labels:
    """`y` as int64 [samples]; raises `DataError` naming `what` unless every label is in [0, classes)."""
    if y.dtype.kind not in "ui":
        raise DataError(f"{what}: integers expected, got {y.dtype}")
    if y.shape != (samples,):
        raise DataError(f"{what}: one label per sample expected, shape [{samples}], got {list(y.shape)}")
    _check_range(what, y, classes)
    return y.astype(np.int64, copy=False)


def _check_range(what: str, y: npt.NDArray[Any], classes: int) -> None:
    outside = np.flatnonzero((y < 0) | (y >= classes))
    if outside.size:
        at = int(outside[0])
        raise DataError(f"{what}: label {y[at]} of sample {at} is outside [0, {classes - 1}], the {classes} classes")


def check_lengths(what: str, lengths: npt.NDArray[Any] | None, shape: tuple[int, int, int]) -> Labels | None:
    """Return how many steps of each sample are its own, as int64 [n] in [1, T]. Raises `DataError` naming `what`."""
    if lengths is None:
        return None
    n, steps, _ = shape
    if lengths.dtype.kind not in "ui" or lengths.shape != (n,):
        raise DataError(f"{what}: integers [{n}] expected, got {lengths.dtype} {list(lengths.shape)}")
    outside = np.flatnonzero((lengths < 1) | (lengths > steps))
    if outside.size:
        at = int(outside[0])
        raise DataError(f"{what}: {lengths[at]} of sample {at} is outside [1, {steps}], the steps of a sample")
    return lengths.astype(np.int64, copy=False)


def check_groups(what: str, groups: npt.NDArray[Any] | None, samples: int) -> None:
    """Raises `DataError` naming `what` unless there is one group per sample, or none at all."""
    if groups is not None and groups.shape != (samples,):
        raise DataError(f"{what}: one group per sample expected, [{samples}], got {list(groups.shape)}")
