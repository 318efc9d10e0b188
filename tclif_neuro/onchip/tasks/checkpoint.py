"""Checkpoints of learning: a moment and what it belongs to, as arrays and JSON in one .npz file."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tclif_neuro.errors import TclifError
from tclif_neuro.files import write_atomically
from tclif_neuro.network import FormatError, QuantizedNetwork
from tclif_neuro.onchip.tasks.records import matrices
from tclif_neuro.onchip.tasks.session import Moment, Session

NAME = "checkpoint.npz"
FORMAT = "tclif-neuro learning 1"


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
        "rows": moment.rows,
    }
    arrays = {"facts": np.array(json.dumps(facts))}
    for kind, net in (("now", moment.net), ("measured", moment.measured), ("first", session.first.net)):
        arrays |= {f"{kind}_{name}": synapses.weight for name, synapses in matrices(net).items()}

    def write(file: BinaryIO) -> None:
        np.savez_compressed(file, **arrays)

    write_atomically(path, write)


def load_moment(path: Path, session: Session) -> Moment:
    """The moment in a file that `session` was in. Nothing in the file is executed. Raises `LearnCheckpointError`."""
    arrays, facts = _read(path)
    _check_same(path, facts, arrays, session)
    try:
        nets = [_with_weights(session.first.net, arrays, kind) for kind in ("now", "measured")]
        position, correct, error = (int(facts[name]) for name in ("position", "correct", "error"))
        rows = tuple({**row} for row in facts["rows"])
        if not 0 <= position <= session.samples or not rows:
            raise ValueError(f"sample {position} of {session.samples}, {len(rows)} records")
        return Moment(position=position, net=nets[0], measured=nets[1], correct=correct, error=error, rows=rows)
    except (KeyError, TypeError, ValueError, FormatError) as error:
        raise LearnCheckpointError(f"{path}: does not fit its own recipe: {error}") from error


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        facts = json.loads(str(arrays.pop("facts")))
    except (
        OSError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise LearnCheckpointError(f"{path}: is not a checkpoint, or is damaged: {reason}") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise LearnCheckpointError(f"{path}: is not a checkpoint: {FORMAT!r} expected")
    return arrays, facts


def _check_same(path: Path, facts: dict[str, Any], arrays: dict[str, Any], session: Session) -> None:
    otherwise = "choose another folder, or start again without resuming"
    there, here = _flat(facts.get("recipe")), _flat(session.recipe.model_dump(mode="json"))
    for key in {**there, **here}:
        theirs, ours = there.get(key), here.get(key)
        if theirs != ours:
            raise LearnCheckpointError(
                f"{path}: is of another recipe: {key} is {theirs!r} there and {ours!r} here; {otherwise}"
            )
    if facts.get("data") != session.stream.digest():
        raise LearnCheckpointError(f"{path}: learnt other data of the same name; {otherwise}")
    for name, synapses in matrices(session.first.net).items():
        first = f"first_{name}"
        if first not in arrays or not np.array_equal(arrays[first], synapses.weight):
            raise LearnCheckpointError(f"{path}: started from other weights; {otherwise}")


def _flat(table: Any, key: str = "") -> dict[str, Any]:
    """Nested tables as one, by dotted keys."""
    if not isinstance(table, dict):
        return {key: table}
    return {k: v for name, value in table.items() for k, v in _flat(value, f"{key}.{name}".lstrip(".")).items()}


def _with_weights(net: QuantizedNetwork, arrays: dict[str, Any], kind: str) -> QuantizedNetwork:
    layers = []
    for i, layer in enumerate(net.layers):
        synapses = replace(layer.synapses, weight=arrays[f"{kind}_{i}"])
        recurrent = layer.recurrent and replace(layer.recurrent, weight=arrays[f"{kind}_{i}_recurrent"])
        layers.append(replace(layer, synapses=synapses, recurrent=recurrent))
    return replace(net, layers=tuple(layers))
