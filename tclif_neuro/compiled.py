"""Kernels: functions compiled by numba, over whatever arithmetic, and kept on disk for the next process.

An equation is written once, over names like `mul` and `sat`; `rebind` gives its source another arithmetic, and
`over_reals` that of the floating point it is called with. `kernel` compiles the function that Python calls and keeps
the machine code in a file. The name of the file is a digest of every source that the kernel can be made of (its own
file and all that this imports from the package, constants included), of the types of its arguments, the machine and
the versions of Python, NumPy and numba; so a change of any of them meets no old code, and no index can be out of date.

The folder is `tclif-neuro` in $NUMBA_CACHE_DIR, or else in $XDG_CACHE_HOME or ~/.cache; where that cannot be written, a
folder of the user's own in the folder for temporary files; else nothing is kept. Any file in it may be deleted.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from types import FunctionType
from typing import Any

import llvmlite  # type: ignore[import-untyped]
import numba
import numpy as np
from numba import njit, types
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.core.sigutils import normalize_signature
from numba.extending import overload

from tclif_neuro.lanes import Lanes

PACKAGE = Path(__file__).resolve().parent
UNUSED_DAYS = 60  # a file that has not been used for so long is deleted
_CHECK = hashlib.sha256().digest_size  # bytes of a file before its content, their digest
_HARMLESS = ("NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS")  # variables of numba that do not change the code it makes


def rebind(function: Callable[..., Any], **names: Any) -> Callable[..., Any]:
    """`function` with the same source, in which the global `names` are these."""
    assert isinstance(function, FunctionType)
    return FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__)


def inlined(function: Callable[..., Any], **names: Any) -> Any:
    """`rebind`, for compiled code to call."""
    return njit(rebind(function, **names))


def over_reals(function: Callable[..., Any], **names: Any) -> Any:
    """`inlined`, for first arguments of float32 and float64, or lanes of them (`lanes`), in whose type the numbers of
    the source are then.

    Otherwise numba would widen a float32 that meets an integer or a Python float to float64. For compiled code only.
    """

    def stub(*_: Any) -> Any:
        raise NotImplementedError(f"{function.__module__}.{function.__name__}, compiled: call it from compiled code")

    versions = {types.float32: _typed(function, np.float32, names), types.float64: _typed(function, np.float64, names)}

    def choose(first: Any, *_: Any) -> Any:
        return versions.get(first.element if isinstance(first, Lanes) else first)

    stub.__signature__ = choose.__signature__ = inspect.signature(versions[types.float32])  # type: ignore[attr-defined]
    overload(stub)(choose)
    return stub


def _typed(function: Callable[..., Any], real: type, names: dict[str, Any]) -> Callable[..., Any]:
    """`rebind` with the numbers of the source, and those of `names`, as `real`."""
    numbers = {name: real(value) if type(value) in (int, float) else value for name, value in names.items()}
    made = rebind(function, **numbers)
    constants = (real(c) if type(c) in (int, float) else c for c in made.__code__.co_consts)
    code = made.__code__.replace(co_consts=tuple(constants))
    return FunctionType(code, made.__globals__, function.__name__)


def kernel(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile `function` for Python to call, without the GIL, and keep the code on disk; options: of `numba.njit`."""
    if function is None:
        return lambda found: kernel(found, **options)
    dispatcher = njit(nogil=True, **options)(function)
    dispatcher._cache = _Kept(function)
    return dispatcher


