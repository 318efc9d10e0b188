"""The samples that a network is run on: a task's test set, or the user's own file."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.data import DataError, load_samples, load_task

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

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
    if choice.data is not None:
        own = load_samples(choice.data, inputs=net.inputs, classes=net.outputs)
        source, x, y = str(choice.data), own.x, own.y
    else:
        source, x, y = _test_set(net, choice)
    if net.steps and x.shape[1] != net.steps:
        raise DataError(f"{source}: its samples have {x.shape[1]} steps, the network was made for {net.steps}")
    stop = len(x) if choice.limit is None else choice.limit
    return Batch(source=source, x=np.ascontiguousarray(x[:stop].swapaxes(0, 1)), y=None if y is None else y[:stop])


def _test_set(net: QuantizedNetwork, choice: Choice) -> tuple[str, Any, Any]:
    trained = _trained_on(net)
    name = choice.task or trained.get("name")
    if name is None:
        raise DataError("this network does not say what it was trained on: choose samples with --task or --data")
    # The split or permutation is the training's: another would test on what was trained on.
    seed = trained.get("seed", 0) if name == trained.get("name") else 0
    task = load_task(name, seed, choice.data_dir)
    if (task.inputs, len(task.classes)) != (net.inputs, net.outputs):
        raise DataError(
            f"task {name}: has {task.inputs} inputs a step and {len(task.classes)} classes, "
            f"the network {net.inputs} and {net.outputs}"
        )
    return name, task.x_test, task.y_test


def _trained_on(net: QuantizedNetwork) -> dict[str, Any]:
    """The [task] of the network's recipe, {} if it has none."""
    from tclif_neuro.learning.recipe_file import parse_recipe

    if not net.recipe:
        return {}
    try:
        return parse_recipe(tomllib.loads(net.recipe), "the recipe in the network").task.model_dump()
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"the recipe in the network is not TOML: {error}") from error
