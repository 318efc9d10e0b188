"""Named arrays from the files that users keep them in. Nothing in a file is executed, no link in it is followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.data.npz import RAGGED, read_arrays
from tclif_neuro.data.sequences import DataError

Arrays = dict[str, npt.NDArray[Any]]
SUFFIXES = (".npz", ".h5", ".hdf5")
OTHERS = (".npy", ".csv", ".txt", ".wav", ".mat", ".zip")  # of files that hold data, but no task


def is_path(name: str) -> bool:
    """Return whether the name of a task is that of a file or folder: by its suffix, or because there is a / in it."""
    return name.lower().endswith(SUFFIXES + OTHERS) or "/" in name or "\\" in name or name.startswith(("~", "."))


def arrays_of(path: Path) -> Arrays:
    """The arrays in an .npz file, in the root of an HDF5 file, or in a folder's .npy files (memory-mapped), by name.

    Raises `DataError`.
    """
    if path.is_dir():
        return _folder(path)
    return read_hdf5(path) if path.suffix.lower() in (".h5", ".hdf5") else read_arrays(path)


def _folder(path: Path) -> Arrays:
    found: Arrays = {}
    for file in sorted(path.glob("*.npy")):
        try:
            found[file.stem] = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError, TypeError, OverflowError) as error:
            raise DataError(f"{file}: is not an array of plain numbers: {error}") from error
    if not found:
        raise DataError(f"{path}: is a folder without .npy files, and without folders of recordings")
    return found


def read_hdf5(path: Path) -> Arrays:
    """The data sets in the root of an HDF5 file. Raises `DataError`."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return {name: _plain(path, file, name) for name in file}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except MemoryError:
        raise DataError(f"{path}: is too large for the memory; a folder of .npy files is read from the disk") from None
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: is not an HDF5 file of arrays: {error}") from error


def _plain(path: Path, file: Any, name: str) -> npt.NDArray[Any]:
    import h5py

    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise DataError(f"{path}: {name!r} is a link; data sets of the file itself are read alone")
    item = file[name]
    if isinstance(item, h5py.Group):
        raise DataError(f"{path}: {name!r} is a group; arrays stand in the root, and of parts as x_test, y_test")
    if not isinstance(item, h5py.Dataset) or item.external:
        raise DataError(f"{path}: {name!r} is no data set of the file itself")
    if h5py.check_string_dtype(item.dtype) is not None:
        return np.asarray(item.asstr()[()], dtype=np.str_)
    if h5py.check_vlen_dtype(item.dtype) is not None:
        raise DataError(f"{path}: {name!r} holds rows of different lengths{RAGGED}")
    if item.dtype.kind not in "buifS":
        raise DataError(f"{path}: {name!r} holds {item.dtype}; numbers and text are read alone")
    return np.asarray(item[()])
