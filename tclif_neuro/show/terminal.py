"""The terminal: results on standard output, everything else (progress, narration, errors) on standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from tclif_neuro.show.tables import Sheet, as_json, score_text, share
from tclif_neuro.text import clean, cut

if TYPE_CHECKING:
    from tclif_neuro.cli.commands.executors import Tell
    from tclif_neuro.learning.training.log import EpochRecord
    from tclif_neuro.learning.training.run import Progress as Trained
    from tclif_neuro.learning.training.run import Report
    from tclif_neuro.onchip.tasks.session import LearnProgress, LearnReport

WIDTH = 140  # columns, where there is no terminal to ask: in a pipe or a file
MAX_ERROR = 1000  # characters of an error, quoted values and all
LINES = 10  # of progress, where there is no terminal to draw a bar in


def console(stderr: bool = False) -> Console:
    """Standard output or standard error, as it is now."""
    found = _Console(stderr=stderr, highlight=False)
    return found if found.is_terminal else _Console(stderr=stderr, highlight=False, width=WIDTH)


class _Console(Console):
    """Goes on where nobody reads any more, as behind `| head -1`: the exit status is still the command's."""

    def on_broken_pipe(self) -> None:
        """Let the rest go nowhere."""
        self.quiet = True
        abandon(sys.stderr if self.stderr else sys.stdout)


def abandon(stream: TextIO) -> None:
    """Let what is written to `stream`, and what waits in it, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def deliver(result: Any, parts: Sequence[Sheet | str], json: bool) -> None:
    """A command's result to standard output: tables and sentences for a reader, or one line of JSON for a script.

    What it warns of goes to standard error, a line each.
    """
    if json:
        console().out(as_json(result), highlight=False)
    else:
        show(console(), *parts)
    for warning in getattr(result, "warnings", ()):
        show_warning(warning)


def show(out: Console, *parts: Sheet | str) -> None:
    """Tables, and sentences that are not broken, so that they can be searched for."""
    for part in parts:
        if isinstance(part, str):
            out.print(Text(_clean_lines(part)), soft_wrap=True)
        else:
            out.print(Text(clean(part.title), "bold"), soft_wrap=True)
            out.print(part.rich())
            out.print()


def show_warning(message: str) -> None:
    """`warning: ...` in yellow, on one line."""
    text = Text.assemble(("warning: ", "bold yellow"), cut(clean(message), MAX_ERROR))
    console(stderr=True).print(text, soft_wrap=True)


def show_error(message: str, lines: bool = False) -> None:
    """`error: ...` in red, on one line. lines: further ones, the account of a failed process, follow."""
    first, _, rest = message.partition("\n") if lines else (message, "", "")
    out = console(stderr=True)
    out.print(Text.assemble(("error: ", "bold red"), (cut(clean(first), MAX_ERROR), "red")), soft_wrap=True)
    if rest:
        out.print(Text(_clean_lines(rest), "dim"), soft_wrap=True)


def _clean_lines(text: str) -> str:
    """`text` with its own line breaks, and nothing else that a terminal obeys."""
    return "\n".join(clean(line.replace("\t", "    ")) for line in text.split("\n"))


@contextmanager
def progress(json: bool = False) -> Iterator[Bars]:
    """Bars on standard error while the block runs; they vanish at its end. Without a terminal: a few lines.

    json: standard output is kept for one line of JSON.
    """
    out = console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("[dim]{task.fields[note]}"),
    )
    bars = Progress(*columns, console=out, transient=True, disable=not out.is_terminal, redirect_stdout=False)
    with bars:
        yield Bars(bars, out, out if json else console())


class Bars:
    """Progress bars by name, and what is said between them."""

    def __init__(self, bars: Progress, out: Console, results: Console) -> None:
        self._bars, self._out, self._results = bars, out, results
        self._tasks: dict[str, TaskID] = {}

    def executor(self, name: str) -> Tell:
        """Return a callback that is told how much of a run is done."""
        return lambda done, total: self._update(name, done, total)

    def training(self) -> Report:
        """Return a callback that is told of every batch and epoch."""
        accuracy = ""

        def report(now: Trained) -> None:
            nonlocal accuracy
            if now.record is not None:
                record = now.record
                accuracy = judged(record)
            note = f"epoch {now.epoch} of {now.epochs}  loss {now.loss:.4f}  {accuracy}"
            self._update("training", (now.epoch - 1) * now.batches + now.batch, now.epochs * now.batches, note)
            if self._bars.disable and now.record is not None and now.epoch % -(-now.epochs // LINES) == 0:
                self._out.print(Text(note), soft_wrap=True)

        return report

    def learning(self) -> LearnReport:
        """Return a callback that is told how much of a task is learnt online."""
        accuracy = ""

        def report(now: LearnProgress) -> None:
            nonlocal accuracy
            if now.row is not None:
                tests = {k.partition("_")[2]: v for k, v in now.row.items() if k.startswith("accuracy_")}
                accuracy = ", ".join(f"{name} {share(value)}" for name, value in tests.items())  # type: ignore[arg-type]
            note = f"{clean(now.phase)}  online {share(now.online)}  {accuracy}"
            self._update("learning", now.sample, now.samples, note)
            if self._bars.disable and now.row is not None:
                self._out.print(Text(f"sample {now.sample} of {now.samples}  {note}"), soft_wrap=True)

        return report

    def say(self, text: str) -> None:
        """A sentence about what comes next; the bars of what came before go."""
        for task in self._tasks.values():
            self._bars.remove_task(task)
        self._tasks.clear()
        self._out.print(Text(f"\n{clean(text)}", "bold"), soft_wrap=True)

    def note(self, text: str) -> None:
        """A line about something on the way."""
        self._out.print(Text(clean(text)), soft_wrap=True)

    def show(self, *parts: Sheet | str) -> None:
        """Results on the way."""
        show(self._results, *parts)

    def _update(self, name: str, done: int, total: int, note: str = "") -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, note=note)
        self._bars.update(self._tasks[name], completed=done, total=total, note=note)


def judged(record: EpochRecord) -> str:
    """An epoch's accuracy or error, on the validation set if there is one, else on the test set."""
    for part in ("validation", "test"):
        error, accuracy = (getattr(record, f"{part}_{measure}") for measure in ("error", "accuracy"))
        if error is not None or accuracy is not None:
            return score_text(accuracy, error, False)
    return ""
