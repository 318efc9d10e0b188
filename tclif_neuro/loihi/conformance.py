"""Conformance vectors as a file, and the verdict on a result that came back.

HDF5 as `netx` writes it: no pickle, no object types, a digest. For each vector, `/vector/NAME/` holds `graph` (JSON),
the arrays it names, `input` [T, M], `steps`, `observe`, `about` and `expect/HYPOTHESIS` [steps, N], of which "lava" is
what Lava's CPU models give. A result is the same file with `got` [steps, N] or `error` in every vector, and
`/result/` with `backend`, `versions`, `chip` and `date`: no user, no host, no path.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.errors import TclifError
from tclif_neuro.files import StrPath, read_regular, write_atomically
from tclif_neuro.loihi.graph_arrays import from_arrays, to_arrays
from tclif_neuro.loihi.vectors import Vector
from tclif_neuro.network import FormatError
from tclif_neuro.netx.container import pack, unpack
from tclif_neuro.netx.format import NetFileError, digest
from tclif_neuro.text import clean, cut

FORMAT, VERSION = b"tclif-vectors", 1
LIMIT = 2**28  # bytes of a file
FACTS = ("backend", "versions", "chip", "date")

Datasets = dict[str, npt.NDArray[Any]]


class ConformanceError(TclifError, ValueError):
    """A file of vectors or results that cannot be used. The message names it and what is wrong."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """A vector of a result file: what was sent [steps, N], or None and the error's text."""

    vector: Vector
    got: npt.NDArray[Any] | None
    error: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """A result file: where it was made (`FACTS`), and an answer per vector."""

    facts: dict[str, str]
    answers: tuple[Answer, ...]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """On one vector: the hypothesis that it equals, or else the nearest one and the first difference from it."""

    vector: str
    about: str
    equal: str
    nearest: str
    step: int
    neuron: int
    expected: int
    found: int
    error: str


def write_vectors(path: StrPath, vectors: Iterable[Vector]) -> None:
    """Write `vectors` to `path`, atomically; the same vectors give the same bytes."""
    datasets: Datasets = {}
    for vector in vectors:
        datasets |= {f"vector/{vector.name}/{key}": value for key, value in _encode(vector).items()}
    attributes = {"format": np.bytes_(FORMAT), "version": np.int64(VERSION), "digest": np.bytes_(digest(datasets))}
    write_atomically(path, lambda file: file.write(pack(attributes, datasets)))


def _encode(vector: Vector) -> Datasets:
    text, arrays = to_arrays(vector.graph)
    texts = {"graph": text, "observe": vector.observe, "about": vector.about}
    return {
        **{key: np.array(value.encode("ascii")) for key, value in texts.items()},
        **arrays,
        "input": vector.input.astype(np.int32),
        "steps": np.array(vector.steps),
        **{f"expect/{name}": array.astype(np.int32) for name, array in vector.expect.items()},
    }


def read_result(path: StrPath) -> Result:
    """The result in `path`. Raises `ConformanceError` on a file that is damaged, hostile or of another kind."""
    try:
        attributes, _, datasets = unpack(read_regular(path, LIMIT), ("vector", "result"))
        if attributes.get("format") != FORMAT or attributes.get("version") != VERSION:
            raise ConformanceError("is no file of conformance vectors of this version")
        _check_digest(attributes.get("digest"), datasets)
        facts = {key: clean(cut(_text(datasets, f"result/{key}"))) for key in FACTS}
        names = sorted({name.split("/")[1] for name in datasets if name.startswith("vector/")})
        answers = tuple(_answer(datasets, name) for name in names)
    except (NetFileError, FormatError, ConformanceError) as error:
        raise ConformanceError(f"{os.fspath(path)}: {error}") from error
    if not answers:
        raise ConformanceError(f"{os.fspath(path)}: holds no vector")
    return Result(facts=facts, answers=answers)


def _check_digest(found: object, datasets: Datasets) -> None:
    """The digest is that of the vectors; a result adds to them."""
    added = ("got", "error")
    own = {k: v for k, v in datasets.items() if k.startswith("vector/") and k.split("/")[-1] not in added}
    if found != digest(own).encode():
        raise ConformanceError("its vectors are not those that were written: the digest differs")


def _answer(datasets: Datasets, name: str) -> Answer:
    own = {k.split("/", 2)[2]: v for k, v in datasets.items() if k.startswith(f"vector/{name}/") and k.count("/") > 1}
    expect = {key.split("/", 1)[1]: value for key, value in own.items() if key.startswith("expect/")}
    if "lava" not in expect:
        raise ConformanceError(f"vector {name}: has no expectation of Lava's")
    graph = from_arrays(_text(own, "graph"), own)
    vector = Vector(
        name=name,
        about=_text(own, "about"),
        graph=graph,
        input=_ints(own, "input"),
        steps=len(expect["lava"]),
        observe=_text(own, "observe"),
        expect={key: _ints(own, f"expect/{key}") for key in expect},
    )
    got = _ints(own, "got") if "got" in own else None
    error = clean(cut(_text(own, "error"), 400)) if "error" in own else ""
    if got is None and not error:
        error = "was not run"
    return Answer(vector=vector, got=got, error=error)


def _text(datasets: Datasets, name: str) -> str:
    found = datasets.get(name)
    if found is None:
        return ""
    if found.dtype.kind != "S" or found.size != 1:
        raise ConformanceError(f"{name}: a text expected")
    return bytes(found.item()).decode("ascii", errors="replace")


def _ints(datasets: Datasets, name: str) -> npt.NDArray[Any]:
    found = datasets.get(name)
    if found is None or not np.issubdtype(found.dtype, np.integer) or found.ndim != 2:
        raise ConformanceError(f"{name}: a table of integers expected")
    return found


def verdict(result: Result) -> tuple[Verdict, ...]:
    """For every vector: equal to which hypothesis, or the first difference from the nearest."""
    return tuple(_verdict(answer) for answer in result.answers)


def _verdict(answer: Answer) -> Verdict:
    vector, got = answer.vector, answer.got
    found: dict[str, Any] = dict(equal="", nearest="", step=-1, neuron=-1, expected=0, found=0, error=answer.error)
    if got is not None and got.shape != vector.expect["lava"].shape:
        found["error"] = f"has the shape {list(got.shape)}, {list(vector.expect['lava'].shape)} expected"
    elif got is not None:
        order = sorted(vector.expect, key=lambda name: name != "lava")
        differing = {name: int((vector.expect[name] != got).sum()) for name in order}
        nearest = min(order, key=lambda name: differing[name])
        found["nearest"] = nearest
        if not differing[nearest]:
            found["equal"] = nearest
        else:
            step, neuron = (int(i) for i in np.argwhere(vector.expect[nearest] != got)[0])
            values = {"expected": int(vector.expect[nearest][step, neuron]), "found": int(got[step, neuron])}
            found |= {"step": step, "neuron": neuron, **values}
    return Verdict(vector=vector.name, about=clean(vector.about), **found)
