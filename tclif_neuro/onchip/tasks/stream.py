"""The stream learnt online: samples in the order in which they come, in phases, and test sets to be followed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.data import DataError, Task, load_task
from tclif_neuro.data.sequences import time_first
from tclif_neuro.data.toml import toml_text
from tclif_neuro.onchip.tasks.recipe import AllSection, CueSection, DriftSection, LearnRecipe, NewClassSection

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

DRAWN = 2**20  # mixes the seeds of what is drawn, so that equal seeds of other things do not give equal numbers


@dataclass(frozen=True, kw_only=True, eq=False)
class Phase:
    """A part of the stream: its name, how many samples, and whether the hidden layers learn."""

    name: str
    samples: int
    hidden: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Stream:
    """Samples in the order in which they are learnt.

    x: [T, n, M], the different samples, y: [n], their classes. order: [S], which of them comes when. phases: in order;
    their samples add up to S. tests: by name, x [T, k, M] and y [k]; the last phase is judged by all. asked: the first
    step at which the answer is asked for. size: of a pass, for the rates that fall from pass to pass. recipe: the text
    of a [task] by which a network finds the data again, or "".
    """

    x: Floats
    y: Labels
    order: npt.NDArray[np.int64]
    phases: tuple[Phase, ...]
    tests: dict[str, tuple[Floats, Labels]]
    classes: tuple[str, ...]
    size: int
    asked: int = 0
    recipe: str = ""

    @property
    def ends(self) -> list[int]:
        """After how many samples each phase is over."""
        return np.cumsum([phase.samples for phase in self.phases]).tolist()

    def phase(self, position: int) -> Phase:
        """The phase of sample number `position`, from 0; of the number after the last one, the last phase."""
        index = int(np.searchsorted(self.ends, position, side="right"))
        return self.phases[min(index, len(self.phases) - 1)]

    def part(self, start: int, stop: int) -> tuple[Floats, Labels]:
        """Samples `start` to `stop` of the order: x [T, S, M], y [S]."""
        chosen = self.order[start:stop]
        return self.x[:, chosen], self.y[chosen]

    def digest(self) -> str:
        """Identifies the samples, their order and the test sets."""
        digest = hashlib.blake2b(digest_size=16)
        for array in (self.x, self.y, self.order, *(part for test in self.tests.values() for part in test)):
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def make_stream(recipe: LearnRecipe, data_dir: Path | None = None) -> Stream:
    """Return the stream of the recipe's task, drawn from its seeds alone.

    data_dir: see `load_task`. Raises `DataError`.
    """
    task, passes = recipe.task, recipe.learning.passes
    rng = np.random.default_rng([DRAWN, recipe.learning.seed])
    if isinstance(task, CueSection):
        return _asked(_cue(task, passes, rng), recipe.learning.asked)
    data = load_task(task.data, data_dir=data_dir)
    _check_learnable(task.data.name, data)
    described = {"task": task.data.model_copy(update={"found": data.found}).model_dump(mode="json", exclude_none=True)}
    return _asked(replace(_of_data(data, recipe, rng), recipe=toml_text(described)), recipe.learning.asked)


def _asked(stream: Stream, asked: int | None) -> Stream:
    """The stream with its answer asked for from step `asked` on; None: as it is. Raises `DataError`."""
    steps = len(stream.x)
    if asked is not None and asked >= steps:
        raise DataError(f"learning.asked = {asked}: a sample has {steps} steps, 0 to {steps - 1}")
    return stream if asked is None else replace(stream, asked=asked)


def _check_learnable(name: str, data: Task) -> None:
    """Raise `DataError` for what the chip's rule has no place for: its target is one class, at all steps of a run."""
    instead = 'or train with rule = "eprop" in a recipe of tclif train, which takes them'
    if data.kind == "values":
        raise DataError(
            f"{name}: has real targets; tclif learn takes a class per sample: make classes of them, {instead}"
        )
    if data.kind == "class per step":
        raise DataError(
            f"{name}: has a class per step; tclif learn takes one per sample: cut x into windows of one length, each "
            f"with the class of its last step, {instead}"
        )
    if any(part.lengths is not None and part.lengths.min() < data.steps for _, part in data.parts()):
        raise DataError(
            f"{name}: has lengths; tclif learn takes samples of one length: cut all to the shortest or resample them "
            f"to one number of steps, and leave lengths out, {instead}"
        )


