"""The samples that a network is run on: a task's test set, or the user's own file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.data import DataError, TaskSpec, load_samples, load_task
from tclif_neuro.data.formats import is_path
from tclif_neuro.data.spec import parse_task
from tclif_neuro.data.toml import parse_toml

if TYPE_CHECKING:
    from tclif_neuro.network import QuantizedNetwork


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which samples: the test set of `task`, or the file `data`; of these the first `limit` (None: all).

    Neither: the test set of the task that the network was trained on. data_dir: where MNIST is looked for.
    """

    task: str | None = None
    data: Path | None = None
    limit: int | None = None
    data_dir: Path | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Samples x [T, B, M], their labels y [B] if they are known, and a name for where they are from."""

    source: str
    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.int64] | None

    def __len__(self) -> int:
        return self.x.shape[1]

    def part(self, start: int, stop: int) -> Batch:
        """Samples `start` to `stop`."""
        return Batch(source=self.source, x=self.x[:, start:stop], y=None if self.y is None else self.y[start:stop])

    def sample(self, index: int) -> Batch:
        """One sample. Raises `DataError` if there is no such sample."""
        if not 0 <= index < len(self):
            raise DataError(f"{self.source}: sample {index} asked for, there are samples 0 to {len(self) - 1}")
        return self.part(index, index + 1)


def load_batch(net: QuantizedNetwork, choice: Choice) -> Batch:
    """The samples of `choice`, which fit `net`. Raises `DataError` if they do not, or cannot be loaded."""
    if choice.task is not None and choice.data is not None:
        raise DataError("a task and a file of data were both given; choose one")
    source, x, y = _test_set(net, choice) if choice.data is None else _own_file(net, choice.data)
    if net.steps and x.shape[1] != net.steps:
        raise DataError(f"{source}: its samples have {x.shape[1]} steps, the network was made for {net.steps}")
    stop = len(x) if choice.limit is None else choice.limit
    return Batch(source=source, x=np.ascontiguousarray(x[:stop].swapaxes(0, 1)), y=None if y is None else y[:stop])


def _own_file(net: QuantizedNetwork, path: Path) -> tuple[str, Any, Any]:
    trained = _trained_on(net)
    if trained is None or trained.encoding is None:
        own = load_samples(path, inputs=net.inputs, classes=net.classes or net.outputs)
        return own.source, own.x, own.y
    from tclif_neuro.data.encode import encoded  # imports torch

    own = load_samples(path, classes=net.classes or net.outputs)
    x = encoded(own.x, trained)
    if x.shape[2] != net.inputs:
        raise DataError(f"{path}: x has {x.shape[2]} inputs a step once it is in spikes, the network {net.inputs}")
    return own.source, x, own.y


def _test_set(net: QuantizedNetwork, choice: Choice) -> tuple[str, Any, Any]:
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
            f"task {name}: has {task.inputs} inputs a step and {len(task.classes)} classes, "
            f"the network {net.inputs} and {net.outputs}"
        )
    if task.kind != "class":
        raise DataError(f"task {name}: has a {task.kind}; networks are run on one class per sample so far")
    named = ", a path that the network's recipe names" if trained is section and is_path(name) else ""
    return f"{name}: {task.test.source}{named}", task.x_test, task.y_test


def _trained_on(net: QuantizedNetwork) -> TaskSpec | None:
    """The [task] of the network's recipe, None if it has none."""
    if not net.recipe:
        return None
    source = "the recipe in the network"
    return parse_task(parse_toml(net.recipe, source, DataError), source)
