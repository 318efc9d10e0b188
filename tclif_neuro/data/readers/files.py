"""The files of a data set, in a folder or in the .zip file in which it came; and the lines of a text file."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tclif_neuro.data.cache import file_identity, files_identity
from tclif_neuro.data.sequences import DataError

MAX_BYTES = 2**24  # of a file; the longest recording of N-MNIST has a thousandth of that


class Files:
    """The files of a folder or of a .zip file, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._archive: zipfile.ZipFile | None = None
        if path.is_dir():
            files = (str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())
            self.names = sorted(name for name in files if not is_hidden(name))
            return
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: is neither a folder nor a .zip file: {error}") from error
        self.names = sorted(name for name in self._archive.namelist() if not is_hidden(name))

    def read(self, name: str) -> bytes:
        """One file's content. Raises `DataError`."""
        try:
            if self._archive is None:
                with open(self.path / name, "rb") as file:
                    content = file.read(MAX_BYTES + 1)
            else:
                with self._archive.open(name) as record:
                    content = record.read(MAX_BYTES + 1)
        except (OSError, RuntimeError, KeyError, zipfile.BadZipFile, NotImplementedError) as error:
            raise DataError(f"{self.path}: {name}: cannot be read: {error}") from error
        if len(content) > MAX_BYTES:
            raise DataError(f"{self.path}: {name}: has more than {MAX_BYTES} bytes")
        return content

    def identity(self) -> str:
        """Identifies the content: of a folder by its files' names, sizes and times."""
        if self._archive is not None:
            return file_identity(self.path)
        return files_identity(self.path, self.names)


def read_lines(path: Path) -> list[str]:
    """The lines of a text file in UTF-8; the mark that Windows sets before it is let pass. Raises `DataError`."""
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not a text file in UTF-8: {error}") from error


def is_hidden(name: str) -> bool:
    """Return whether a file is none of the user's: `._1.bin`, `.DS_Store`, what macOS packs into a .zip file."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.replace("\\", "/").split("/"))
