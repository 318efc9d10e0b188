"""Checkpoints of learning: a moment and what it belongs to, as arrays and JSON in one .npz file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tclif_neuro.arrays import ArraysError, read_arrays, write_arrays
from tclif_neuro.data.toml import explain
from tclif_neuro.errors import TclifError
from tclif_neuro.network import FormatError, QuantizedNetwork
from tclif_neuro.onchip.rule.matrices import matrices, weights_of, with_weights
from tclif_neuro.onchip.tasks.session import Moment, Session
from tclif_neuro.text import cut, quoted

NAME = "checkpoint.npz"
FORMAT = "tclif-neuro learning 2"


class LearnCheckpointError(TclifError):
    """A checkpoint that cannot be read or does not fit; the message names the file."""


def save_moment(path: Path, session: Session, moment: Moment) -> None:
    """Write `moment`, whole or not at all."""
    facts = {
        "format": FORMAT,
        "recipe": session.recipe.model_dump(mode="json"),
        "data": session.stream.digest(),
        "position": moment.position,
        "correct": moment.correct,
        "error": moment.error,
        "losses": moment.losses,
        "rows": moment.rows,
    }
    arrays: dict[str, Any] = {}
    for kind, net in (("now", moment.net), ("measured", moment.measured), ("first", session.first.net)):
        arrays |= {f"{kind}_{matrix.name}": weight for matrix, weight in weights_of(net).items()}
    write_arrays(path, arrays, facts)


def load_moment(path: Path, session: Session) -> Moment:
    """The moment in a file that `session` was in. Nothing in the file is executed. Raises `LearnCheckpointError`."""
    arrays, facts = _read(path)
    _check_same(path, facts, arrays, session)
    try:
        nets = [_with_weights(session.first.net, arrays, kind) for kind in ("now", "measured")]
        kept = _Kept.model_validate({key: value for key, value in facts.items() if key in _Kept.model_fields})
        _check_rows(kept, session)
    except (KeyError, ValueError, FormatError) as error:
        raise LearnCheckpointError(f"{path}: does not fit its own recipe: {_reason(error)}") from error
    return Moment(
        position=kept.position,
        net=nets[0],
        measured=nets[1],
        correct=kept.correct,
        error=kept.error,
        losses={name: (hits, of) for name, (hits, of) in kept.losses.items()},
        rows=tuple(kept.rows),
    )


class _Kept(BaseModel):
    """A checkpoint's record of a moment, besides the networks."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    position: Annotated[int, Field(ge=0)]
    correct: Annotated[int, Field(ge=0)]
    error: Annotated[int, Field(ge=0)]
    losses: dict[str, Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)]]
    rows: Annotated[list[dict[str, float | int | str | None]], Field(min_length=1)]


def _check_rows(kept: _Kept, session: Session) -> None:
    """Raise `ValueError` unless the records are those that `session` has up to that position."""
    if kept.position > session.samples:
        raise ValueError(f"sample {kept.position} of {session.samples}")
    columns, every, ends = session.columns(), session.recipe.learning.test_every, session.stream.ends
    expected = [n for n in range(kept.position + 1) if n % every == 0 or n in ends]
    if [row.get("sample") for row in kept.rows] != expected or any(row.keys() != columns for row in kept.rows):
        raise ValueError("its records are not those of the samples that it has learnt")
    for row in kept.rows:
        phase = session.stream.phase(max(0, int(row["sample"] or 0) - 1)).name
        for key, value in row.items():
            if value != phase if key == "phase" else isinstance(value, str):
                raise ValueError(f"{key} = {quoted(value)} in a record")


def _reason(error: Exception) -> str:
    return explain(error, _Kept) if isinstance(error, ValidationError) else cut(str(error))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        stored = read_arrays(path)
    except ArraysError as error:
        raise LearnCheckpointError(f"{path}: is not a checkpoint, or is damaged: {error}") from error
    if stored.facts.get("format") != FORMAT:
        raise LearnCheckpointError(f"{path}: is not a checkpoint: {FORMAT!r} expected")
    return stored.arrays, stored.facts


def _check_same(path: Path, facts: dict[str, Any], arrays: dict[str, Any], session: Session) -> None:
    otherwise = "choose another folder, or start again without resuming"
    there, here = _flat(facts.get("recipe")), _flat(session.recipe.model_dump(mode="json"))
    for key in {**there, **here}:
        theirs, ours = there.get(key), here.get(key)
        if theirs != ours:
            raise LearnCheckpointError(
                f"{path}: is of another recipe: {key} is {quoted(theirs)} there and {quoted(ours)} here; {otherwise}"
            )
    if facts.get("data") != session.stream.digest():
        raise LearnCheckpointError(f"{path}: learnt other data of the same name; {otherwise}")
    for matrix, weight in weights_of(session.first.net).items():
        first = f"first_{matrix.name}"
        if first not in arrays or not np.array_equal(arrays[first], weight):
            raise LearnCheckpointError(f"{path}: started from other weights; {otherwise}")


def _flat(table: Any, key: str = "") -> dict[str, Any]:
    """Nested tables as one, by dotted keys."""
    if not isinstance(table, dict):
        return {key: table}
    return {k: v for name, value in table.items() for k, v in _flat(value, f"{key}.{name}".lstrip(".")).items()}


def _with_weights(net: QuantizedNetwork, arrays: dict[str, Any], kind: str) -> QuantizedNetwork:
    return with_weights(net, {matrix: arrays[f"{kind}_{matrix.name}"] for matrix in matrices(net)})
