"""The samples that a network is run on: a task's test set, or the user's own file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.data import DataError, TaskSpec, load_samples, load_task
from tclif_neuro.data.formats import is_path
from tclif_neuro.data.own import Samples
from tclif_neuro.data.paths import find
from tclif_neuro.data.readers.new_recordings import are_recordings, new_recordings
from tclif_neuro.data.sequences import time_first
from tclif_neuro.data.spec import parse_task
from tclif_neuro.data.toml import parse_toml
from tclif_neuro.errors import warn
from tclif_neuro.score import per_step

if TYPE_CHECKING:
    from tclif_neuro.network import QuantizedNetwork


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The choice of samples: the test set of `task`, or the file `data`; of these the first `limit` (None: all).

    Neither: the test set of the task that the network was trained on. data_dir: where MNIST is looked for.
    """

    task: str | None = None
    data: Path | None = None
    limit: int | None = None
    data_dir: Path | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Samples x [T, B, M], and a name for where they are from.

    y: their targets if they are known, time first: classes [B] or [T, B], or values [B, K] or [T, B, K]. lengths: [B],
    the steps that are a sample's own; None: all. groups: [B], who or what each sample is of, if that is known. names:
    of the files that the samples are, if each is one; else ().
    """

    source: str
    x: npt.NDArray[np.float32]
    y: npt.NDArray[Any] | None
    lengths: npt.NDArray[np.int64] | None = None
    groups: npt.NDArray[Any] | None = None
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.x.shape[1]

    @property
    def per_step(self) -> bool:
        """True if there are targets for every step."""
        return self.y is not None and per_step(self.y)

    def part(self, start: int, stop: int) -> Batch:
        """Samples `start` to `stop`."""
        now, y, lengths = slice(start, stop), self.y, self.lengths
        return Batch(
            source=self.source,
            x=self.x[:, now],
            y=None if y is None else y[:, now] if self.per_step else y[now],
            lengths=None if lengths is None else lengths[now],
            groups=None if self.groups is None else self.groups[now],
            names=self.names[now],
        )

    def cut(self) -> Batch:
        """The same without the steps that are no sample's own."""
        if self.lengths is None:
            return self
        steps = int(self.lengths.max())
        return replace(self, x=self.x[:steps], y=self.y[:steps] if self.per_step and self.y is not None else self.y)

    def sample(self, index: int) -> Batch:
        """One sample. Raises `DataError` if there is no such sample."""
        if not 0 <= index < len(self):
            raise DataError(f"{self.source}: sample {index} asked for, there are samples 0 to {len(self) - 1}")
        return self.part(index, index + 1)


def load_batch(net: QuantizedNetwork, choice: Choice) -> Batch:
    """The samples of `choice`, which fit `net`. Raises `DataError` if they do not, or cannot be loaded."""
    if choice.task is not None and choice.data is not None:
        raise DataError("a task and a file of data were both given; choose one")
    source, part = _test_set(net, choice) if choice.data is None else _own_file(net, choice.data)
    _, steps, inputs = part.sequences.shape
    longest = steps if part.lengths is None else int(part.lengths.max())
    if net.steps and (longest > net.steps or (part.lengths is None and steps != net.steps)):
        raise DataError(f"{source}: its samples have {longest} steps, the network was made for {net.steps}")
    if inputs != net.inputs:
        raise DataError(f"{source}: x has {inputs} inputs per step once it is in spikes, the network {net.inputs}")
    kept = slice(choice.limit)
    x, y, lengths = part.x[kept], part.y, part.lengths
    if y is not None:
        y = y[kept].swapaxes(0, 1) if per_step(y) else y[kept]
    return Batch(
        source=source,
        x=time_first(x),
        y=y,
        lengths=None if lengths is None else lengths[kept],
        groups=None if part.groups is None else part.groups[kept],
        names=part.names[kept],
    )


def load_whole(net: QuantizedNetwork, choice: Choice) -> Batch:
    """As `load_batch`, for what takes whole samples alone; raises `DataError` where they have lengths, or no classes
    of their own."""
    batch = load_batch(net, choice)
    for what, there in (
        ("lengths", batch.lengths is not None),
        ("targets per step", batch.per_step),
        ("real targets", batch.y is not None and batch.y.dtype.kind == "f"),
    ):
        if there:
            raise DataError(f"{batch.source}: has {what}; whole samples with a class each are needed here")
    return batch


def _own_file(net: QuantizedNetwork, path: Path) -> tuple[str, Samples]:
    trained, path = _trained_on(net), path.expanduser()
    coded = trained is not None and trained.encoding is not None
    if are_recordings(path):
        own = new_recordings(path, trained, net.classes or tuple(map(str, range(net.outputs))))
    else:
        own = load_samples(path, inputs=None if coded else net.inputs, classes=net.classes or net.outputs)
    if own.y is not None and not own.test and _is_trained_on(trained, path):
        warn(
            f"{path}: the network was trained on samples of this file, and they are among these; tclif run without "
            "--data takes its test set alone"
        )
    if trained is None or not coded:
        return own.source, own
    from tclif_neuro.data.encode import encoded_part  # imports torch

    return own.source, encoded_part(own, trained)


def _test_set(net: QuantizedNetwork, choice: Choice) -> tuple[str, Samples]:
    trained = _trained_on(net)
    if trained is None and choice.task is None:
        raise DataError("this network does not say what it was trained on: choose samples with --task or --data")
    # The split or permutation is the training's: another would test on what was trained on. The code is always its own.
    section = trained or TaskSpec(name=choice.task or "")
    if choice.task is not None and choice.task != section.name:
        section = section.model_copy(update={"name": choice.task, "seed": 0})
    name, task = section.name, load_task(section, data_dir=choice.data_dir)
    if (task.inputs, len(task.classes)) != (net.inputs, net.outputs):
        raise DataError(
            f"task {name}: has {task.inputs} inputs per step and {len(task.classes)} classes, "
            f"the network {net.inputs} and {net.outputs}"
        )
    named = ", a path that the network's recipe names" if trained is section and is_path(name) else ""
    test = task.test
    return f"{name}: {test.source}{named}", Samples(test.x, test.y, test.source, test.lengths, test.groups)


def _is_trained_on(trained: TaskSpec | None, path: Path) -> bool:
    """Return whether `path` is the file or folder that a recipe names."""
    if trained is None or not is_path(trained.name):
        return False
    try:
        return find(trained.name, trained.folder).samefile(path)
    except (DataError, OSError):
        return False


def _trained_on(net: QuantizedNetwork) -> TaskSpec | None:
    """The [task] of the network's recipe, None if it has none."""
    if not net.recipe:
        return None
    source = "the recipe in the network"
    return parse_task(parse_toml(net.recipe, source, DataError), source)
