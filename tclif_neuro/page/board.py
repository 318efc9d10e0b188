"""A board that a run writes on and many readers follow: each gets what is new to it, and nobody waits for a reader.

There are no queues that could fill up: a reader that comes late, or reads slowly, is given the present content of the
parts that have changed since it last looked, however often they have.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class News:
    """The parts that have changed, by name. version: to ask for what comes after. over: how the run ended, or None."""

    version: int
    parts: dict[str, str]
    over: str | None


class Board:
    """Parts by name, each with its present content; written by one thread, read by many."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._parts: dict[str, tuple[int, str]] = {}
        self._version, self._readers = 0, 0
        self._over: str | None = None

    def put(self, name: str, content: str) -> None:
        """Replace a part. It takes no longer however many read, and however slowly."""
        with self._changed:
            self._version += 1
            self._parts[name] = self._version, content
            self._changed.notify_all()

    def end(self, how: str, patience: float) -> None:
        """Say how the run ended, and wait until all readers have heard it, for at most `patience` seconds."""
        with self._changed:
            self._over = how
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._readers, patience)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count as a reader, for whom `end` waits."""
        with self._changed:
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    def after(self, version: int, patience: float) -> News:
        """Return what has changed since `version` (0: everything), waiting for at most `patience` seconds for it."""
        with self._changed:
            self._changed.wait_for(lambda: self._version > version or self._over is not None, patience)
            parts = {name: content for name, (changed, content) in self._parts.items() if changed > version}
            return News(version=self._version, parts=parts, over=self._over)
