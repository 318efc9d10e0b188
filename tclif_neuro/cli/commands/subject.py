"""The subject of a report: a network of integers on test samples, and what is known of how it came to be."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tclif_neuro.cli.commands.executors import execute
from tclif_neuro.cli.commands.samples import Batch, Choice, load_batch
from tclif_neuro.compare.energy import Energy, energy
from tclif_neuro.errors import TclifError
from tclif_neuro.files import read_regular
from tclif_neuro.fixed.run import Run
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.netx import load
from tclif_neuro.text import cut

if TYPE_CHECKING:
    from tclif_neuro.quantization import LossReport

LOG, LEARNT = "log.csv", "learnt.net"
MOST_BYTES = 2**26  # of a log
Column = tuple[float, ...]


class SubjectError(TclifError):
    """A folder or file that no report can be made of; the message names it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A network on samples.

    run: of all samples, with sequences where there are targets per step. shown: of sample number `index` alone, with
    them. digests: of what it was read from, by what that is. recipe: as TOML, "" where there is none. log: the columns
    of training or learning, by name; {} where nothing is known. loss: against the float model, None where there is
    none.
    """

    name: str
    net: QuantizedNetwork
    batch: Batch
    run: Run
    shown: Run
    index: int
    energy: Energy
    recipe: str
    digests: Mapping[str, str]
    log: Mapping[str, Column] = field(default_factory=dict)
    loss: LossReport | None = None


def load_subject(path: Path, choice: Choice, index: int, trained: Path | None = None) -> Subject:
    """The subject at `path`: a .net file, the folder of a training run, or that of learning on the chip.

    trained: the training run that a .net file was made from. A training run is converted as `tclif export` does.
    """
    if not path.is_dir():
        loss = None if trained is None else _loss_of_net(load(path), trained, choice)
        return _subject(path, load(path), choice, index, {"SHA-256 of the network": _digest(path)}, loss=loss)
    return _learning_run(path, choice, index) if (path / LEARNT).exists() else _training_run(path, choice, index)


def _learning_run(path: Path, choice: Choice, index: int) -> Subject:
    """Without a choice of samples, those of its last test."""
    from tclif_neuro.cli.commands.recipe_text import recipe_text
    from tclif_neuro.onchip.tasks.checkpoint import NAME
    from tclif_neuro.onchip.tasks.recipe_file import parse_learn_recipe
    from tclif_neuro.onchip.tasks.stream import make_stream

    net, batch = load(path / LEARNT), None
    recipe = parse_learn_recipe(_learn_recipe(path / NAME), str(path / NAME))
    if choice.task is None and choice.data is None:
        name, (x, y) = list(make_stream(recipe, choice.data_dir).tests.items())[-1]
        if x.shape[2] != net.inputs:
            raise SubjectError(f"{path}: its task has {x.shape[2]} inputs per step, its network {net.inputs}")
        batch = Batch(source=f"{recipe.task.name}: {name}", x=x, y=y).part(0, choice.limit or len(y))
    digests = {"SHA-256 of the network": _digest(path / LEARNT)}
    log = read_log(path / LOG)
    return _subject(path, net, choice, index, digests, batch=batch, log=log, recipe=recipe_text(recipe))


def _learn_recipe(path: Path) -> dict[str, Any]:
    from tclif_neuro.arrays import ArraysError, read_arrays

    try:
        recipe = read_arrays(path).facts.get("recipe")
    except ArraysError as error:
        raise SubjectError(f"{path}: is not a checkpoint, or is damaged: {error}") from error
    if not isinstance(recipe, dict):
        raise SubjectError(f"{path}: is not the checkpoint of `tclif learn`: it has no recipe")
    return recipe


def _training_run(path: Path, choice: Choice, index: int) -> Subject:
    from tclif_neuro.cli.commands.export import ExportOptions, convert_run
    from tclif_neuro.learning.training.checkpoint import NAME, load_checkpoint

    checkpoint = load_checkpoint(path)
    options = ExportOptions(samples=choice.limit or ExportOptions.samples, data_dir=choice.data_dir)
    net, loss = convert_run(path, options)
    log = {name: tuple(_number(row.get(name)) for row in checkpoint.log) for name in checkpoint.log[-1]}
    digests = {"SHA-256 of the checkpoint": _digest(path / NAME), "digest of the data": checkpoint.data}
    return _subject(path, net, choice, index, digests, log=log, loss=loss)


def _subject(
    path: Path,
    net: QuantizedNetwork,
    choice: Choice,
    index: int,
    digests: Mapping[str, str],
    batch: Batch | None = None,
    **known: Any,
) -> Subject:
    batch = load_batch(net, choice).cut() if batch is None else batch
    run = execute("simulator", net, batch, record=batch.per_step).run
    shown = execute("reference", net, batch.sample(index).cut(), record=True).run
    return Subject(
        name=path.resolve().name,
        net=net,
        batch=batch,
        run=run,
        shown=shown,
        index=index,
        energy=energy(net, run),
        digests=digests,
        **{"recipe": net.recipe, **known},
    )


def _loss_of_net(net: QuantizedNetwork, trained: Path, choice: Choice) -> LossReport:
    import torch

    from tclif_neuro.cli.commands.floats import load_floats
    from tclif_neuro.quantization import report

    batch = load_batch(net, choice)
    labels, lengths = (None if a is None else torch.from_numpy(a) for a in (batch.y, batch.lengths))
    return report(load_floats(net, trained), net, torch.from_numpy(batch.x), labels, lengths)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_log(path: Path) -> dict[str, Column]:
    """The columns of numbers in a log, NaN where there is none; others are left out. Raises `SubjectError`."""
    try:
        text = read_regular(path, MOST_BYTES).decode()
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SubjectError(f"{path}: is no table: {error}") from error
    if not rows or "sample" not in rows[0]:
        raise SubjectError(f"{path}: is not the log of `tclif learn`, which has a column sample and a row or more")
    names = [name for name in rows[0] if name is not None and name != "phase"]
    return {name: tuple(_read(path, name, row.get(name)) for row in rows) for name in names}


def _read(path: Path, name: str, word: str | None) -> float:
    try:
        return _number(float(word) if word else None)
    except ValueError:
        raise SubjectError(f"{path}: column {cut(name, 40)}: {cut(repr(word), 60)} is no number") from None


def _number(value: float | int | None) -> float:
    return math.nan if value is None else float(value)


def last(values: Iterable[float]) -> float | None:
    """The last number of a column, None if it has none."""
    return next((value for value in reversed(tuple(values)) if math.isfinite(value)), None)
