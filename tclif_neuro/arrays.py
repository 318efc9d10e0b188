"""Named arrays and JSON in an .npz file: written the same for the same content, read without trusting a byte of it.

    write_arrays("a.npz", {"x": np.zeros(3)}, facts={"epoch": 1})
    stored = read_arrays("a.npz")
    stored.arrays["x"], stored.facts["epoch"]

An .npz file is a zip archive of .npy records (NEP 1). Nothing in it is executed: there are no objects. No record is
read before its header has been checked against the size that the archive gives for it, and that against the file's.
"""

from __future__ import annotations

import ast
import json
import math
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from tclif_neuro.errors import TclifError
from tclif_neuro.files import StrPath, open_regular, write_atomically
from tclif_neuro.text import check_nesting, cut, quoted

MAX_FILE_BYTES = 2**33  # of the file
MAX_BYTES = 2**33  # of all its arrays
MAX_ARRAYS = 10_000
MAX_EXPANSION = 500  # a compressed record's bytes for each of the file's; zeros reach 1,030
ALWAYS_EXPANDED = 2**26  # bytes that any record may expand to
MAX_HEADER = 10_000  # bytes of a record's header, as NumPy has it
MAX_DIMENSIONS = 32
FACTS = "facts"  # the record that holds the JSON
KINDS = "numbers, truths and texts"
_TYPE = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|[SU][1-9]\d{0,8})")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the date of every record, the first that a zip archive can have

Array = npt.NDArray[Any]


class ArraysError(TclifError, ValueError):
    """A file that holds no arrays that may be read; the message says what is wrong, without the file's name."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The contents of an .npz file. facts: its JSON, {} if it had none."""

    arrays: dict[str, Array]
    facts: dict[str, Any]


def write_arrays(path: StrPath, arrays: Mapping[str, Array], facts: Mapping[str, Any] | None = None) -> None:
    """Write `arrays`, and `facts` as JSON; whole or not at all, see `write_atomically`.

    Raises `ValueError` for objects, and for numbers in `facts` that JSON has not; `OSError`.
    """
    told = {} if facts is None else {FACTS: np.array(json.dumps(facts, allow_nan=False))}

    def write(file: BinaryIO) -> None:
        archive = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)
        try:
            for name, array in {**told, **arrays}.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy", _EPOCH), "w", force_zip64=True) as record:
                    np.lib.format.write_array(record, np.asanyarray(array), allow_pickle=False)
            archive.close()
        finally:
            archive.fp = None  # if interrupted, its clean-up would put an error in that one's place

    write_atomically(path, write)


def read_arrays(path: StrPath, required: Collection[str] = (), optional: Collection[str] | None = None) -> Stored:
    """The arrays of an .npz file in the machine's byte order, and the facts in it.

    required: names that must be there. optional: others that are read if they are there; None: all. What is neither is
    not read. Raises `ArraysError` for anything but a whole archive of plain arrays, and if a name is missing.
    """
    with _blaming("cannot be read"), open_regular(path, MAX_FILE_BYTES) as file:
        if file.read(6) == b"\x93NUMPY":
            raise ArraysError("is a single array, not an .npz archive of named arrays")
        file.seek(0)
        with _blaming("is not an .npz archive of arrays, or is damaged"), zipfile.ZipFile(file) as archive:
            members = _members(archive, file.seek(0, 2))
            missing = [name for name in required if name not in members]
            if missing:
                raise ArraysError(f"has no array {missing[0]!r}; it has {cut(str(sorted(members)))}")
            wanted = members if optional is None else {*required, *optional}
            found = {name: _record(archive, name, member) for name, member in members.items() if name in wanted}
    facts = _facts(found.pop(FACTS)) if optional is None and FACTS in found else {}
    return Stored(arrays=found, facts=facts)


@contextmanager
def _blaming(what: str, name: str = "") -> Iterator[None]:
    """Say what could not be read: a damaged archive becomes almost any exception. name: of the array it is about."""
    try:
        yield
    except MemoryError:
        raise
    except ArraysError as error:
        raise ArraysError(f"{name}: {error}" if name else str(error)) from error
    except OSError as error:
        raise ArraysError(f"{what}: {error.strerror or error}") from error
    except Exception as error:
        raise ArraysError(f"{what}: {cut(str(error)) or type(error).__name__}") from error


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The records by their arrays' names, in an archive of `size` bytes; none has been read yet."""
    members: dict[str, zipfile.ZipInfo] = {}
    if len(archive.infolist()) > MAX_ARRAYS:
        raise ArraysError(f"has {len(archive.infolist())} records, the limit is {MAX_ARRAYS}")
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name == member.filename:
            raise ArraysError(f"the record {quoted(member.filename)} is no array: its name does not end in .npy")
        if name in members:
            raise ArraysError(f"has two arrays of the name {quoted(name)}")
        members[name] = member
        _check_member(name, member)
    if sum(member.compress_size for member in members.values()) > size:
        raise ArraysError(f"its records claim more than the file's {size} bytes")
    total = sum(member.file_size for member in members.values())
    if total > MAX_BYTES:
        raise ArraysError(f"its arrays have {total} bytes, the limit is {MAX_BYTES}")
    return members


