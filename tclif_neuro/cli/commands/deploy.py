"""`tclif deploy`: check, place, convert, run, compare; on Lava's CPU models, a cluster, a board."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tclif_neuro.cli.commands.executors import Tell
from tclif_neuro.cli.commands.loihi import choose_path
from tclif_neuro.cli.commands.outputs import make_folder, save_arrays
from tclif_neuro.cli.commands.samples import Batch, Choice, load_batch
from tclif_neuro.compare.runs import score_of
from tclif_neuro.errors import TclifError, unsaid
from tclif_neuro.files import write_atomically
from tclif_neuro.fixed.concerns import concerns
from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.fixed.run import Encoded, Run, encode
from tclif_neuro.lava.hardware.job import run_network_in_lava
from tclif_neuro.lava.hardware.machine import ADAPTER_STEPS, HardwareRun, Machine
from tclif_neuro.lava.hardware.machine import Choice as Chosen
from tclif_neuro.loihi.checks import Finding, Question, check
from tclif_neuro.loihi.direct import to_direct
from tclif_neuro.loihi.host import (
    HostError,
    Target,
    check_ncmodel,
    choose,
    environment,
    missing_ncmodel,
    probe,
    read_sinfo,
)
from tclif_neuro.loihi.limits import find_board
from tclif_neuro.loihi.mapper import Path as ChipPath
from tclif_neuro.loihi.mapper import place
from tclif_neuro.loihi.stock import ChipNetwork, to_stock
from tclif_neuro.loihi.stock_run import as_run, run_network, same_run, sent_spikes
from tclif_neuro.netx import load
from tclif_neuro.score import Score
from tclif_neuro.show.tables import as_json

OWN_STATUSES = (0, 1, 2, 70, 130)  # of the command itself
SLURM_FAILED = 64
PACKAGES = ("tclif-neuro", "lava-nc", "lava-dl", "lava-loihi", "numpy")


class LoihiMissing(TclifError):
    """There is no board here. The message lists what was looked for, a line each."""

    lines = True


@dataclass(frozen=True, kw_only=True)
class DeployOptions:
    """target: "cpu" or "loihi2". path, board, ncmodel: as of `tclif check`. dry_run: stop before the run.

    profile: measure with Lava's profilers, which only a board has.
    """

    target: str
    path: str
    board: str
    where: Target
    timeout: float | None = None
    dry_run: bool = False
    ncmodel: str = ""
    profile: bool = False


@dataclass(frozen=True, kw_only=True)
class DeployResult:
    """The outcome of a deployment.

    identical: whether Lava gave the bits of the path's reference; None if nothing was run.

    accuracy, error: of classes, of real targets, at the end of each sample. Of targets per step (per_step) there are
    those of the network of integers alone: a run's potentials are read at its end. coincidence: of all spikes in
    either, the share in both, of the path and the network of integers, layer by layer. environment: of the driver,
    on a board. adapter_steps: how late an adapter makes a message, either way. placement: what Lava chose for every
    process. seconds, profile: of the run, see `HardwareRun`. input_clipped, warnings: as of `tclif run`.
    """

    file: Path
    target: str
    path: ChipPath
    samples: int
    cores: int
    findings: tuple[Finding, ...]
    identical: bool | None
    accuracy: float | None
    error: float | None
    reference_accuracy: float | None
    reference_error: float | None
    per_step: bool
    coincidence: tuple[float, ...]
    environment: dict[str, str]
    adapter_steps: int
    placement: tuple[Chosen, ...]
    seconds: float | None
    profile: dict[str, tuple[float, ...]]
    versions: dict[str, str]
    folder: Path
    input_clipped: float
    warnings: tuple[str, ...]


class _Deployed(NamedTuple):
    """A run of Lava's, and in the network's own terms its input, its activity and every layer's spikes."""

    hardware: HardwareRun
    encoded: Encoded
    run: Run
    spikes: tuple[npt.NDArray[np.uint8], ...]


def deploy_file(
    file: Path, folder: Path, choice: Choice, options: DeployOptions, *, tell: Tell | None = None
) -> DeployResult:
    """Deploy the network in `file` on the samples of `choice`; `folder` then holds report.json and spikes.npz.

    Raises `LoihiMissing` for the target "loihi2" without a board, `TclifError` if a check finds an error.
    """
    check_options(options)
    net = load(file)
    path = choose_path(net, options.path)
    if options.target == "loihi2" and not options.dry_run:
        _require_board(options, path)
    batch, board = load_batch(net, choice), find_board(options.board)
    ours = options.target == "cpu" or bool(options.ncmodel)  # a model of the neuron is at hand
    findings = check(net, Question(board=board, path=path, ncmodel=ours))
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise TclifError(f"{file}: {errors[0].code}: {errors[0].text}; see `tclif check`")
    network = (to_stock if path == "stock" else to_direct)(net, adapter_steps=ADAPTER_STEPS)
    cores = place(net, board, path, network if path == "stock" else None).cores
    with unsaid():
        reference = run_reference(net, batch.x, lengths=batch.lengths, record=True)
    scored = score_of(reference, batch.y)
    make_folder(folder)
    done = None if options.dry_run else _execute(network, batch, options, tell)
    result = DeployResult(
        file=file,
        target=options.target,
        path=path,
        samples=len(batch),
        cores=cores,
        findings=findings,
        reference_accuracy=scored.accuracy,
        reference_error=scored.error,
        per_step=batch.per_step,
        environment=environment(options.where) if options.target == "loihi2" else {},
        adapter_steps=network.adapter_steps,
        placement=() if done is None else done.hardware.placement,
        seconds=None if done is None else done.hardware.seconds,
        profile={} if done is None else done.hardware.profile,
        versions={name: _version(name) for name in PACKAGES},
        folder=folder,
        input_clipped=reference.input_clipped,
        warnings=concerns(net, reference),
        **_compared(network, batch, done, reference),
    )
    _write(result, done)
    return result


