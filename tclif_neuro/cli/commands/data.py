"""`tclif data`: what is in a file or a named task, and what a recipe makes of it."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tclif_neuro.data import TASKS, DataError, TaskSpec, load_task
from tclif_neuro.data.formats import is_path
from tclif_neuro.data.sequences import Floats
from tclif_neuro.data.spec import parse_task
from tclif_neuro.data.task import UNLABELLED, Part, Task
from tclif_neuro.data.toml import read_toml
from tclif_neuro.errors import TclifWarning
from tclif_neuro.show.tables import Sheet, share

LARGE = 10.0  # of targets: beyond it training takes long and the loss is of another size than the rates are meant for


@dataclass(frozen=True, kw_only=True)
class PartSummary:
    """One part of a task.

    rate: the mean of its inputs. silent: samples without an input that is not 0. labels: samples, or steps, per class;
    None of real targets, whose lowest and highest value is their `span`, and `deviation` the error of always saying
    the mean of each. unlabelled: targets that are not there.
    """

    part: str
    source: str
    samples: int
    low: float
    high: float
    rate: float
    binary: bool
    silent: int
    labels: tuple[int, ...] | None
    span: tuple[float, float] | None
    deviation: float | None
    unlabelled: int
    groups: int | None
    shortest: int | None


@dataclass(frozen=True, kw_only=True)
class DataSummary:
    """A task as a recipe has it. duration, rate: of recordings, seconds per sample, of sound the samples per second.

    odd: what a user should know of it.
    """

    name: str
    kind: str
    steps: int
    inputs: int
    classes: tuple[str, ...]
    duration: float | None
    rate: int | None
    parts: tuple[PartSummary, ...]
    odd: tuple[str, ...]


def describe_data(name: str, data_dir: Path | None = None) -> DataSummary:
    """Return a summary of the task in a recipe, or that `load_task` makes of a name or path. Raises `DataError`."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", TclifWarning)
        task = load_task(_spec(name), data_dir=data_dir)
    parts = tuple(_summary(key, part, task) for key, part in task.parts())
    return DataSummary(
        name=name,
        kind=task.kind,
        steps=task.steps,
        inputs=task.inputs,
        classes=task.classes,
        duration=None if task.found is None else task.found.duration,
        rate=None if task.found is None else task.found.rate,
        parts=parts,
        odd=(*(str(w.message) for w in said if issubclass(w.category, TclifWarning)), *_odd(parts, task)),
    )


def _spec(name: str) -> TaskSpec:
    if name.lower().endswith(".toml"):
        return parse_task(read_toml(name, DataError), name).placed(Path(name).parent)
    folder = name not in TASKS and not is_path(name) and Path(name).is_dir()
    return TaskSpec(name=f"./{name}" if folder else name)


def _summary(key: str, part: Part, task: Task) -> PartSummary:
    low, high, total, binary, silent = np.inf, -np.inf, 0.0, True, 0
    for chunk in part.x.chunks():
        low, high = min(low, float(chunk.min())), max(high, float(chunk.max()))
        total += float(chunk.sum(dtype=np.float64))
        binary = binary and bool(np.isin(chunk, (0, 1)).all())
        silent += int((~chunk.any(axis=(1, 2))).sum())
    labels = span = deviation = None
    missing = np.isnan(part.y) if task.kind == "values" else part.y == UNLABELLED
    known = part.y[~missing]
    if task.kind != "values":
        labels = tuple(np.bincount(known, minlength=len(task.classes)).tolist())
    elif known.size:
        span, deviation = (float(known.min()), float(known.max())), _deviation(part.y)
    return PartSummary(
        part=key,
        source=part.source,
        samples=len(part),
        low=low,
        high=high,
        rate=total / (len(part) * task.steps * task.inputs),
        binary=binary,
        silent=silent,
        labels=labels,
        span=span,
        deviation=deviation,
        unlabelled=int(missing.sum()),
        groups=None if part.groups is None else len(np.unique(part.groups)),
        shortest=None if part.lengths is None else int(part.lengths.min()),
    )


def _deviation(y: Floats) -> float:
    """The root mean square of values [..., K], NaN where there is none, around the mean of each of the K."""
    flat = y.reshape(-1, y.shape[-1]).astype(np.float64)
    known = flat[:, ~np.isnan(flat).all(axis=0)]
    return float(np.sqrt(np.nanmean((known - np.nanmean(known, axis=0)) ** 2)))


