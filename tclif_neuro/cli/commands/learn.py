"""`tclif learn`: a recipe learnt online, into a folder; or its first samples in Lava, compared to the bit."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tclif_neuro.errors import said
from tclif_neuro.onchip import learn
from tclif_neuro.onchip.tasks.recipe_file import load_learn_recipe
from tclif_neuro.onchip.tasks.run_task import LOG, NET, run_task
from tclif_neuro.onchip.tasks.session import LearnReport, Session
from tclif_neuro.onchip.tasks.stream import make_stream
from tclif_neuro.show.tables import Sheet, number, share

if TYPE_CHECKING:
    from tclif_neuro.cli.commands.executors import Tell

RUNS = Path("runs")
NEAR_CHANCE = 1.5  # times chance: an accuracy below that is said to be


@dataclass(frozen=True, kw_only=True)
class LearnedResult:
    """The result of `tclif learn`. phases: the accuracy on each test set at the end of each phase, by their names.

    chance: the accuracy of a guess. seconds: of this call, without what was learnt before it was resumed.
    input_clipped: the share of the inputs outside the network's code. warnings: of `run_task`.
    """

    task: str
    samples: int
    phases: dict[str, dict[str, float]]
    accuracy: dict[str, float]
    chance: float
    seconds: float
    file: Path
    log: Path
    input_clipped: float
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ConfirmedResult:
    """Lava's result for the first samples. identical: whether weights, potentials and errors are the simulator's.

    warnings: of `onchip.learn`.
    """

    task: str
    samples: int
    identical: bool
    weights_differ: int
    seconds: float
    warnings: tuple[str, ...]


def learn_recipe(
    recipe: Path,
    out: Path | None = None,
    *,
    resume: bool = True,
    data_dir: Path | None = None,
    report: LearnReport | None = None,
) -> LearnedResult:
    """Learn the recipe in a file in the folder `out` (None: runs/ and the recipe's name)."""
    described = load_learn_recipe(recipe)
    folder = RUNS / recipe.stem if out is None else out
    with said() as warnings:
        result = run_task(described, folder, resume=resume, report=report, data_dir=data_dir)
    return LearnedResult(
        task=described.task.name,
        samples=result.samples,
        phases={phase: result.accuracy_after(phase) for phase in result.ends},
        accuracy=result.accuracy,
        chance=1 / result.setup.net.outputs,
        seconds=result.seconds,
        file=folder / NET,
        log=folder / LOG,
        input_clipped=result.input_clipped,
        warnings=tuple(warnings),
    )


def confirm_in_lava(
    recipe: Path,
    samples: int,
    *,
    timeout: float | None = None,
    data_dir: Path | None = None,
    tell: Tell | None = None,
) -> ConfirmedResult:
    """Learn the first `samples` samples of a recipe in Lava and in the simulator."""
    described = load_learn_recipe(recipe)
    session = Session(described, make_stream(described, data_dir))
    samples = min(samples, session.stream.phases[0].samples)
    x, y = session.stream.part(0, samples)
    setup = session.setup(0, session.first.net)
    with said() as warnings:
        ours = learn(setup, x, y)
        begin = time.perf_counter()
        theirs = learn(setup, x, y, backend="lava", timeout=timeout, progress=tell)
    differ = sum(int((weight != theirs.weights[matrix]).sum()) for matrix, weight in ours.weights.items())
    same = np.array_equal(ours.potential, theirs.potential) and np.array_equal(ours.error, theirs.error)
    return ConfirmedResult(
        task=described.task.name,
        samples=samples,
        identical=same and not differ,
        weights_differ=differ,
        seconds=time.perf_counter() - begin,
        warnings=tuple(warnings),
    )


def learned_parts(result: LearnedResult) -> list[Sheet | str]:
    """The accuracy after each phase, and where everything is."""
    tests = tuple(result.accuracy)
    rows = tuple((phase, *(share(found[name]) for name in tests)) for phase, found in result.phases.items())
    clipped = f"{share(result.input_clipped)} of the inputs clipped"
    title = f"learnt {result.task}, {result.samples:,} samples, {clipped}: the accuracy at the end of each phase"
    sheet = Sheet(title=title, columns=("phase", *tests), rows=rows)
    parts: list[Sheet | str] = [sheet, f"wrote {result.file} and {result.log}"]
    if max(result.accuracy.values()) < NEAR_CHANCE * result.chance:
        parts.append(
            f"this is near chance ({share(result.chance)}). In {result.log}, look at clipped_error, clipped_posted_... "
            "and clipped_trace_... (above 0.1: raise that shift), at limit_... (above 0.2: raise rate_shift) and at "
            "changed_... (below 0.01: lower rate_shift); without shifts in the recipe they are found from the data. "
            "Where only the end of a sample tells its class: learning.asked, and a network.readout_decay below 1"
        )
    return parts


def confirmed_parts(result: ConfirmedResult) -> list[Sheet | str]:
    """Return the parts that say whether Lava learns the same."""
    what = f"{result.samples} samples of {result.task} learnt in Lava ({number(result.seconds)} s)"
    if result.identical:
        return [f"{what}: the simulator's weights, to the bit"]
    return [f"{what}: DIFFERS from the simulator, in {result.weights_differ} weights"]
