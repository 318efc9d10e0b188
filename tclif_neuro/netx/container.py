"""HDF5 as a flat mapping of paths to arrays, and back; a file is hostile input.

Nothing is executed and nothing outside the bytes is opened: no object types, no links but plain ones, no external or
virtual storage. Nothing is read before its type and size are known, and no dataset may claim more than the file holds.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from tclif_neuro.netx.files import reason
from tclif_neuro.netx.format import Datasets, NetFileError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
LFS_POINTER = b"version https://git-lfs."
MAX_ENTRIES = 20_000  # groups and datasets of a file
MAX_DEPTH = 4  # layer/1/neuron/type
MAX_ATTRIBUTE_BYTES = 4096
NUMBERS = "biuf"

Attributes = dict[str, int | bytes]


def pack(attributes: Mapping[str, Any], datasets: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """An HDF5 file that holds `datasets` and, at its root, `attributes`. The same content gives the same bytes."""
    name = secrets.token_hex()  # HDF5 lets no two open files have the same one; it is not stored
    with h5py.File(name, "w", driver="core", backing_store=False) as file:
        for attribute, value in attributes.items():
            file.attrs[attribute] = value
        for path, array in datasets.items():
            file.create_dataset(path, data=array, track_times=False)
        file.flush()
        return bytes(file.id.get_file_image())


def unpack(data: bytes, groups: tuple[str, ...]) -> tuple[Attributes, list[str], Datasets]:
    """The root's attributes, the names of the root's members, and the datasets in those of `groups` that exist.

    Raises `NetFileError` that names the path of what is damaged or not allowed.
    """
    if data.startswith(LFS_POINTER):
        raise NetFileError("is a Git-LFS pointer, not yet the file that it stands for; get that with `git lfs pull`")
    if not data.startswith(SIGNATURE):
        raise NetFileError("is not an HDF5 file")
    with _blaming("is not a whole HDF5 file; it was cut off or damaged"):
        identifier = h5py.h5f.open_file_image(data)
    with _blaming("is damaged"), h5py.File(identifier) as file:
        walk = _Walk(len(data))
        members = walk.names(file, "")
        for group in groups:
            if group in members:
                walk.visit(file, group, group, 1)
        return _attributes(file), members, walk.datasets


@contextmanager
def _blaming(what: str) -> Iterator[None]:
    """Name what could not be read: h5py turns a damaged file into almost any exception."""
    try:
        yield
    except NetFileError:
        raise
    except Exception as error:
        raise NetFileError(f"{what}: {type(error).__name__}: {reason(error)}") from error


class _Walk:
    """Collects the datasets of a file of `size` bytes, and counts: a hostile file cannot keep it busy for ever."""

    def __init__(self, size: int) -> None:
        self.datasets: Datasets = {}
        self.entries = 0
        self.bytes_left = size

    def names(self, group: h5py.Group, path: str) -> list[str]:
        """The names of a group's members; at the first one that is not plain, an error."""
        self.entries += len(group)
        if self.entries > MAX_ENTRIES:
            raise NetFileError(f"{path or '/'}: more than {MAX_ENTRIES} groups and datasets")
        names = list(group)
        for name in names:
            if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name)):
                raise NetFileError(f"{path or '/'}: has a member with the name {ascii(name)[:80]}")
        return names

    def visit(self, parent: h5py.Group, name: str, path: str, depth: int) -> None:
        """Read the member `name` of `parent`, a dataset or a group of them."""
        with _blaming(f"{path}: is damaged"):
            if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
                raise NetFileError(f"{path}: is a link to elsewhere, which is not allowed")
            member = parent[name]
            if isinstance(member, h5py.Dataset):
                self.datasets[path] = self._read(member, path)
            elif not isinstance(member, h5py.Group):
                raise NetFileError(f"{path}: is neither a group nor a dataset")
            elif depth > MAX_DEPTH:
                raise NetFileError(f"{path}: groups are nested deeper than {MAX_DEPTH}")
            else:
                for child in self.names(member, path):
                    self.visit(member, child, f"{path}/{child}", depth + 1)

    def _read(self, dataset: h5py.Dataset, path: str) -> npt.NDArray[Any]:
        """A dataset's value; a text of variable length becomes one of fixed length."""
        if dataset.shape is None:
            raise NetFileError(f"{path}: is empty")
        _check_storage(dataset, path)
        dtype = dataset.dtype
        if dtype.kind == "O" and _is_text(dtype) and dataset.size == 1:
            return np.array(dataset.asstr("ascii")[()]).astype(bytes).reshape(dataset.shape)
        if dtype.kind not in NUMBERS + "S" or (dtype.kind in NUMBERS and dtype.itemsize > 8):
            raise NetFileError(f"{path}: {dtype} is not allowed; integers, floats, booleans and texts are")
        claimed, stored = dataset.size * dtype.itemsize, dataset.id.get_storage_size()
        self.bytes_left -= claimed
        if claimed != stored or self.bytes_left < 0:
            raise NetFileError(f"{path}: claims {claimed} bytes, of which the file holds {min(stored, claimed)}")
        return np.asarray(dataset[()])


def _is_text(dtype: np.dtype[Any]) -> bool:
    """Return whether h5py's object `dtype` is for text of variable length; else it is a reference or a sequence."""
    return h5py.check_string_dtype(dtype) is not None


def _check_storage(dataset: h5py.Dataset, path: str) -> None:
    """Only plain storage: chunks could expand without limit, external and virtual storage open other files."""
    properties = dataset.id.get_create_plist()
    plain = properties.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
    if not plain or properties.get_external_count():
        raise NetFileError(f"{path}: is stored in chunks or elsewhere; `h5repack -l CONTI -f NONE` mends the former")


def _attributes(file: h5py.File) -> Attributes:
    """The root's attributes that are small and plain; none that we know is anything else."""
    found = {}
    for name in ("format", "version", "digest"):
        if name in file.attrs:
            attribute = file.attrs.get_id(name)
            kind, size = attribute.dtype.kind, attribute.dtype.itemsize
            if kind not in "iS" or attribute.shape != () or size > MAX_ATTRIBUTE_BYTES:
                raise NetFileError(f"attribute {name}: an integer or a text of fixed length expected")
            found[name] = file.attrs[name].item()
    return found
