"""Run Lava processes and notice when one of them fails. Runs inside a guarded child process (`lava.guarding`).

Lava makes an operating-system process of every Lava process. When one raises, its traceback goes into a pipe that
nobody reads and its neighbours wait for it for ever; when one is killed, nobody is told. Here the signal that a child
process ended interrupts the wait, and what the pipe holds is reported.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg, RunConfig

from tclif_neuro.lava.guarding.guard import ActorFailure, StoppedError

_PATIENCE = 1.0  # seconds
_LIKELY = {"SIGKILL": " (out of memory?)", "SIGBUS": " (is /dev/shm full?)"}
_SERVICE = "a service process of Lava"


class _Death(Exception):
    """An operating-system process of Lava ended before its time."""

    def __init__(self, pid: int, how: str) -> None:
        super().__init__(how)
        self.pid = pid


@contextmanager
def _deaths_raise() -> Iterator[None]:
    """Raise `_Death` in the main thread, whatever it waits for, as soon as a child process ends."""

    def on_death(*_: object) -> None:
        dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if dead is None:  # already collected by somebody who waited for it
            return
        if dead.si_code == os.CLD_EXITED:
            raise _Death(dead.si_pid, f"ended with exit status {dead.si_status}")
        name = signal.Signals(dead.si_status).name
        raise _Death(dead.si_pid, f"was killed by {name}{_LIKELY.get(name, '')}")

    previous = signal.signal(signal.SIGCHLD, on_death)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, previous)


def run_lava(
    process: Any,
    steps: int,
    *,
    tag: str = "fixed_pt",
    config: RunConfig | None = None,
    finish: Callable[[], None] | None = None,
    tail: int = 0,
) -> None:
    """Run `process` and all that is connected to it for `steps` steps, then stop it.

    tag: which ProcessModels, "fixed_pt" or "floating_pt"; config: a run configuration of your own instead. finish:
    called after the last step, while Vars can still be read. tail: steps after that, for what is still on its way.

    Raises `ActorFailure` as soon as one of the processes raises or dies.
    """
    config = config or Loihi2SimCfg(select_tag=tag)
    executable = process.compile(config)
    try:
        with _deaths_raise():
            process.create_runtime(run_cfg=config, executable=executable)
            process.run(RunSteps(num_steps=steps))
            if finish is not None:
                finish()
            if tail:
                process.run(RunSteps(num_steps=tail))
    except BaseException as error:
        actors = process.runtime._messaging_infrastructure.actors if process.runtime else []
        names = [_full_name(p) for p in executable.proc_builders]
        failures = _raised(actors, names, 0 if isinstance(error, StoppedError) else _PATIENCE)
        if not failures and isinstance(error, _Death):
            pids = [_pid(actor) for actor in actors]
            failures = [f"{_name(names, pids.index(error.pid)) if error.pid in pids else _SERVICE} {error}"]
        if failures:
            raise ActorFailure("\n".join(failures)) from error
        raise
    process.stop()


def _raised(actors: list[Any], names: list[str], patience: float) -> list[str]:
    """Return what `actors` raised.

    One that fails may still be writing it down: wait up to `patience` seconds for a first.
    """
    deadline = time.monotonic() + patience
    while True:
        raised = [(i, *actor.exception) for i, actor in enumerate(actors) if actor.exception]
        if raised or time.monotonic() > deadline:
            return [f"{_name(names, i)} raised {type(error).__name__}: {error}\n{trace}" for i, error, trace in raised]
        time.sleep(0.02)


def _full_name(process: Any) -> str:
    """The process's name, below those of the processes that it is part of, and its type."""
    parts = [process.name]
    outer = getattr(process, "process", None)
    while outer is not None:
        parts.append(outer.name)
        outer = getattr(outer, "process", None)
    return f"Lava process {'.'.join(reversed(parts))} ({type(process).__name__})"


def _pid(actor: Any) -> int | None:
    try:
        return int(actor.pid)
    except ValueError:  # Lava has waited for it and closed it
        return None


def _name(names: list[str], index: int) -> str:
    """The name of Lava's actor `index`: first come the processes, then Lava's own services."""
    return names[index] if index < len(names) else _SERVICE
