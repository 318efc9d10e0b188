"""Learn a recipe online, resume it if it was stopped, and say what came out.

result = run_task(load_learn_recipe("digits.toml"))              # in memory, for studies
result = run_task(recipe, "runs/digits", report=print)           # with checkpoints, a log and a network in a folder
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.concerns import warn
from tclif_neuro.netx import save
from tclif_neuro.onchip.rule.setup import LearningSetup
from tclif_neuro.onchip.tasks.checkpoint import NAME, load_moment, save_moment
from tclif_neuro.onchip.tasks.first_setup import StartError
from tclif_neuro.onchip.tasks.recipe import LearnRecipe
from tclif_neuro.onchip.tasks.records import Row, column, last_run, write_rows
from tclif_neuro.onchip.tasks.session import LearnReport, Moment, Session
from tclif_neuro.onchip.tasks.stream import make_stream

LOG, NET = "log.csv", "learnt.net"


@dataclass(frozen=True, kw_only=True, eq=False)
class LearnResult:
    """The result of learning.

    setup: to go on with; its network has the last weights. rows: the records, one every `test_every` samples and at the
    ends of phases. ends: after how many samples each phase was over, by its name. seconds: of this call, without what
    was learnt before it was resumed. input_clipped: the share of the inputs outside the network's code.
    """

    setup: LearningSetup
    rows: tuple[Row, ...]
    ends: dict[str, int]
    seconds: float
    input_clipped: float

    @property
    def samples(self) -> int:
        """The number of samples learnt."""
        return int(self.rows[-1]["sample"] or 0)

    @property
    def accuracy(self) -> dict[str, float]:
        """On each test set, in the end."""
        return self.accuracy_after(list(self.ends)[-1])

    def accuracy_after(self, phase: str) -> dict[str, float]:
        """On each test set, at the end of a phase."""
        row = next(row for row in self.rows if row["sample"] == self.ends[phase])
        prefix = "accuracy_"
        return {key[len(prefix) :]: float(value or 0) for key, value in row.items() if key.startswith(prefix)}

    def curve(self, name: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Samples learnt, and a column of the records, such as "online_accuracy" or "accuracy_test"."""
        return column(self.rows, "sample"), column(self.rows, name)


def run_task(
    recipe: LearnRecipe,
    out: str | Path | None = None,
    *,
    resume: bool = True,
    report: LearnReport | None = None,
    data_dir: str | Path | None = None,
) -> LearnResult:
    """Learn the task of `recipe`, sample by sample; in memory alone, or kept in the folder `out`.

    `out` then holds checkpoint.npz and log.csv, written every `checkpoint_every` samples and when interrupted, and in
    the end learnt.net. resume: go on from the checkpoint, if there is one; the final weights are bit for bit those of
    an unbroken run. report: called every 100 samples or more often.

    Raises `LearnCheckpointError` if the checkpoint is of another recipe, other data or other weights, or cannot be
    read; `StartError`, `FormatError`, `NetFileError` or `DataError` if the task or the network cannot be had. Warns of
    what `fixed.concerns` names in what was learnt, on the test sets.
    """
    begin = time.perf_counter()
    session = Session(recipe, make_stream(recipe, None if data_dir is None else Path(data_dir)))
    folder = None if out is None else _folder(Path(out))
    if folder is not None and resume and (folder / NAME).exists():
        moment = load_moment(folder / NAME, session)
    else:
        moment = session.start()
    moment = _all(session, moment, folder, report)
    setup = session.setup(session.samples, moment.net)
    if folder is not None:
        write_rows(folder / LOG, moment.rows)  # it may have been killed between the two files
        save(moment.net, folder / NET)
    run = warn(moment.net, last_run(session.stream, moment.net))
    names = [phase.name for phase in session.stream.phases]
    return LearnResult(
        setup=setup,
        rows=moment.rows,
        ends=dict(zip(names, session.stream.ends, strict=True)),
        seconds=time.perf_counter() - begin,
        input_clipped=run.input_clipped,
    )


def _all(session: Session, moment: Moment, folder: Path | None, report: LearnReport | None) -> Moment:
    """All samples from `moment` on."""
    try:
        while moment.position < session.samples:
            moment = session.advance(moment)
            if folder is not None and session.is_checkpoint(moment.position):
                _keep(folder, session, moment)
            if report is not None:
                report(session.progress(moment))
    except KeyboardInterrupt:
        if folder is not None:
            _keep(folder, session, moment)
        raise
    return moment


def _keep(folder: Path, session: Session, moment: Moment) -> None:
    save_moment(folder / NAME, session, moment)
    write_rows(folder / LOG, moment.rows)


def _folder(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"{out}: is not a folder and cannot become one: {error.strerror}") from error
    return out
