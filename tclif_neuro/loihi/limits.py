"""The known figures of a Loihi 2 chip, each once, with its kind and source.

Kinds: P published by Intel, C public source code, O printed by Intel's closed compiler in public notebooks, I inferred
by us from O, M measured by us, E an estimate, F a fact of the network. A check that rests on I or E warns, it does not
fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tclif_neuro.errors import TclifError

Kind = Literal["P", "C", "O", "I", "M", "E", "F"]


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A figure: what it bounds, its value and unit, how it is known, and from where."""

    name: str
    value: float
    unit: str
    kind: Kind
    source: str


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board with `chips` chips of `cores` usable cores each."""

    name: str
    chips: int
    cores: int
    kind: Kind
    source: str

    @property
    def all_cores(self) -> int:
        """The usable cores of all its chips."""
        return self.chips * self.cores


_COMPILER = "reports of the compiler in public notebooks of lava-dl and lava-optimization"
_LAVA = "lava-nc 0.10.0"


def _limit(name: str, value: float, unit: str, kind: Kind, source: str) -> Limit:
    return Limit(name=name, value=value, unit=unit, kind=kind, source=source)


CORES = _limit("cores", 120, "per chip", "C", f"{_LAVA} compiler/subcompilers/constants.py")
CHIP_NEURONS = _limit("chip neurons", 8192, "per core", "P", "technology brief 2021")
CORE_SYNAPSES = _limit("synapse memory", 12_000, "words", "O", f"{_COMPILER} (SynMem)")
CORE_WORDS = _limit("memory", 15_000, "words", "I", f"{_COMPILER}: the total is linear in the columns")
CORE_AXONS = _limit("input axons", 16_000, "entries", "I", _COMPILER)
CORE_AXON_MAP = _limit("axon map", 16_000, "entries", "I", _COMPILER)
CORE_NEURONS = _limit("neurons", 4_095, "entries", "I", _COMPILER)
CORE_GROUPS = _limit("neuron groups", 8, "groups", "I", _COMPILER)
ENTRY_WORDS = _limit("entry", 0.75, "words", "I", f"{_COMPILER}: of a neuron, an axon, an axon map entry")
GROUP_WORDS = _limit("group", 1.3, "words", "I", _COMPILER)
FAN_IN = _limit("fan-in", 8_569, "inputs", "I", f"{_COMPILER}; a public failure at 11,352")
STATE_BITS = _limit("state", 24, "bits", "C", f"{_LAVA} proc/lif/models.py")
LIF_INPUT = _limit("LIF input", 2**17, "units", "C", f"{_LAVA} proc/lif/models.py: shifted by 6 into 24 bits")
DV_MAX = _limit("dv", 4_095, "4096ths", "C", f"{_LAVA} proc/lif/models.py, documentation")
READ_WIDTH = _limit("channels", 900, "outputs per step", "E", f"{_LAVA} compiler/subcompilers/constants.py")

SYNAPSE_TIME = _limit("synaptic event", 0.66, "ns", "E", "a public benchmark script, N3B3")
NEURON_TIME = _limit("neuron update", 4.0, "ns", "E", "a public benchmark script, N3B3")
BARRIER_TIME = _limit("barrier", 10_000.0, "ns", "E", "a public benchmark script, N3B3")

# Of the predecessor: nothing per operation is published of Loihi 2.
LOIHI1_SYNAPSE = _limit("Loihi 1 synaptic operation", 23.6, "pJ", "P", "Davies et al. 2018, IEEE Micro 38(1), table 2")
LOIHI1_UPDATE = _limit("Loihi 1 neuron update", 81.0, "pJ", "P", "Davies et al. 2018, IEEE Micro 38(1), table 2")

BOARDS: dict[str, Board] = {
    board.name: board
    for board in (
        Board(name="oheogulch", chips=1, cores=120, kind="C", source=f"{_LAVA} magma/core/resources.py"),
        Board(name="kapohopoint", chips=8, cores=120, kind="C", source="lava-dl benchmark notebooks"),
        Board(name="vpx", chips=16, cores=120, kind="C", source=f"{_LAVA} magma/core/resources.py"),
        Board(name="halapoint", chips=1_152, cores=120, kind="P", source="Intel 2024"),
    )
}


def find_board(name: str) -> Board:
    """The board of that name. Raises `TclifError`, which lists them."""
    if name not in BOARDS:
        raise TclifError(f"board {name!r}: one of {', '.join(BOARDS)} expected")
    return BOARDS[name]
