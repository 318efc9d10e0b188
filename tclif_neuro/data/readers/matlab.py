"""Arrays of numbers from MATLAB files of version 5, read here: scipy's reader ends the process on some damaged ones.

    128 bytes of text, of which the last four are the version and the order of bytes, "IM" or "MI"; then elements
    element: type, size [uint32], then so many bytes, filled up to 8; or, of at most 4 bytes, size and type in one word
    type 15: an element in zlib's code        type 14: an array, whose elements are
        flags [uint32 2]: class in the lowest byte; dimensions [int32]; name [int8]; its numbers, first index fastest

Source: MathWorks, MAT-file format, version 5.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.data.sequences import DataError

Array = npt.NDArray[Any]
MAX_BYTES = 2**29  # of a file, and of what is in an element that was compressed
HEADER, ARRAY, COMPRESSED = 128, 14, 15
STORED = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}  # types of elements
CLASSES = range(6, 16)  # of arrays of numbers; their type is that in which the numbers are stored
COMPLEX = 0x0800  # of an array's flags


class _Damaged(ValueError):
    pass


def read_matlab(path: Path, names: Collection[str]) -> dict[str, Array]:
    """The arrays of these names. Raises `DataError` if one is missing, or is not of real numbers."""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
        found = dict(_arrays(content, names))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (_Damaged, zlib.error) as error:
        raise DataError(f"{path}: is not a MATLAB file of version 5 with {' and '.join(names)}: {error}") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"{path}: is not a MATLAB file with {' and '.join(names)}: it has no array {missing[0]!r}")
    return found


def _arrays(content: bytes, names: Collection[str]) -> Iterator[tuple[str, Array]]:
    if len(content) > MAX_BYTES:
        raise _Damaged(f"it has more than {MAX_BYTES} bytes")
    order = {b"IM": "<", b"MI": ">"}.get(content[HEADER - 2 : HEADER])
    if order is None or content[HEADER - 4 : HEADER - 2] not in (b"\0\1", b"\1\0"):
        raise _Damaged(f"it begins {content[:20]!r}")
    for kind, data in _elements(memoryview(content)[HEADER:], order):
        if kind == COMPRESSED:
            inner = zlib.decompressobj()
            plain = inner.decompress(data, MAX_BYTES)
            if inner.unconsumed_tail:
                raise _Damaged(f"an element of more than {MAX_BYTES} bytes")
            kind, data = next(_elements(memoryview(plain), order), (0, memoryview(b"")))
        if kind == ARRAY and (found := _array(data, order, names)) is not None:
            yield found


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """The type and the bytes of each element in `data`."""
    at = 0
    while at < len(data):
        if len(data) - at < 8:
            raise _Damaged("an element ends in its first bytes")
        kind, size = (int(word) for word in np.frombuffer(data, f"{order}u4", 2, at))
        small = kind >> 16
        start = at + 4 if small else at + 8
        kind, size = (kind & 0xFFFF, small) if small else (kind, size)
        if size > (4 if small else len(data) - start):
            raise _Damaged(f"an element of {size} bytes where {len(data) - start} are left")
        yield kind, data[start : start + size]
        at = at + 8 if small else start + size + (0 if kind == COMPRESSED else -size % 8)


def _array(data: memoryview, order: str, names: Collection[str]) -> tuple[str, Array] | None:
    """The name and the numbers of an array; None if it has another name."""
    parts = _elements(data, order)
    flags, shape, name = (next(parts, (0, memoryview(b"")))[1] for _ in range(3))
    called = bytes(name).decode("latin-1")
    if called not in names:
        return None
    if len(flags) != 8 or len(shape) % 4:
        raise _Damaged(f"the array {called!r} has {len(flags)} bytes of flags and {len(shape)} of dimensions")
    word = int(np.frombuffer(flags, f"{order}u4", 1)[0])
    dimensions = [int(n) for n in np.frombuffer(shape, f"{order}i4")]
    kind, numbers = next(parts, (0, memoryview(b"")))
    if word & 0xFF not in CLASSES or word & COMPLEX or kind not in STORED:
        raise _Damaged(f"{called!r} is no array of real numbers")
    stored = np.dtype(f"{order}{STORED[kind]}")
    if min(dimensions, default=-1) < 0 or math.prod(dimensions) * stored.itemsize != len(numbers):
        raise _Damaged(f"{called!r} has {len(numbers)} bytes for {dimensions} numbers of {stored.itemsize}")
    found = np.frombuffer(numbers, stored).reshape(dimensions, order="F")
    return called, found.astype(STORED[kind], order="C")