def _of_data(data: Task, recipe: LearnRecipe, rng: np.random.Generator) -> Stream:
    """Return the stream of a task on a data set."""
    task, passes = recipe.task, recipe.learning.passes
    if isinstance(task, AllSection):
        return _plain(data, passes, rng)
    if isinstance(task, DriftSection):
        return _drift(data, task, passes, rng)
    assert isinstance(task, NewClassSection)
    return _new_class(data, task, 0 if recipe.network.start else passes, rng)


def _shuffled(indices: Sequence[Any] | npt.NDArray[Any], passes: int, rng: np.random.Generator) -> list[Any]:
    """`passes` orders of `indices`."""
    return [rng.permutation(np.asarray(indices)) for _ in range(passes)]


def _plain(data: Task, passes: int, rng: np.random.Generator) -> Stream:
    order = np.concatenate(_shuffled(np.arange(len(data.y_train)), passes, rng))
    return Stream(
        x=time_first(data.x_train),
        y=data.y_train,
        order=order,
        phases=(Phase(name="all", samples=len(order)),),
        tests={"test": (time_first(data.x_test), data.y_test)},
        classes=data.classes,
        size=len(data.y_train),
    )


def _new_class(data: Task, task: NewClassSection, passes: int, rng: np.random.Generator) -> Stream:
    """The old classes `passes` times, then the new ones among a replay of old ones."""
    first_new = len(data.classes) - task.new
    old, new = (np.flatnonzero(mask) for mask in (data.y_train < first_new, data.y_train >= first_new))
    before = _shuffled(old, passes, rng)
    after = []
    for _ in range(task.passes):
        replayed = rng.choice(old, round(task.replay * len(new)))
        after.append(rng.permutation(np.concatenate([new, replayed])))
    known = data.y_test < first_new
    x = time_first(data.x_test)
    phases = (
        *([Phase(name="old", samples=len(old) * passes)] if passes else []),
        Phase(name="new", samples=sum(map(len, after)), hidden=not task.freeze),
    )
    return Stream(
        x=time_first(data.x_train),
        y=data.y_train,
        order=np.concatenate([*before, *after]),
        phases=phases,
        tests={"old": (x[:, known], data.y_test[known]), "new": (x[:, ~known], data.y_test[~known])},
        classes=data.classes,
        size=len(old),
    )


def _drift(data: Task, task: DriftSection, passes: int, rng: np.random.Generator) -> Stream:
    """The samples as they are, then with their channels permuted."""
    permuted = np.random.default_rng([DRAWN, task.seed]).permutation(data.inputs)
    n = len(data.y_train)
    before, after = _shuffled(np.arange(n), passes, rng), _shuffled(np.arange(n, 2 * n), task.passes, rng)
    x, x_test = time_first(data.x_train), time_first(data.x_test)
    return Stream(
        x=np.concatenate([x, x[..., permuted]], axis=1),
        y=np.concatenate([data.y_train, data.y_train]),
        order=np.concatenate([*before, *after]),
        phases=(Phase(name="before", samples=n * passes), Phase(name="after", samples=n * task.passes)),
        tests={"before": (x_test, data.y_test), "after": (x_test[..., permuted], data.y_test)},
        classes=data.classes,
        size=n,
    )


def _cue(task: CueSection, passes: int, rng: np.random.Generator) -> Stream:
    drawn = np.random.default_rng([DRAWN, task.seed])
    (x, y), test = cue_samples(task, task.train, drawn), cue_samples(task, task.test, drawn)
    order = np.concatenate(_shuffled(np.arange(task.train), passes, rng))
    return Stream(
        x=x,
        y=y,
        order=order,
        phases=(Phase(name="all", samples=len(order)),),
        tests={"test": test},
        classes=tuple(str(c) for c in range(task.classes)),
        size=task.train,
        asked=task.cue + task.silence,
    )


def cue_samples(task: CueSection, samples: int, rng: np.random.Generator) -> tuple[Floats, Labels]:
    """`samples` samples of the cue task: x [T, samples, (classes + 1) channels] in {0, 1}, y [samples]."""
    y = rng.permutation(np.arange(samples) % task.classes).astype(np.int64)
    steps = task.cue + task.silence + task.recall
    x = np.zeros((steps, samples, task.classes + 1, task.channels), np.float32)
    cued = rng.random((task.cue, samples, task.channels)) < task.rate
    x[: task.cue, np.arange(samples), y] = cued
    x[-task.recall :, :, -1] = rng.random((task.recall, samples, task.channels)) < task.rate
    return x.reshape(steps, samples, -1), y
