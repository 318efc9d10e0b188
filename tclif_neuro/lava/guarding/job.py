"""Work in Lava as files in a folder of its own: written, done by a guarded child process, read back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tclif_neuro.lava.guarding.guard import guarded, require

START = 60.0  # seconds allowed for the start of Lava

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job for Lava: the function `task`, "module:function", on a folder, in a run of `steps` steps.

    seconds: allowed for the run, besides those for the start of Lava.
    """

    task: str
    steps: int
    seconds: float

    def done(
        self,
        write: Callable[[Path], None],
        read: Callable[[Path], Result],
        *,
        timeout: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Result:
        """Do it: `write` what is asked for into the folder, run the task, and `read` what it gave.

        timeout: seconds for it all (default: as the job allows). progress: called with the steps done and all steps.

        Raises `LavaMissing`, or `LavaError` if Lava fails.
        """
        require()
        limit = START + self.seconds if timeout is None else timeout
        with tempfile.TemporaryDirectory(prefix="tclif-lava-") as name:
            folder = Path(name)
            write(folder)
            guarded(self.task, folder, timeout=limit, steps=self.steps, progress=progress)
            return read(folder)
