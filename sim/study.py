"""What the studies of this folder share: jobs, done by the executor of `tclif study`; tables and plots.

A job is a flat dictionary that says everything that its result depends on, the seed included. Results are kept in a
file of lines, one JSON object each: a study that is interrupted, or that gets more jobs, does the missing ones only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tclif_neuro.files import write_atomically
from tclif_neuro.study.folder import Folder
from tclif_neuro.study.folder import line as key
from tclif_neuro.study.processes import by_processes
from tclif_neuro.study.spec import StudyError
from tclif_neuro.study.worker import find

Job = Mapping[str, Any]
Result = dict[str, Any]
COLOURS = ("#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#009E73", "#CC79A7", "#000000")  # Okabe and Ito


def options(text: str, seeds: int) -> argparse.Namespace:
    """`out`, `seeds` and `workers` from the command line. text: what the study says of itself; seeds: how many."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def run_jobs(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    path: Path,
    *,
    workers: int = 2,
    timeout: float = 3600,
    fresh: bool = False,
    tell: Callable[[str], object] = print,
) -> list[Result]:
    """The result of `work` for every job, in order; those in the file `path` are not done again.

    The jobs are done as `tclif study` does its own: in processes of one thread, each tried once more if it raises, dies
    or takes more than `timeout` seconds. work: a function of a module. fresh: a process for every job, where memory is
    measured. workers: 0 does all of them in this process. What is done is kept, also if a job fails (`StudyError`).
    """
    done = _read(path)
    missing = [job for job in jobs if key(dict(job)) not in done]
    tell(f"{len(jobs) - len(missing)} of {len(jobs)} jobs are in {path.name}")

    def keep(job: Job, result: Result) -> None:
        done[key(dict(job))] = result
        _write_lines(path, done)
        tell(f"{len(done)}: {_line(job)}: {_line(result)}")

    if not workers:
        for job in missing:
            keep(job, work(job))
    else:
        for part in [[job] for job in missing] if fresh else [missing]:
            _in_processes(_name(work), part, workers, timeout, keep, tell)
    return [done[key(dict(job))] for job in jobs]


def _in_processes(
    work: str,
    jobs: Sequence[Job],
    workers: int,
    timeout: float,
    keep: Callable[[Job, Result], None],
    tell: Callable[[str], object],
) -> None:
    todo = [{"work": work, "job": dict(job)} for job in jobs]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Folder(scratch)

        def done(named: dict[str, Any]) -> None:
            if (result := folder.result(named)) is not None:
                keep(named["job"], result)

        by_processes("sim.study:do_named", folder, todo, workers=workers, seconds=timeout, done=done, tell=tell)
        failed = [f"{_line(named['job'])}: {why}" for named in todo if (why := folder.error(named))]
    if failed:
        raise StudyError("; ".join(failed))


def _name(work: Callable[[Job], Result]) -> str:
    """ "module:function", also of the module that is run."""
    spec = sys.modules["__main__"].__spec__ if work.__module__ == "__main__" else None
    return f"{work.__module__ if spec is None else spec.name}:{work.__name__}"


def do_named(named: Mapping[str, Any], folder: Folder) -> Result:
    """Do a job that comes with the name of its work."""
    work: Any = find(named["work"])
    result: Result = work(named["job"])
    return result


def _line(values: Mapping[str, Any]) -> str:
    short = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in values.items() if not isinstance(v, list)}
    return " ".join(f"{k}={v}" for k, v in short.items())


def _read(path: Path) -> dict[str, Result]:
    if not path.exists():
        return {}
    found = [json.loads(text) for text in path.read_text().splitlines()]
    return {key(kept["job"]): kept["result"] for kept in found}


def _write_lines(path: Path, done: Mapping[str, Result]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"job": json.loads(key), "result": result}) + "\n" for key, result in sorted(done.items())]
    write_atomically(path, lambda file: file.write("".join(lines).encode()))


def spread(values: Sequence[float], form: str = ".1f") -> str:
    """Mean and sample standard deviation."""
    if len(values) == 1:
        return f"{values[0]:{form}}"
    return f"{statistics.mean(values):{form}} ± {statistics.stdev(values):{form}}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, the first column to the left and the others to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def axes(columns: int, height: float = 3.4, rows: int = 1) -> tuple[Any, Any]:
    """A figure and its panels, in a row, that need no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
    return figure, panels


def write(folder: Path, name: str, text: str, figure: Any) -> None:
    """name.md, which shows name.png, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{name}.png", lambda file: figure.savefig(file, format="png", dpi=110))
    text = f"{text.rstrip()}\n\n![The same as a plot]({name}.png)\n"
    write_atomically(folder / f"{name}.md", lambda file: file.write(text.encode()))