class _Kept:
    """The files of one kernel, one for each signature: what a numba dispatcher takes for its cache."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name, self._file = function.__name__, Path(inspect.getfile(function))
        self.cache_path = ""

    def load_overload(self, signature: Any, context: Any) -> Any:
        """The code for `signature`, or None: whatever is wrong with a file, it is then made again."""
        path = self._path(signature, context.codegen())
        if path is None or not path.exists():
            return None
        context.refresh()
        try:
            data = path.read_bytes()
            if hashlib.sha256(data[_CHECK:]).digest() != data[:_CHECK]:
                raise ValueError("cut short or changed")
            # Machine code is no safer than a pickle: both are from a folder that nobody else can write.
            found = CompileResult._rebuild(context, *pickle.loads(data[_CHECK:]))  # noqa: S301
            os.utime(path)
        except Exception:  # numba and pickle raise of every kind
            _say(f"compiled code in {path.parent} is damaged; it is made again")
            return None
        return found if found.signature.args == normalize_signature(signature)[0] else None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep what was compiled, if there is a place for it."""
        path = self._path(signature, result.codegen)
        if path is None or result.lifted or result.objectmode or result.library.has_dynamic_globals:
            return
        content = dumps(result._reduce())
        try:
            _write(path, hashlib.sha256(content).digest() + content)
            _remove_unused(path.parent)
        except OSError as error:
            _say(f"compiled code cannot be kept in {path.parent} ({error.strerror}); every process compiles anew")

    def _path(self, signature: Any, codegen: Any) -> Path | None:
        place, sources = folder(), digest(self._file)
        if place is None or sources is None:
            return None
        variables = sorted(v for v in os.environ.items() if v[0].startswith("NUMBA_") and v[0] not in _HARMLESS)
        versions = sys.version, np.__version__, numba.__version__, llvmlite.__version__
        key = repr(
            (self._name, str(self._file.name), sources, str(signature), codegen.magic_tuple(), versions, variables)
        )
        return place / f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:40]}"

    def enable(self) -> None:
        """Part of the interface; always on."""

    def disable(self) -> None:
        """Part of the interface; always on."""

    def flush(self) -> None:
        """Part of the interface: numba, asked to compile anew, does."""


@lru_cache(maxsize=1)
def folder() -> Path | None:
    """Return the folder of compiled code: the first of the module's places that only this user can write, else None."""
    for place in _places():
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = place.lstat()
        except OSError:
            continue
        private = status.st_uid == os.geteuid() and not place.is_symlink() and not status.st_mode & 0o022
        if private and os.access(place, os.W_OK | os.X_OK):
            if place.name != "tclif-neuro":
                _say(
                    f"no folder for compiled code can be written; it is kept in {place}. NUMBA_CACHE_DIR names another"
                )
            return place
    _say("no folder for compiled code can be written; every process compiles anew. NUMBA_CACHE_DIR names one")
    return None


def _places() -> Iterator[Path]:
    asked = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not asked.startswith("~"):  # left as it is where nothing says where home is
        yield Path(asked).absolute() / "tclif-neuro"
    try:
        yield Path(tempfile.gettempdir()) / f"tclif-neuro-{os.geteuid()}"
    except OSError:  # there is none
        return


def _write(path: Path, content: bytes) -> None:
    """All or nothing: of several processes that write the same, the last one's file stays."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _remove_unused(place: Path) -> None:
    for path in place.iterdir():
        try:
            if path.stat().st_mtime < time.time() - UNUSED_DAYS * 86400:
                path.unlink()
        except FileNotFoundError:  # another process was faster
            continue


@cache
def digest(file: Path) -> str | None:
    """Of all sources that a kernel in `file` can be made of; None where they cannot be read (a zip file)."""
    found = hashlib.sha256()
    try:
        for path in sorted(closure(file)):
            found.update(f"{path.name} {path.stat().st_size} ".encode() + path.read_bytes())
    except OSError:
        return None
    return found.hexdigest()


def closure(file: Path) -> set[Path]:
    """`file` and every file of this package that it imports, or that one of these does."""
    found, waiting = set[Path](), [file.resolve()]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_imported(path.read_bytes()))
    return found


def _imported(source: bytes) -> Iterator[Path]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            first, *rest = name.split(".")
            path = PACKAGE.joinpath(*rest)
            if first == PACKAGE.name and rest:
                yield from (p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file())


@cache
def _say(message: str) -> None:
    """Once in a process."""
    sys.stderr.write(f"tclif-neuro: {message}\n")
