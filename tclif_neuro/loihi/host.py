"""Checks of what is installed and reachable for a run on a board, without importing anything of Lava.

A run on hardware is started by Intel's driver from a Python on the login node, which reads its environment: `SLURM`,
`PARTITION` or `BOARD`, `LOIHI_GEN` for a cluster, `NOSLURM`, `NXSDKHOST`, `HOST_BINARY`, `LOIHI_GEN` for a board on
Ethernet. Everything here that waits has a deadline.
"""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tclif_neuro.errors import TclifError
from tclif_neuro.text import clean, cut, quoted

INRC = "Intel's lava-loihi, from its INRC only"
NEEDED = {
    "lava.magma.compiler": "lava-nc (pip install lava-nc)",
    "lava.utils.loihi2_profiler": INRC,
    "lava.magma.core.model.nc": INRC,
    "lava.proc.embedded_io.spike": INRC,
    "nxcore": INRC,
}
GENERATIONS = ("N2A2", "N3B2", "N3B3", "N3C1", "N3D1")
DRIVER = "nxcore/bin/nx_driver_server"
SSH_PORT = 22
DEADLINE = 10.0  # seconds
READY = {"idle", "mix", "mixed", "alloc", "allocated", "comp", "completing", "plnd", "planned"}


class HostError(TclifError):
    """A cluster or a board that cannot be used. The message says what was asked, what was found, what to do."""


@dataclass(frozen=True, kw_only=True)
class SlurmNode:
    """A row of `sinfo`: a node in a partition, and its state without the marks behind it."""

    name: str
    partition: str
    state: str
    answers: bool

    @property
    def ready(self) -> bool:
        """True if a job could be put there, now or after those that run."""
        return self.answers and self.state in READY


@dataclass(frozen=True, kw_only=True)
class Target:
    """A place to run: a partition or a node of a cluster, or a board's address; and the chip's generation."""

    partition: str = ""
    node: str = ""
    host: str = ""
    chip: str = "N3B3"

    def __post_init__(self) -> None:
        if self.chip not in GENERATIONS:
            raise HostError(f"chip {self.chip!r}: one of {', '.join(GENERATIONS)} expected")
        if sum(map(bool, (self.partition, self.node, self.host))) > 1:
            raise HostError("partition, node, host: one of the three is enough")


@dataclass(frozen=True, kw_only=True)
class HostReport:
    """The needs of a run on hardware: each package and whether it is there; what else is missing, one line each."""

    packages: dict[str, bool]
    missing: tuple[str, ...]


def probe(target: Target) -> HostReport:
    """Look for the packages and for the board of `target`; nothing of Lava is imported, nothing is changed."""
    packages = {name: is_installed(name) for name in NEEDED}
    missing = [f"missing: {name}: {NEEDED[name]}" for name, there in packages.items() if not there]
    try:
        if target.host:
            greet(target.host)
        else:
            choose(read_sinfo(), target)
    except HostError as error:
        missing.append(f"missing: {error}")
    return HostReport(packages=packages, missing=tuple(missing))


