"""The guarded child process, started by `lava.guarding.guard`.

    python -m tclif_neuro.lava.guarding.child MODULE:FUNCTION FOLDER PARENT

Calls the function on the folder. Every way out ends all processes that were started on the way; if the parent is
killed, the kernel kills this process and those below it.
"""

from __future__ import annotations

import ctypes
import importlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import traceback
from pathlib import Path

from tclif_neuro.lava.guarding.guard import FAILURE, ActorFailure, StoppedError

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_REAP_TIME = 2.0  # seconds for a killed process to end


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before the call
            os._exit(1)


def _in_forked(parent: int) -> None:
    """Set up a process that Lava forked: without this process's signal handlers, and sharing its fate."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _die_with(parent)


def _on_terminate(*_: object) -> None:
    raise StoppedError


def _end_children() -> None:
    """Kill what Lava started and wait for it to be gone."""
    children = multiprocessing.active_children()
    for child in children:
        child.kill()
    for child in children:
        multiprocessing.connection.wait([child.sentinel], timeout=_REAP_TIME)
        _ = child.exitcode  # collects it


def main(task: str, folder: Path, parent: int) -> int:
    """Call `task`, "module:function", on `folder`; 1 on failure, with the reason in the folder's file `FAILURE`."""
    _die_with(parent)
    here = os.getpid()
    os.register_at_fork(after_in_child=lambda: _in_forked(here))
    signal.signal(signal.SIGTERM, _on_terminate)
    module, function = task.split(":")
    try:
        getattr(importlib.import_module(module), function)(folder)
        return 0
    except BaseException as error:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        own = isinstance(error, ActorFailure)  # its message holds the traceback that matters
        (folder / FAILURE).write_text(str(error) if own else traceback.format_exc())
        return 1


if __name__ == "__main__":
    status = main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    _end_children()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # Lava's own clean-up at exit waits for ever for processes that failed
