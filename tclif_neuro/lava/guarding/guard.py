"""Run something that uses Lava in a child process that cannot hang, and leaves nothing behind.

Lava's `run()` waits for ever, and prints nothing, when a ProcessModel raises or one of its processes dies. So it runs
in a fresh interpreter with a session of its own, under a deadline, its output kept from the terminal. However it ends
(done, failed, late, interrupted, or this process killed) no process of it remains. Made for Linux.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tclif_neuro.errors import TclifError
from tclif_neuro.lava.guarding.progress import create_counter

FAILURE = "failure.txt"  # the child's account of what went wrong
_OUTPUT = "output.txt"
_TAIL = 4000  # characters of output that an error quotes
_POLL = 0.05  # seconds
_STALL = 120.0  # seconds without a step, once the first is done
_SPACE = 2**16  # bytes, without which the child could not even say what went wrong
_GRACE = 5.0  # seconds for the child to end what it started
_RESOURCE_TRACKER = b"multiprocessing.resource_tracker"  # frees the shared memory of killed processes, then ends


class LavaError(TclifError, RuntimeError):
    """A run in Lava failed. The message holds the traceback of the process that failed."""

    lines = True


class LavaMissing(LavaError):
    """Lava is not installed."""


def available() -> bool:
    """Return whether Lava can be imported."""
    return not why_not_available()


def why_not_available() -> str:
    """Return why Lava cannot be imported, "" if it can. Finding out imports nothing."""
    found = importlib.util.find_spec("lava")
    if found is not None and found.submodule_search_locations is None:
        return f"{found.origin} hides the package lava: give that file another name"
    if found is None or importlib.util.find_spec("lava.magma") is None:
        return "Lava is not installed"
    return ""


def require() -> None:
    """Raise `LavaMissing` unless Lava can be imported."""
    why = why_not_available()
    if why:
        how = '; it needs Python 3.10: pip install "tclif-neuro[lava]"' if why == "Lava is not installed" else ""
        raise LavaMissing(why + how)


class ActorFailure(RuntimeError):
    """In the child: a Lava process raised or died. The message says which and how, with its traceback."""


class StoppedError(BaseException):
    """In the child: told to stop. No `except Exception` in what it imports or runs may swallow that."""


def guarded(
    task: str,
    folder: Path,
    *,
    timeout: float,
    steps: int = 0,
    progress: Callable[[int, int], None] | None = None,
    environment: dict[str, str] | None = None,
) -> None:
    """Call the function `task`, "module:function", on `folder` in a child process, and wait until it is done.

    folder: what the function reads and writes, and the child's working directory; its output and its account of a
    failure go there too. timeout: seconds. steps: how many steps the run has, for messages and for `progress`, which is
    called with the steps done and `steps` whenever they have changed. environment: what the child gets besides this
    process's own. The function should run its Lava processes with
    `lava.guarding.runtime.run_lava`: then the death of one is noticed at once, otherwise at the timeout.

    Raises `LavaError` when the function raises, a process of it dies, or it takes longer than `timeout`.
    """
    folder = folder.absolute()
    counted = create_counter(folder)
    (folder / FAILURE).unlink(missing_ok=True)
    scratch = tempfile.TemporaryDirectory(prefix="tclif-lava-", ignore_cleanup_errors=True)
    with scratch, open(folder / _OUTPUT, "wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "tclif_neuro.lava.guarding.child", task, str(folder), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**_environment(scratch.name), **(environment or {})},
            cwd=folder,
            start_new_session=True,
        )
        try:
            late = _wait(child, timeout, lambda: int(counted[0]), lambda done: progress and progress(done, steps))
        finally:
            _end(child)
    if late or child.returncode:
        at = f" at step {int(counted[0])}" + (f" of {steps}" if steps else "") if counted[0] else ""
        raise LavaError(f"Lava failed{at}: " + "\n".join(_account(folder, child.returncode, late)))


def _environment(scratch: str) -> dict[str, str]:
    """This process's, so that the child imports what this one would; one thread each, Lava has a process per layer.

    scratch: for the temporary files of Lava's processes, which leave them behind when they are killed.
    """
    paths = [str(Path(p).absolute()) for p in sys.path]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    python = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore", "PYTHONFAULTHANDLER": "1"}
    return {**os.environ, **threads, **python, "TMPDIR": scratch}


def _wait(
    child: subprocess.Popen[bytes], timeout: float, count: Callable[[], int], tell: Callable[[int], object]
) -> str:
    """Wait for `child` to end; returns "", or why it was given up."""
    start = moved = time.monotonic()
    done = 0
    while True:
        try:
            child.wait(_POLL)
        except subprocess.TimeoutExpired:
            now = time.monotonic()
            if count() != done:
                done, moved = count(), now
                tell(done)
            if now - start > timeout:
                return f"not done within the timeout of {timeout:g} s"
            if done and now - moved > _STALL:
                return f"no step for {_STALL:g} s"
        else:
            tell(count())
            return ""


def _end(child: subprocess.Popen[bytes]) -> None:
    """End `child` and every process of its session."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    patience = time.monotonic() + _GRACE
    while members := _session(child.pid):
        for pid, command in members.items():
            if _RESOURCE_TRACKER not in command or time.monotonic() > patience:
                _kill(pid)
        time.sleep(0.005)


def _session(leader: int) -> dict[int, bytes]:
    """The live processes of the session of `leader`, with their command lines (Linux; elsewhere none are found)."""
    members = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state not in "ZX":
                members[int(entry.name)] = (entry / "cmdline").read_bytes()
        except OSError:  # ended meanwhile
            continue
    return members


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _account(folder: Path, status: int, late: str) -> list[str]:
    """Return why the child was given up, or else how it ended; what it said; its output, if that has no traceback."""
    said = (folder / FAILURE).read_text() if (folder / FAILURE).exists() else ""
    if late and StoppedError.__name__ in said:
        said = ""
    how = f"ended with status {status}" if status >= 0 else f"was killed by {signal.Signals(-status).name}"
    if shutil.disk_usage(folder).free < _SPACE:
        how += f"; there is no space left in {folder}"
    parts = [late, said or ("" if late else f"the child process {how}")]
    if "Traceback" not in said:
        tail = (folder / _OUTPUT).read_text(errors="replace")[-_TAIL:].strip()
        parts += [f"Its output ends with:\n{tail}"] if tail else []
    return [part for part in parts if part]
