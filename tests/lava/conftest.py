"""Fixtures: where the child processes find the tests' own Lava networks, and whether any of them is left."""

import time
import uuid
from pathlib import Path

import pytest

TASKS = Path(__file__).parent / "tasks"
MARKER = "TCLIF_TEST_MARKER"


class Processes:
    """The processes that this test has started, wherever they are now: those with its mark in their environment."""

    def __init__(self, mark: str) -> None:
        self.mark = f"{MARKER}={mark}".encode()

    def alive(self) -> list[int]:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if self.mark in (entry / "environ").read_bytes() and state not in "ZX":
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def wait_for(self, condition, seconds: float) -> list[int]:
        """Wait until `condition(number of live processes)`; returns them as they are then, or at the deadline."""
        deadline = time.monotonic() + seconds
        while not condition(len(pids := self.alive())) and time.monotonic() < deadline:
            time.sleep(0.05)
        return pids


@pytest.fixture
def processes(monkeypatch):
    """Marks what the test starts; the environment is inherited by all, so none is missed."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARKER, mark)
    return Processes(mark)


@pytest.fixture
def tasks(monkeypatch):
    """Lets the child import `lava_tasks`."""
    monkeypatch.syspath_prepend(TASKS)
    return TASKS
