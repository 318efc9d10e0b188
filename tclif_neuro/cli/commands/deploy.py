"""`tclif deploy`: check, place, convert, run, compare; on Lava's CPU models, a cluster, a board."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tclif_neuro import lava
from tclif_neuro.cli.commands.executors import Tell
from tclif_neuro.cli.commands.loihi import choose_path
from tclif_neuro.cli.commands.outputs import save_arrays
from tclif_neuro.cli.commands.samples import Batch, Choice, load_whole
from tclif_neuro.compare.runs import compare_runs
from tclif_neuro.errors import TclifError
from tclif_neuro.files import write_atomically
from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.fixed.run import Run
from tclif_neuro.loihi.checks import Finding, Question, check
from tclif_neuro.loihi.host import HostError, Target, choose, environment, probe, read_sinfo
from tclif_neuro.loihi.limits import find_board
from tclif_neuro.loihi.mapper import Path as ChipPath
from tclif_neuro.loihi.mapper import place
from tclif_neuro.loihi.stock import StockNetwork, to_stock
from tclif_neuro.loihi.stock_run import run_stock
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.netx import load
from tclif_neuro.show.tables import as_json

NAMES = ("reference", "Lava")
PACKAGES = ("tclif-neuro", "lava-nc", "lava-dl", "lava-loihi", "numpy")


class LoihiMissing(TclifError):
    """There is no board here. The message lists what was looked for, a line each."""

    lines = True


@dataclass(frozen=True, kw_only=True)
class DeployOptions:
    """target: "cpu" or "loihi2". path, board: as of `tclif check`. dry_run: stop before the run."""

    target: str
    path: str
    board: str
    where: Target
    timeout: float | None = None
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class DeployResult:
    """What was done. identical: whether Lava gave the bits of the path's reference; None if nothing was run.

    coincidence: of all spikes in either, the share in both, of the path and the network of integers, layer by layer.
    environment: what the driver would get, on a board.
    """

    file: Path
    target: str
    path: ChipPath
    samples: int
    cores: int
    findings: tuple[Finding, ...]
    identical: bool | None
    accuracy: float | None
    reference_accuracy: float | None
    coincidence: tuple[float, ...]
    environment: dict[str, str]
    versions: dict[str, str]
    folder: Path


def deploy_file(
    file: Path, folder: Path, choice: Choice, options: DeployOptions, *, tell: Tell | None = None
) -> DeployResult:
    """Deploy the network in `file` on the samples of `choice`; `folder` then holds report.json and spikes.npz.

    Raises `LoihiMissing` for the target "loihi2" without a board, `TclifError` if a check finds an error.
    """
    net = load(file)
    path = choose_path(net, options.path)
    if options.target == "loihi2" and not options.dry_run:
        _require_board(options.where)
    batch = load_whole(net, choice)
    findings = check(net, Question(board=find_board(options.board), path=path, ncmodel=options.target == "cpu"))
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise TclifError(f"{file}: {errors[0].code}: {errors[0].text}; see `tclif check`")
    if options.target == "loihi2" and path == "microcode":
        raise TclifError("path microcode: a model must be yours; this version runs the paths lif and stock on a board")
    stock = to_stock(net) if path == "stock" else None
    cores = place(net, find_board(options.board), path, stock).cores
    run, wanted = None, None
    if not options.dry_run:
        run, wanted = _execute(net, stock, batch, options, tell), _expected(net, stock, batch)
    reference = run_reference(net, batch.x, record=True)
    result = DeployResult(
        file=file,
        target=options.target,
        path=path,
        samples=len(batch),
        cores=cores,
        findings=findings,
        identical=None if run is None or wanted is None else compare_runs(net, wanted, run, names=NAMES).identical,
        accuracy=None if run is None else _accuracy(run, batch),
        reference_accuracy=_accuracy(reference, batch),
        coincidence=() if run is None else _coincidence(run, reference),
        environment=environment(options.where) if options.target == "loihi2" else {},
        versions={name: _version(name) for name in PACKAGES},
        folder=folder,
    )
    _write(result, run)
    return result


def _require_board(where: Target) -> None:
    missing = probe(where).missing
    if missing:
        lines = "\n".join(missing)
        raise LoihiMissing(f"there is no board to run on\n{lines}\n--target cpu runs the same network")


def _execute(
    net: QuantizedNetwork, stock: StockNetwork | None, batch: Batch, options: DeployOptions, tell: Tell | None
) -> Run:
    """The last step: on Lava's CPU models, or on a board, where a network of LIF is its own stock form."""
    board = environment(options.where) if options.target == "loihi2" else None
    if stock is None and board is None:
        return lava.run(net, batch.x, record=True, timeout=options.timeout, progress=tell)
    from tclif_neuro.lava.stock.job import run_stock as run_in_lava

    timeout = options.timeout
    return run_in_lava(stock or to_stock(net), batch.x, record=True, timeout=timeout, progress=tell, board=board)


def _expected(net: QuantizedNetwork, stock: StockNetwork | None, batch: Batch) -> Run:
    return run_reference(net, batch.x, record=True) if stock is None else run_stock(stock, batch.x, record=True)


def _coincidence(run: Run, reference: Run) -> tuple[float, ...]:
    shares = []
    for p, q in zip(run.layers, reference.layers, strict=True):
        if p.recorded is not None:
            either = int((p.spikes | q.spikes).sum())
            shares.append(float((p.spikes & q.spikes).sum() / either) if either else 1.0)
    return tuple(shares)


def _accuracy(run: Run, batch: Batch) -> float | None:
    return None if batch.y is None else float((run.predictions == batch.y).mean())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _write(result: DeployResult, run: Run | None) -> None:
    result.folder.mkdir(parents=True, exist_ok=True)
    if run is not None:
        arrays: dict[str, Any] = {f"counts_{i}": layer.counts for i, layer in enumerate(run.layers)}
        arrays |= {f"spikes_{i}": layer.spikes for i, layer in enumerate(run.layers) if layer.recorded}
        save_arrays(result.folder / "spikes.npz", {"logits": run.logits, **arrays})
    text = as_json(result)
    write_atomically(result.folder / "report.json", lambda file: file.write(text.encode()))


def deploy_through_slurm(arguments: list[str], where: Target, timeout: float) -> int:
    """Run `tclif deploy` with `arguments` on a node of the partition, by srun; its exit status.

    The node must see the same files. Raises `HostError` on an unknown or down partition, and at the deadline.
    """
    choose(read_sinfo(), where)
    place_ = ["--nodelist", where.node] if where.node else ["--partition", where.partition]
    minutes = max(1, -(-int(timeout) // 60))
    code = "from tclif_neuro.cli.app import main; main()"
    command = ["srun", *place_, "--ntasks=1", f"--time={minutes}", "--job-name=tclif", sys.executable, "-c", code]
    child = subprocess.Popen([*command, *arguments], stdin=subprocess.DEVNULL)
    try:
        return child.wait(timeout)
    except subprocess.TimeoutExpired:
        raise HostError(f"srun: not done within {timeout:g} s on {where.node or where.partition}") from None
    finally:
        if child.poll() is None:
            child.terminate()  # srun ends its job
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