def _check_member(name: str, member: zipfile.ZipInfo) -> None:
    if member.flag_bits & 0x1:
        raise ArraysError(f"{quoted(name)}: is encrypted, or its record is damaged")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArraysError(f"{quoted(name)}: is compressed by method {member.compress_type}, which NumPy does not use")
    if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
        raise ArraysError(f"{quoted(name)}: claims {member.file_size} bytes and holds {member.compress_size}")
    if member.file_size > max(ALWAYS_EXPANDED, MAX_EXPANSION * member.compress_size):
        times = member.file_size // max(1, member.compress_size)
        raise ArraysError(
            f"{quoted(name)}: would expand {times} times to {member.file_size} bytes, the limit is {MAX_EXPANSION} "
            "times; save it uncompressed (numpy.savez)"
        )


def _record(archive: zipfile.ZipFile, name: str, member: zipfile.ZipInfo) -> Array:
    """One array. Its memory is asked for when its header and the archive agree on how much that is."""
    with _blaming(f"{quoted(name)} is damaged", quoted(name)), archive.open(member) as record:
        dtype, fortran, shape, header = _header(record)
        claimed, held = math.prod(shape) * dtype.itemsize, member.file_size - header
        if claimed != held:
            raise ArraysError(f"its header claims {claimed} bytes, its record holds {held}")
        array = np.empty(math.prod(shape), dtype)
        _fill(record, array)
        _check_values(array)
        return array.astype(dtype.newbyteorder("="), copy=False).reshape(shape, order="F" if fortran else "C")


def _header(record: Any) -> tuple[np.dtype[Any], bool, tuple[int, ...], int]:
    """The type, the order, the shape, and how many bytes say so."""
    start = record.read(8)
    if start[:6] != b"\x93NUMPY" or start[6:] not in (b"\1\0", b"\2\0", b"\3\0"):
        raise ArraysError("is no .npy record of version 1, 2 or 3")
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(record.read(width), "little")
    if length > MAX_HEADER:
        raise ArraysError(f"its header has {length} bytes, the limit is {MAX_HEADER}")
    text = record.read(length).decode("utf-8" if start[6] == 3 else "latin-1")
    if sum(map(text.count, "([{")) > MAX_DIMENSIONS:
        raise ArraysError(f"holds values that are none of {KINDS}")
    header = ast.literal_eval(text.strip())
    if not isinstance(header, dict) or header.keys() != {"descr", "fortran_order", "shape"}:
        raise ArraysError("its header has other keys than descr, fortran_order and shape")
    return _type(header["descr"]), bool(header["fortran_order"]), _shape(header["shape"]), 8 + width + length


def _type(descr: Any) -> np.dtype[Any]:
    if not isinstance(descr, str) or not _TYPE.fullmatch(descr):
        what = "Python objects" if isinstance(descr, str) and descr.endswith("O") else f"values of type {quoted(descr)}"
        raise ArraysError(f"holds {what}; {KINDS} are allowed")
    return np.dtype(descr)


def _shape(shape: Any) -> tuple[int, ...]:
    if (
        not isinstance(shape, tuple)
        or len(shape) > MAX_DIMENSIONS
        or not all(type(n) is int and 0 <= n < 2**63 for n in shape)
    ):
        raise ArraysError(f"has the shape {quoted(shape)}")
    return shape


def _fill(record: Any, array: Array) -> None:
    """Read all of `array`; the archive checks its sum at the end."""
    view, done = array.view(np.uint8).data, 0
    while done < len(view):
        part = record.readinto(view[done : done + 2**20])
        if not part:
            raise ArraysError("is shorter than it claims")
        done += part
    if record.read(1):
        raise ArraysError("is longer than it claims")


def _check_values(array: Array) -> None:
    """Bytes that are no truth, and numbers that are no character, would be accepted until they are used."""
    if array.dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
        raise ArraysError("holds a truth that is neither 0 nor 1")
    if array.dtype.kind == "U" and array.nbytes:
        points = array.view(np.dtype(f"{array.dtype.byteorder}u4"))
        if points.max() > 0x10FFFF or ((points >= 0xD800) & (points < 0xE000)).any():
            raise ArraysError("holds characters that do not exist")


def _facts(array: Array) -> dict[str, Any]:
    """The JSON object in the text `array`."""
    if array.dtype.kind != "U" or array.shape != ():
        raise ArraysError(f"{FACTS}: one text expected, got {array.dtype} of shape {list(array.shape)}")
    try:
        facts = json.loads(
            str(array), parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_without_duplicates
        )
        check_nesting(facts)
    except (ValueError, RecursionError) as error:
        raise ArraysError(f"{FACTS}: is not JSON of use here: {cut(str(error))}") from error
    if not isinstance(facts, dict):
        raise ArraysError(f"{FACTS}: a JSON object expected, got {quoted(facts)}")
    return facts


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found
