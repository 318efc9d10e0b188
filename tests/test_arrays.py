"""Arrays in .npz files: what was written is read, and nothing else is; whatever the file claims."""

import io
import json
import os
import struct
import sys
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tclif_neuro import arrays, files
from tclif_neuro.arrays import MAX_EXPANSION, ArraysError, read_arrays, write_arrays

TYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.byte_string_dtypes(),
    hnp.unicode_string_dtypes(endianness="?"),
)
NAMES = st.text(st.sampled_from("abc_./0"), min_size=1, max_size=8).filter(lambda n: not n.startswith("/"))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
ARRAYS = TYPES.flatmap(lambda dtype: hnp.arrays(dtype, SHAPES)).filter(
    lambda array: array.dtype.kind != "U" or not any("\ud800" <= c <= "\udfff" for c in "".join(array.flat))
)  # half a character alone is none, and refused


@given(
    st.dictionaries(NAMES, ARRAYS, max_size=4),
    st.dictionaries(st.text(), JSON, max_size=4),
    st.booleans(),
)
def test_what_was_written_is_read(tmp_path_factory, arrays, facts, fortran):
    path = tmp_path_factory.mktemp("arrays") / "a.npz"
    arrays = {name: np.asfortranarray(array) if fortran else array for name, array in arrays.items() if name != "facts"}
    write_arrays(path, arrays, facts)
    first = path.read_bytes()
    stored = read_arrays(path)
    assert stored.facts == facts and stored.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        found = stored.arrays[name]
        assert found.dtype.isnative and found.dtype == array.dtype.newbyteorder("=") and found.shape == array.shape
        assert np.array_equal(found, array, equal_nan=array.dtype.kind == "f") and found.flags.writeable
    write_arrays(path, arrays, facts)
    assert path.read_bytes() == first, "the same content, the same bytes"


@given(ARRAYS, st.booleans())
def test_numpy_and_this_read_each_other(tmp_path_factory, array, compressed):
    path = tmp_path_factory.mktemp("arrays") / "a.npz"
    (np.savez_compressed if compressed else np.savez)(path, a=array)
    assert np.array_equal(read_arrays(path, ["a"]).arrays["a"], array, equal_nan=array.dtype.kind == "f")
    write_arrays(path, {"a": array})
    with np.load(path) as file:
        assert np.array_equal(file["a"], array, equal_nan=array.dtype.kind == "f")


def test_only_what_is_asked_for_is_read(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros(3), y=np.ones(2), objects=np.array([None]))
    assert read_arrays(path, ["x"], ["z"]).arrays.keys() == {"x"}
    with pytest.raises(ArraysError, match=r"has no array 'z'; it has \['objects', 'x', 'y'\]"):
        read_arrays(path, ["z"])
    with pytest.raises(ArraysError, match="'objects': holds Python objects"):
        read_arrays(path)


def npy(
    descr="'<f4'", shape="(3,)", data=b"\0" * 12, keys="'descr': {d}, 'fortran_order': False, 'shape': {s}", version=1
):
    """An .npy record, its header as told."""
    header = ("{" + keys.format(d=descr, s=shape) + ", }\n").encode()
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


