"""The end of a command: its exit status, and on one line what the user has to know about it."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from tclif_neuro.errors import TclifError, TclifWarning

USER_ERROR, BUG, INTERRUPTED = 2, 70, 130
_OUT_OF_MEMORY = ("DefaultCPUAllocator", "Storage size calculation overflowed")  # torch has no MemoryError
_UsageError: Any = typer.BadParameter.__base__  # of click, which typer carries under a name that changes


class Tclif(TyperGroup):
    """The group of commands, with one line for an error where click and Python would print many."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command; ends the process with its exit status, or returns that."""
        standalone = extra.pop("standalone_mode", True)
        run = super().main
        with _warnings_on_a_line():
            status = status_of(lambda: run(*args, **{**extra, "standalone_mode": False}))
        if standalone:
            sys.exit(status)
        return status


@contextmanager
def _warnings_on_a_line() -> Iterator[None]:
    """Say a `TclifWarning` as the command line does, without the line of code that issued it."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def say(message: Any, category: Any, *where: Any, **more: Any) -> None:
            if not issubclass(category, TclifWarning):
                return usual(message, category, *where, **more)
            from tclif_neuro.show.terminal import show_warning

            show_warning(str(message))

        warnings.showwarning = say
        yield


def status_of(command: Callable[[], Any]) -> int:
    """The exit status of `command`, what the user has to know about it said; raises what is a bug."""
    try:
        status = int(command() or 0)
    except (typer.Abort, KeyboardInterrupt):
        status = INTERRUPTED
    except BrokenPipeError:  # nobody reads the results any more
        return 0
    except SystemExit as error:  # click ends the process itself where nobody reads its help any more
        if isinstance(error.__context__, BrokenPipeError):
            return 0
        raise
    except Exception as error:
        message = _in_words(error)
        if message is None:
            raise
        return _fail(message, isinstance(error, TclifError) and error.lines)
    if status == INTERRUPTED:  # typer may have made a status of it
        _fail("interrupted")
    return status


def _in_words(error: Exception) -> str | None:
    """The message of an error that the user can mend; None for a bug."""
    if isinstance(error, _UsageError):
        where = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        return " ".join(error.format_message().split()) + where
    if isinstance(error, TclifError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror or error}" if error.filename else str(error)
    of_torch = isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)
    if isinstance(error, MemoryError) or of_torch:
        why = str(error).partition("\n")[0]
        return f"not enough memory: {why}; take fewer samples (--samples) or smaller batches (--batch)"
    return None


def _fail(message: str, lines: bool = False) -> int:
    from tclif_neuro.show.terminal import show_error

    show_error(message, lines)
    return USER_ERROR


def end(number: int, frame: object) -> None:
    """Told to end: as Ctrl-C, so that what was begun is kept or cleaned up. A second time it ends at once."""
    signal.signal(number, signal.SIG_DFL)
    raise KeyboardInterrupt


def flushed(status: int) -> int:
    """Write out what waits in standard output; nobody may be reading any more."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        from tclif_neuro.show.terminal import abandon

        abandon(sys.stdout)
    return status
