"""MATLAB files, which scipy writes here: read as it reads them; damaged, they are refused or read, and end nothing."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from tclif_neuro.data import DataError
from tclif_neuro.data.readers.matlab import read_matlab
from tests.examples import examples

TYPES = ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]


@examples(25)
@given(
    st.sampled_from(TYPES),
    st.lists(st.integers(0, 4), min_size=2, max_size=4),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_arrays_are_those_of_scipy(
    tmp_path_factory: pytest.TempPathFactory, dtype: str, shape: list[int], packed: bool, seed: int
) -> None:
    path = tmp_path_factory.mktemp("matlab") / "a.mat"
    x = np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)
    savemat(
        path, {"other": "text", "x": x, "longer_name": x.T, "cells": np.array([1, "a"], object)}, do_compression=packed
    )
    found, expected = read_matlab(path, ("x", "longer_name")), loadmat(path)
    for name in ("x", "longer_name"):
        assert found[name].dtype == expected[name].dtype and found[name].shape == expected[name].shape
        assert found[name].flags.c_contiguous and (found[name] == expected[name]).all()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "good.mat"
    savemat(path, {"x": np.arange(96, dtype=np.int16).reshape(3, 8, 4), "y": np.eye(3, dtype=np.uint8)})
    return path.read_bytes()


@examples(60)
@given(st.data())
def test_a_damaged_file_is_refused_or_read(
    good: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3), "changes")):
        content[data.draw(st.integers(0, len(content) - 1), "at")] = data.draw(st.integers(0, 255), "byte")
    path = tmp_path_factory.getbasetemp() / "damaged.mat"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)), "length") or None])
    try:
        found = read_matlab(path, ("x", "y"))
    except DataError as error:
        assert "damaged.mat: is not a MATLAB file" in str(error) and "\n" not in str(error)
    else:
        assert set(found) == {"x", "y"}


def test_what_ended_the_process_is_a_line(good: bytes, tmp_path: Path) -> None:
    """A type of numbers that there is none of: scipy's reader looks it up in a table."""
    at = good.index(b"\x03\0\0\0\xc0\0\0\0") if b"\x03\0\0\0\xc0\0\0\0" in good else good.index(b"x\0\0\0") + 4
    (tmp_path / "a.mat").write_bytes(good[:at] + b"\xe8" + good[at + 1 :])
    with pytest.raises(DataError, match="'x' is no array of real numbers"):
        read_matlab(tmp_path / "a.mat", ("x", "y"))


def test_what_is_none_or_lacks_an_array(good: bytes, tmp_path: Path) -> None:
    for name, content, says in (
        ("none", b"", "is not a MATLAB file of version 5 with x and z: it begins b''"),
        (
            "hdf5",
            b"MATLAB 7.3 MAT-file" + bytes(200),
            "is not a MATLAB file of version 5 with x and z: it begins b'MATLAB 7.3",
        ),
        ("good", good, "is not a MATLAB file with x and z: it has no array 'z'"),
    ):
        (tmp_path / f"{name}.mat").write_bytes(content)
        with pytest.raises(DataError, match=f"{name}.mat: {says}"):
            read_matlab(tmp_path / f"{name}.mat", ("x", "z"))
    savemat(tmp_path / "complex.mat", {"x": np.ones((2, 2)) * 1j})
    with pytest.raises(DataError, match="'x' is no array of real numbers"):
        read_matlab(tmp_path / "complex.mat", ("x",))
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_matlab(tmp_path / "missing.mat", ("x",))