def _odd(parts: tuple[PartSummary, ...], task: Task) -> list[str]:
    """Return the oddities that would not stop a training, but should be known before it."""
    train = parts[0]
    odd = []
    margin = 0.1 * (train.high - train.low)
    for part in parts[1:]:
        if part.low < train.low - margin or part.high > train.high + margin:
            seen = f"from {part.low:g} to {part.high:g}; in training from {train.low:g} to {train.high:g}"
            odd.append(f"{part.part}: inputs {seen}: integers clip what was never seen")
    for part in parts:
        if part.silent:
            odd.append(f"{part.part}: {part.silent} of {part.samples} samples have no input that is not 0")
        if part.span is not None and max(map(abs, part.span)) > LARGE:
            low, high = part.span
            odd.append(f"{part.part}: targets from {low:g} to {high:g}: scale them to about 1")
    if not train.binary and train.high > 2:
        odd.append(f"inputs up to {train.high:g}: scale them to about 1, or encode them")
    if train.labels is not None:
        never = [name for name, count in zip(task.classes, train.labels, strict=True) if not count]
        if never:
            odd.append(f"no training sample of the class {never[0]!r}")
        few, many = min(train.labels), max(train.labels)
        if few and many > 10 * few:
            odd.append(
                f"the classes differ in size: {few} to {many}; always the commonest is right {_commonest(train)}"
            )
    return odd + _in_both(task)


def _in_both(task: Task) -> list[str]:
    """Return what the training set shares with the others, which then say little of samples that come later."""
    odd = []
    (_, train), *others = task.parts()
    seen = set(_digests(train))
    for name, part in others:
        again = sum(digest in seen for digest in _digests(part))
        if again:
            odd.append(f"{again} of {len(part)} {name} samples are in the training set too")
        if train.groups is not None and part.groups is not None:
            shared = sorted({*map(str, train.groups)} & {*map(str, part.groups)})
            if shared:
                odd.append(f"{len(shared)} groups are in the training set and the {name} set, {shared[0]} among them")
    return odd


def _digests(part: Part) -> Iterator[bytes]:
    for chunk in part.x.chunks():
        yield from (hashlib.blake2b(np.ascontiguousarray(sample).data, digest_size=16).digest() for sample in chunk)


def _commonest(part: PartSummary) -> str:
    labels = part.labels or (0,)
    return share(max(labels) / max(1, sum(labels)))


def data_parts(summary: DataSummary) -> list[Sheet | str]:
    """Return the parts of the summary to show."""
    rows = [
        ("targets", f"a {summary.kind}" if summary.kind != "values" else "real values"),
        ("a sample", f"{summary.steps} steps of {summary.inputs} inputs"),
        ("classes" if summary.kind != "values" else "outputs", _names(summary.classes)),
    ]
    if summary.duration is not None:
        rate = "" if summary.rate is None else f", {summary.rate} samples per second"
        rows.append(("recordings", f"{summary.duration:.4g} s each{rate}"))
    for part in summary.parts:
        rows.append((f"{part.part} set", f"{part.samples} samples: {part.source or summary.name}"))
        numbers = "spikes" if part.binary else f"{part.low:g} to {part.high:g}"
        rows.append(("  inputs", f"{numbers}, mean {part.rate:.4g}"))
        if part.labels is not None:
            rows.append(("  per class", _names(tuple(map(str, part.labels)))))
        if part.span is not None:
            off = f"always the mean is off by {part.deviation:.4g}"
            rows.append(("  targets", f"{part.span[0]:g} to {part.span[1]:g}; {off}"))
        if part.unlabelled:
            rows.append(("  without one", f"{part.unlabelled} {'targets' if part.labels is None else 'steps'}"))
        if part.groups is not None:
            rows.append(("  groups", str(part.groups)))
        if part.shortest is not None:
            rows.append(("  lengths from", str(part.shortest)))
    sheet = Sheet(title=summary.name, columns=(), rows=tuple(rows))
    return [sheet, *(f"odd: {line}" for line in summary.odd)]


def _names(names: tuple[str, ...], shown: int = 12) -> str:
    return ", ".join(names[:shown]) + (f", ... ({len(names)})" if len(names) > shown else "")
