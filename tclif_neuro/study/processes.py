"""Jobs in processes on this machine, a thread each."""

from __future__ import annotations

import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

from tclif_neuro.study.folder import Folder, line
from tclif_neuro.study.spec import Job
from tclif_neuro.study.worker import FAILED

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
ATTEMPTS = 2
_POLL = 0.5  # seconds

Tell = Callable[[str], object]
Done = Callable[[Job], object]


def by_processes(
    work: str, folder: Folder, jobs: Sequence[Job], *, workers: int, seconds: float, done: Done, tell: Tell
) -> None:
    """Do `jobs`, `workers` at a time; `work` is "module:function" of a function that takes a job and the folder.

    A job that raises, dies or takes longer than `seconds` is said to `tell` and tried once more; a training then goes
    on from its checkpoint. done: called with each job that is over, be it done or given up.
    """
    todo: queue.SimpleQueue[Job] = queue.SimpleQueue()
    over: queue.SimpleQueue[Job | BaseException] = queue.SimpleQueue()
    for job in jobs:
        todo.put(job)
    stop = threading.Event()
    servants = [
        threading.Thread(target=_serve, args=(_Worker(work, folder, stop, seconds), todo, over, tell), daemon=True)
        for _ in range(min(workers, len(jobs)))
    ]
    for servant in servants:
        servant.start()
    try:
        for _ in jobs:
            ended = over.get()  # every job is over in `ATTEMPTS * seconds` at most
            if isinstance(ended, BaseException):
                raise ended
            done(ended)
    finally:
        stop.set()
        for servant in servants:
            servant.join(20)


def _serve(
    worker: _Worker, todo: queue.SimpleQueue[Job], over: queue.SimpleQueue[Job | BaseException], tell: Tell
) -> None:
    try:
        while not worker.stop.is_set():
            job = todo.get_nowait()
            for attempt in range(1, ATTEMPTS + 1):
                why = worker.do(job)
                if not why or worker.stop.is_set():
                    break
                tell(f"{line(job)}: {why}; {'it is tried once more' if attempt < ATTEMPTS else 'it is given up'}")
            over.put(job)
    except queue.Empty:
        pass
    except BaseException as error:  # said where it can be: in the thread that waits
        over.put(error)
    finally:
        worker.end()


class _Worker:
    """A process for one job after the other, started when it is needed."""

    def __init__(self, work: str, folder: Folder, stop: threading.Event, seconds: float) -> None:
        self.work, self.folder, self.stop, self.seconds = work, folder, stop, seconds
        self.process: subprocess.Popen[bytes] | None = None

    def do(self, job: Job) -> str:
        """Have `job` done; why it should be tried again, or nothing."""
        process = self._started()
        if process.stdin is None or process.stdout is None:
            raise AssertionError("it was started with pipes")
        answer = b""
        try:
            process.stdin.write(line(job).encode() + b"\n")
            process.stdin.flush()
            answer = self._answer(process.stdout.fileno())
        except BrokenPipeError:
            pass
        if answer == b"":
            status = process.wait(20)
            why = f"its process died of signal {-status}" if status < 0 else f"its process ended with status {status}"
        elif answer == b"?":
            why = "interrupted" if self.stop.is_set() else f"it is not done after {self.seconds / 3600:g} hours"
        else:
            return str(self.folder.error(job)) if answer.decode().strip() == FAILED else ""
        self.end()
        self.folder.place(job).mkdir(parents=True, exist_ok=True)
        self.folder.keep_error(job, why)
        return why

    def _answer(self, stream: int) -> bytes:
        """A line; nothing if the process has ended, "?" if it is out of time or no longer wanted."""
        end, found = time.monotonic() + self.seconds, b""
        while not found.endswith(b"\n"):
            if self.stop.is_set() or time.monotonic() > end:
                return b"?"
            if select.select([stream], [], [], _POLL)[0]:
                part = os.read(stream, 4096)
                if not part:
                    return b""
                found += part
        return found

    def _started(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            with open(self.folder.path / "workers.log", "ab") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "tclif_neuro.study.worker", self.work, str(self.folder.path)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment(),
                    start_new_session=True,  # Ctrl-C is for us
                )
        return self.process

    def end(self) -> None:
        """End the process, whatever it does."""
        process, self.process = self.process, None
        if process is None:
            return
        process.kill()
        process.wait(20)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def environment() -> dict[str, str]:
    """This process's, so that a job imports what this one would; one thread."""
    paths = os.pathsep.join(os.path.abspath(path) for path in sys.path)
    return {**os.environ, **dict.fromkeys(THREADS, "1"), "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": paths}
