"""The live pages of `tclif train` and `tclif learn`, served while the run lasts.

What draws them is imported for a run that is looked at, and costs no other one its memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tclif_neuro.cli.commands.views import View
    from tclif_neuro.learning.training.run import Report
    from tclif_neuro.onchip.tasks.session import LearnReport
    from tclif_neuro.show.terminal import Bars


@contextmanager
def live_training(port: int | None, recipe: Path, bars: Bars) -> Iterator[Report]:
    """The report of training while the block runs: to the bars, and to a page unless `port` is None."""
    with _page(port, f"tclif train {recipe.name}", bars) as view:
        if view is None:
            yield bars.training()
            return
        from tclif_neuro.cli.commands.views import training_report

        yield _both(bars.training(), training_report(view))


@contextmanager
def live_learning(port: int | None, recipe: Path, bars: Bars) -> Iterator[LearnReport]:
    """The same of learning on the chip."""
    with _page(port, f"tclif learn {recipe.name}", bars) as view:
        if view is None:
            yield bars.learning()
            return
        from tclif_neuro.cli.commands.views import learning_report

        yield _both(bars.learning(), learning_report(view))


@contextmanager
def _page(port: int | None, title: str, bars: Bars) -> Iterator[View | None]:
    if port is None:
        yield None
        return
    from tclif_neuro.cli.commands.views import View
    from tclif_neuro.page.board import Board
    from tclif_neuro.page.server import serve

    board = Board()
    with serve(board, title, port) as address:
        bars.note(f"live page, until the run ends: {address}")
        yield View(board)


def _both(first: Callable[[Any], None], second: Callable[[Any], None]) -> Callable[[Any], None]:
    def report(now: Any) -> None:
        first(now)
        second(now)

    return report
