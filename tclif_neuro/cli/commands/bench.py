"""`tclif bench`: the benchmark, which lies in the source tree beside the package, run from there."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tclif_neuro.errors import TclifError

ROOT = Path(__file__).resolve().parents[3]
LAST_WORDS = 120.0  # seconds: interrupted, it still writes what it has measured


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """The files that the benchmark wrote: the tables, the figures behind them and the plots."""

    tables: Path
    figures: Path
    plots: tuple[Path, ...]


def run_bench(out: Path, *, short: bool = False, only: str = "", root: Path = ROOT) -> BenchResult:
    """Run `python -m sim.bench` of the source tree `root` into the folder `out`, its progress on standard error.

    Raises `TclifError` if there is no source tree (the package alone does not have it) or the benchmark fails, and
    `OSError` if `out` cannot be made.
    """
    if not (root / "sim/bench/__main__.py").is_file():
        raise TclifError(f"there is no benchmark at {root}: it is in the project's source tree, run it from a clone")
    out.mkdir(parents=True, exist_ok=True)
    arguments = [f"--out={out.resolve()}", *(["--short"] if short else []), *([f"--only={only}"] if only else [])]
    process = subprocess.Popen([sys.executable, "-m", "sim.bench", *arguments], cwd=root, stdout=subprocess.DEVNULL)
    try:
        status = process.wait()  # each of its measurements has a deadline
    except KeyboardInterrupt:  # which it got as well
        process.wait(LAST_WORDS)
        raise
    finally:
        process.kill()
    if status:
        raise TclifError(f"the benchmark ended with exit status {status}, see above")
    plots = tuple(sorted(out.glob("*.png")))
    return BenchResult(tables=out / "benchmark.md", figures=out / "benchmark.json", plots=plots)


def bench_parts(result: BenchResult) -> list[str]:
    """The tables, and where they are."""
    wrote = (result.tables, result.figures, *result.plots)
    return [result.tables.read_text(), f"wrote {', '.join(map(str, wrote))}"]