def check_ncmodel(name: str) -> None:
    """Raise `HostError` unless `name` is "package.module:Class"."""
    module, colon, attribute = name.partition(":")
    if not (colon and attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise HostError(f"ncmodel {quoted(name)}: package.module:Class expected")


def missing_ncmodel(name: str) -> tuple[str, ...]:
    """Return what a microcode model of TC-LIF lacks, one line each, by its name and files alone.

    "": no model was named.
    """
    if not name:
        what = "microcode of TC-LIF, whose tools are INRC's; name a class that you wrote"
        return (f"missing: --ncmodel package.module:Class: {what}",)
    module = name.partition(":")[0]
    return () if is_installed(module) else (f"missing: {module}: of --ncmodel {name}; is it on the PYTHONPATH?",)


def is_installed(module: str) -> bool:
    """Return whether `module` is on the path, by its files alone.

    `find_spec` of a submodule would import its parents.
    """
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or not rest:
        return spec is not None
    places = [Path(place).joinpath(*rest) for place in spec.submodule_search_locations or ()]
    suffixes = (".py", ".so", ".pyc")
    return any(p.is_dir() or any(p.with_suffix(s).is_file() for s in suffixes) for p in places)


def environment(target: Target, board: Literal["slurm", "ethernet"] = "slurm") -> dict[str, str]:
    """Return what the child process that runs the driver gets beside its environment; this process's is left alone."""
    if board == "ethernet" or target.host:
        return {"NOSLURM": "1", "NXSDKHOST": target.host, "HOST_BINARY": DRIVER, "LOIHI_GEN": target.chip}
    place = {"BOARD": target.node} if target.node else {"PARTITION": target.partition}
    return {"SLURM": "1", "LOIHI_GEN": target.chip, **place}


def read_sinfo(deadline: float = DEADLINE) -> tuple[SlurmNode, ...]:
    """Every node of every partition, as `sinfo` tells. Raises `HostError`."""
    if shutil.which("sinfo") is None:
        raise HostError("sinfo: is not on the PATH; on a cluster, load its Slurm module; for a board, give its --host")
    command = ["sinfo", "-h", "-N", "-o", "%N %R %t"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=deadline, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise HostError(f"sinfo: no answer within {deadline:g} s; is the cluster's controller up?") from None
    if done.returncode:
        said = clean(cut(" ".join(done.stderr.decode(errors="replace").split())))
        raise HostError(f"sinfo: failed with status {done.returncode}; is this a host of the cluster? {said}")
    return parse_sinfo(done.stdout.decode(errors="replace"))


def parse_sinfo(text: str) -> tuple[SlurmNode, ...]:
    """Rows of `sinfo -h -N -o '%N %R %t'`: a node, its partition, its state; a `*` behind it: does not answer.

    >>> parse_sinfo("ncl-1 oheogulch idle*")
    (SlurmNode(name='ncl-1', partition='oheogulch', state='idle', answers=False),)
    """
    rows = [line.split() for line in text.splitlines() if line.strip()]
    return tuple(
        SlurmNode(name=name, partition=partition, state=state.rstrip("*~#!%$@^-"), answers="*" not in state)
        for name, partition, state in (row for row in rows if len(row) == 3)
    )


def choose(nodes: tuple[SlurmNode, ...], target: Target) -> tuple[SlurmNode, ...]:
    """The nodes that `target` could run on. Raises `HostError` on an unknown name, and where all are down."""
    kind, asked = ("node", target.node) if target.node else ("partition", target.partition)
    known = sorted({getattr(node, "name" if target.node else "partition") for node in nodes})
    if not asked:
        raise HostError(f"a partition, a node or a host; this cluster has the partitions {', '.join(known) or 'none'}")
    found = [node for node in nodes if (node.name if target.node else node.partition) == asked]
    if not found:
        raise HostError(f"{kind} {asked!r}: is not on this cluster, which has {', '.join(known) or 'none'}")
    ready = tuple(node for node in found if node.ready)
    if not ready:
        states = ", ".join(f"{n.name} is {n.state}{'' if n.answers else ', does not answer'}" for n in found)
        raise HostError(f"{kind} {asked!r}: no node is up: {states}")
    return ready


def greet(host: str, port: int = SSH_PORT, deadline: float = DEADLINE) -> str:
    """The first line of the secure shell at `host`, through which the driver comes. Raises `HostError`."""
    name = f"host {clean(cut(host, 80))} port {port}"
    try:
        with socket.create_connection((host, port), timeout=deadline) as connection:
            connection.settimeout(deadline)
            said = connection.recv(256)
    except TimeoutError:
        raise HostError(f"{name}: no answer within {deadline:g} s") from None
    except OSError as error:
        raise HostError(f"{name}: {error.strerror or error}") from None
    if not said.startswith(b"SSH-"):
        raise HostError(f"{name}: is no secure shell")
    return said.decode(errors="replace").strip()