def archive(*records, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as out:
        warnings.simplefilter("ignore")  # two of the same name
        for name, content in records:
            out.writestr(name, content)
    return file.getvalue()


def facts(text):
    array = io.BytesIO()
    np.save(array, np.array(text))
    return archive(("facts.npy", array.getvalue()))


def directory_edited(data, at, value):
    """`data` with the first entry of its central directory changed at an offset (PKZIP, APPNOTE 4.3.12)."""
    start = data.index(b"PK\x01\x02")
    return data[: start + at] + value + data[start + at + len(value) :]


GOOD = archive(("x.npy", npy()))
BAD = {
    "objects": (archive(("x.npy", npy("'|O'", "(1,)", b"\0" * 8))), "'x': holds Python objects"),
    "records": (archive(("x.npy", npy("[('a', '<f4')]"))), "'x': holds values of type"),
    "times": (archive(("x.npy", npy("'<M8[s]'"))), "'x': holds values of type"),
    "complex": (archive(("x.npy", npy("'<c8'"))), "'x': holds values of type"),
    "texts of nothing": (archive(("x.npy", npy("'<U0'", "(1000000000000,)", b""))), "'x': holds values of type"),
    "a type that is code": (archive(("x.npy", npy("__import__('os')"))), "'x' is damaged"),
    "nested": (archive(("x.npy", npy("(" * 2000 + ")" * 2000))), "'x': holds values"),
    "other keys": (archive(("x.npy", npy(keys="'descr': {d}, 'shape': {s}"))), "other keys"),
    "no dict": (archive(("x.npy", npy(keys="{d}, {s}"))), "'x': its header has other keys"),
    "version 9": (archive(("x.npy", npy(version=9))), "'x': is no .npy record"),
    "long header": (
        archive(("x.npy", npy(keys="'descr': {d}, 'fortran_order': False, 'shape': {s}" + " " * 20_000))),
        "its header",
    ),
    "more than there is": (archive(("x.npy", npy(shape="(4,)"))), "claims 16 bytes, its record holds 12"),
    "less than there is": (archive(("x.npy", npy(shape="(2,)"))), "claims 8 bytes, its record holds 12"),
    "huge": (archive(("x.npy", npy(shape=f"({10**30}, 8)"))), "'x': has the shape"),
    "product overflows": (archive(("x.npy", npy(shape=f"({2**62}, 4)"))), "its record holds 12"),
    "negative": (archive(("x.npy", npy(shape="(-3,)"))), "'x': has the shape"),
    "truth as a size": (archive(("x.npy", npy(shape="(True, 3)"))), "'x': has the shape"),
    "truth": (archive(("x.npy", npy("'|b1'", "(3,)", b"\0\1\2"))), "neither 0 nor 1"),
    "character": (archive(("x.npy", npy("'<U1'", "(1,)", b"\xff" * 4))), "characters that do not exist"),
    "surrogate": (archive(("x.npy", npy("'<U1'", "(1,)", b"\x00\xd8\0\0"))), "characters that do not exist"),
    "no array": (archive(("x.npy", b"hello world, this is text")), "'x': is no .npy record"),
    "another file": (archive(("x.txt", npy())), "'x.txt' is no array"),
    "twice": (archive(("x.npy", npy()), ("x.npy", npy())), "two arrays of the name 'x'"),
    "encrypted": (directory_edited(GOOD, 8, b"\1\0"), "'x': is encrypted"),
    "method": (directory_edited(GOOD, 10, b"\x09\0"), "'x': is compressed by method 9"),
    "sum": (directory_edited(GOOD, 16, b"\0\0\0\0"), "'x' is damaged: Bad CRC"),
    "sizes differ": (directory_edited(GOOD, 24, b"\0\0\0\x70"), "claims 1879048192 bytes and holds"),
    "both sizes": (directory_edited(GOOD, 20, b"\0\0\0\x70" * 2), "claim more than the file's"),
    "bomb": (
        archive(("x.npy", npy("'|u1'", "(80000000,)", b"\0" * 80_000_000)), method=zipfile.ZIP_DEFLATED),
        f"limit is {MAX_EXPANSION} times",
    ),
    "single": (npy(), "is a single array"),
    "empty": (b"", "is not an .npz archive"),
    "text": (b"hello", "is not an .npz archive"),
    "nested facts": (facts('{"a": ' + "[" * 5000 + "]" * 5000 + "}"), "facts: is not JSON"),
    "deep facts": (facts('{"a": ' + "[" * 40 + "]" * 40 + "}"), "nested deeper than 32"),
    "infinite facts": (facts('{"a": Infinity}'), "Infinity is no number"),
    "too large facts": (facts('{"a": 1e999}'), "1e999 is no number"),
    "facts twice": (facts('{"a": 1, "a": 2}'), "a key is there twice"),
    "facts in a list": (facts("[1]"), "a JSON object expected"),
    "facts of numbers": (archive(("facts.npy", npy())), "facts: one text expected"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD.keys())
def test_anything_else_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(ArraysError, match=message) as error:
        read_arrays(path)
    assert len(str(error.value)) < 500 and "\n" not in str(error.value)


def test_pipes_devices_and_folders_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path, tmp_path / "absent", "a\0b"):
        with pytest.raises(ArraysError, match="cannot be read: "):
            read_arrays(path)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
def test_a_damaged_file_is_refused_or_the_same(tmp_path_factory, changes, compressed):
    path = tmp_path_factory.mktemp("arrays") / "a.npz"
    arrays = {"x": np.arange(40, dtype=np.float32), "t": np.array(["a", "bc"]), "b": np.array([True, False])}
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    content = bytearray(path.read_bytes())
    for where, byte in changes:
        content[where % len(content)] = byte
    path.write_bytes(content)
    try:
        stored = read_arrays(path).arrays
    except ArraysError as error:
        assert len(str(error)) < 500
    else:
        same = {name: array for name, array in arrays.items() if name in stored}  # a name may have been hit
        assert all(np.array_equal(stored[name], array) for name, array in same.items())


def test_what_json_has_not_is_not_written(tmp_path):
    for wrong in ({"a": float("nan")}, {"a": object()}):
        with pytest.raises((ValueError, TypeError)):
            write_arrays(tmp_path / "a.npz", {}, wrong)
    with pytest.raises(ValueError, match="Object arrays"):
        write_arrays(tmp_path / "a.npz", {"x": np.array([None])})
    assert not list(tmp_path.iterdir()) and json.dumps({})


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # what was just being made
def test_an_interrupt_at_any_line_is_one_and_leaves_a_whole_file(tmp_path):
    path = tmp_path / "a.npz"
    write_arrays(path, {"a": np.arange(3)})
    old, usual, left = path.read_bytes(), sys.gettrace(), 0
    interrupted = {arrays.__file__, files.__file__, zipfile.__file__}

    def trace(frame, event, arg):
        nonlocal left
        if frame.f_code.co_filename not in interrupted or "__del__" in (
            frame.f_code.co_name,
            frame.f_back.f_code.co_name,
        ):
            return None  # in a finalizer it would be printed, not raised
        left -= event == "line"
        if left == 0:
            left = -1
            raise KeyboardInterrupt
        return trace

    for moment in range(1, 10_000):
        left = moment
        sys.settrace(trace)
        try:
            write_arrays(path, {"a": np.arange(4), "b": np.arange(5)})
            break
        except KeyboardInterrupt:
            assert path.read_bytes() == old or read_arrays(path).arrays["a"].size == 4
            path.write_bytes(old)
        finally:
            sys.settrace(usual)
    assert moment > 200, "the archive, its records and the replacing were interrupted at each of their lines"
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]
