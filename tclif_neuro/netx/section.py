"""Part of a file's content, read field by field; what is of the wrong type or shape is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy.typing as npt

from tclif_neuro.network import FormatError, Layer, QuantizedNetwork
from tclif_neuro.netx.format import Datasets, NetFileError
from tclif_neuro.text import cut

LONGEST = 300  # characters of an error, which may quote a text of any length
KINDS = {"b": "boolean", "i": "signed integer", "f": "float", "S": "text"}


class Section:
    """The datasets below `path`. Remembers what was asked for, so that `finish` can name what nobody knows."""

    def __init__(self, datasets: Datasets, path: str) -> None:
        self.path = path
        self.datasets = {k[len(path) + 1 :]: v for k, v in datasets.items() if k.startswith(path + "/")}
        self.taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.datasets

    def fail(self, name: str, why: str) -> NetFileError:
        """The error to raise about the dataset `name`."""
        return NetFileError(f"{self.path}/{name}: {cut(why, LONGEST)}")

    def take(self, name: str) -> npt.NDArray[Any]:
        """The dataset `name`, of whatever type and shape."""
        if name not in self.datasets:
            raise self.fail(name, "is missing")
        self.taken.add(name)
        return self.datasets[name]

    def array(self, name: str, ndim: int, kind: str = "i") -> npt.NDArray[Any]:
        """The dataset `name` with `ndim` dimensions."""
        array = self.take(name)
        if array.dtype.kind != kind:
            raise self.fail(name, f"{KINDS[kind]} expected, got {array.dtype}")
        if array.ndim != ndim:
            raise self.fail(name, f"{ndim} dimension(s) expected, got shape {list(array.shape)}")
        return array

    def scalar(self, name: str, kind: str = "i") -> Any:
        """The single number, boolean or text `name`, as Python's own type."""
        return self.array(name, 0, kind)[()].item()

    def text(self, name: str) -> str:
        """The single ASCII text `name`; a vector of one text counts, as lava-dl writes them."""
        array = self.take(name)
        if array.dtype.kind != "S" or array.size != 1 or array.ndim > 1:
            raise self.fail(name, f"one text expected, got {array.dtype} of shape {list(array.shape)}")
        try:
            return bytes(array.reshape(())[()]).decode("ascii")
        except UnicodeDecodeError as error:
            raise self.fail(name, "is not ASCII") from error

    def ignore(self, *names: str) -> None:
        """Let `finish` pass these datasets."""
        self.taken.update(names)

    def finish(self) -> None:
        """Raise `NetFileError` if the section holds a dataset that was not asked for."""
        for name in sorted(self.datasets.keys() - self.taken):
            raise self.fail(name, "is unknown; was the file written by a newer version?")


def numbered(datasets: Datasets) -> list[Section]:
    """The sections layer/0, layer/1, ..., of which none may be missing."""
    found = {name.split("/")[1] for name in datasets if name.startswith("layer/")}
    if not found or found != {str(i) for i in range(len(found))}:
        raise NetFileError(f"layer: groups 0, 1, 2, ... expected, got {sorted(found)[:8]}")
    return [Section(datasets, f"layer/{i}") for i in range(len(found))]


@contextmanager
def fields_named(path: str, names: Mapping[str, str]) -> Iterator[None]:
    """Turn the hub's `FormatError` about a field into a `NetFileError` about `path`/`names[field]`."""
    try:
        yield
    except FormatError as error:
        field, _, why = str(error).partition(": ")
        raise NetFileError(f"{path}/{names.get(field, field)}: {why}") from error


def connected(layers: list[Layer], sections: list[Section], **rest: Any) -> QuantizedNetwork:
    """The network of `layers`, read from `sections`, which an error names."""
    numbers = {f"layer {i}": section.path.removeprefix("layer/") for i, section in enumerate(sections)}
    with fields_named("layer", numbers):
        return QuantizedNetwork(layers=tuple(layers), **rest)