def check_options(options: DeployOptions) -> None:
    """Raise `TclifError` on an option that its target has no use for."""
    if options.ncmodel:
        check_ncmodel(options.ncmodel)
    if options.target == "cpu" and options.ncmodel:
        raise TclifError("--ncmodel: microcode runs only on a board; a CPU runs our own model of the neuron")
    if options.target == "cpu" and options.profile:
        raise TclifError("--profile: measures a board; for a CPU run, `tclif map --samples N` has estimates")
    if options.target == "cpu" and options.where.host:
        raise TclifError("--host: is a board's address; --target loihi2 runs there")
    where = options.where
    if options.target == "loihi2" and options.dry_run and not (where.partition or where.node or where.host):
        raise TclifError("--target loihi2: --partition, --node or --host says where its board is")


def _require_board(options: DeployOptions, path: ChipPath) -> None:
    missing = list(probe(options.where).missing)
    if path == "microcode":
        missing += missing_ncmodel(options.ncmodel)
    if missing:
        lines = "\n".join(missing)
        raise LoihiMissing(f"there is no board to run on\n{lines}\n--target cpu runs the same network")


def _execute(network: ChipNetwork, batch: Batch, options: DeployOptions, tell: Tell | None) -> _Deployed:
    """The last step: on Lava's CPU models, with stand-ins for the adapters, or on a board."""
    board = environment(options.where) if options.target == "loihi2" else None
    machine = Machine(environment=board, ncmodel=options.ncmodel, profile=options.profile)
    encoded = encode(network.net, batch.x, batch.lengths)
    limits: dict[str, Any] = {"lengths": encoded.lengths, "timeout": options.timeout, "progress": tell}
    done = run_network_in_lava(network, encoded.values, machine, **limits)
    run = as_run(network, encoded, done.got, record=False)
    return _Deployed(done, encoded, run, sent_spikes(network, done.got, encoded))


def _compared(network: ChipNetwork, batch: Batch, done: _Deployed | None, reference: Run) -> dict[str, Any]:
    """Return whether the bits are the path's, on its own neurons also the network's; accuracy, coinciding spikes."""
    if done is None:
        return {"identical": None, "accuracy": None, "error": None, "coincidence": ()}
    wanted = run_network(network, done.encoded.values, done.encoded.lengths)
    identical = same_run(network, done.hardware.got, wanted)
    pairs = list(zip(done.spikes, reference.spikes, strict=True))
    if not network.loss:
        identical &= all(np.array_equal(*pair) for pair in pairs) and np.array_equal(done.run.logits, reference.logits)
    coincidence = []
    for layer, (spikes, right) in zip(network.net.layers, pairs, strict=True):
        either = int((spikes | right).sum())
        if not layer.readout:
            coincidence.append(float((spikes & right).sum() / either) if either else 1.0)
    # A run's potentials are read when it is over, so there are none to judge its steps by.
    found = Score() if batch.per_step else score_of(done.run, batch.y)
    return {
        "identical": identical,
        "accuracy": found.accuracy,
        "error": found.error,
        "coincidence": tuple(coincidence),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _write(result: DeployResult, done: _Deployed | None) -> None:
    if done is not None:
        counts = {f"counts_{i}": layer.counts for i, layer in enumerate(done.run.layers)}
        spikes = {f"spikes_{i}": layer for i, layer in enumerate(done.spikes)}
        save_arrays(result.folder / "spikes.npz", {"logits": done.run.logits, **counts, **spikes})
    text = as_json(result)
    write_atomically(result.folder / "report.json", lambda file: file.write(text.encode()))


def deploy_through_slurm(arguments: list[str], where: Target, timeout: float) -> int:
    """Run `tclif deploy` with `arguments` on a node of the partition, by srun; its exit status.

    The node must see the same files. Raises `HostError` on an unknown or down partition, at the deadline, and where
    Slurm refuses the job or the job dies.
    """
    choose(read_sinfo(), where)
    place_ = ["--nodelist", where.node] if where.node else ["--partition", where.partition]
    minutes = max(1, -(-int(timeout) // 60))
    code = "from tclif_neuro.cli.app import main; main()"
    command = ["srun", *place_, "--ntasks=1", f"--time={minutes}", "--job-name=tclif", sys.executable, "-c", code]
    apart = {**os.environ, "SLURM_EXIT_ERROR": str(SLURM_FAILED)}  # else 1, as where the bits differ
    child = subprocess.Popen([*command, *arguments], stdin=subprocess.DEVNULL, env=apart)
    try:
        status = child.wait(timeout)
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
    if status not in OWN_STATUSES:
        how = "Slurm refused or ended the job" if status == SLURM_FAILED else f"the job died with status {status}"
        raise HostError(f"srun: {how} on {where.node or where.partition}; its own lines say why")
    return status
