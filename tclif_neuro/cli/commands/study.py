"""`tclif study`: many jobs from one file, and their table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tclif_neuro.cli.commands.executors import execute
from tclif_neuro.cli.commands.samples import Choice, load_batch
from tclif_neuro.cli.commands.train import RUNS
from tclif_neuro.files import write_atomically
from tclif_neuro.netx import load
from tclif_neuro.show.study import study_figure, study_sheet
from tclif_neuro.study.folder import Folder, Result
from tclif_neuro.study.run import How, Outcome, run_study
from tclif_neuro.study.spec import Job, StudyError, load_study

TABLE, FIGURE = "table.md", "plot.png"
EVALUATE = f"{__name__}:evaluate_slice"


@dataclass(frozen=True, kw_only=True)
class StudyResult(Outcome):
    """The state of a study. table, figure: its files; an evaluation has no figure."""

    table: Path
    figure: Path | None


def study_file(
    file: Path,
    out: Path | None,
    how: How,
    *,
    data_dir: Path | None = None,
    tell: Callable[[str], object],
    progress: Callable[[int, int], object],
) -> StudyResult:
    """Do what is left of the study in `file`, in the folder `out` (None: runs/ and the file's name)."""
    study = load_study(file, data_dir)
    place = RUNS / file.stem if out is None else out
    outcome = run_study(study, place, how, evaluate=EVALUATE, tell=tell, progress=progress)
    table, figure = outcome.folder / TABLE, outcome.folder / FIGURE if outcome.summary.rows else None
    write_atomically(table, lambda stream: stream.write(study_sheet(outcome.summary).markdown().encode()))
    if figure is not None:
        drawn = study_figure(outcome.summary)
        write_atomically(figure, lambda stream: drawn.savefig(stream, format="png", dpi=130))
    return StudyResult(**vars(outcome), table=table, figure=figure)


def evaluate_slice(job: Job, folder: Folder) -> Result:
    """Run one slice of the samples on the simulator. rates: of each layer but the readout, per neuron and step."""
    study = folder.study()
    evaluate = study.spec.evaluate
    if evaluate is None:
        raise StudyError(f"{study.file}: has no [evaluate]")
    net = load(evaluate.network)
    data_dir = None if study.data_dir is None else Path(study.data_dir)
    batch = load_batch(net, Choice(limit=evaluate.samples, data_dir=data_dir))
    if batch.y is None or batch.y.ndim != 1:
        raise StudyError(f"{study.file}: {batch.source} has not one class per sample, which slices are counted by")
    if len(batch) < job["slices"]:
        raise StudyError(f"{study.file}: evaluate.slices = {job['slices']}: there are {len(batch)} samples")
    part = batch.part(*(len(batch) * (job["slice"] + i) // job["slices"] for i in (0, 1)))
    run = execute("simulator", net, part).run
    layers = [done for layer, done in zip(net.layers, run.layers, strict=True) if not layer.readout]
    return {
        "samples": len(part),
        "right": int((run.predictions == part.y).sum()),
        "steps": run.steps,
        "rates": [float(done.counts.sum() / (run.steps * done.counts.shape[-1])) for done in layers],
    }
