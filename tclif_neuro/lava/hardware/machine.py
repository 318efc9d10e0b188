"""The request for a run on Lava's models of the chip, or on a board, and its result; knows nothing of Lava."""

from __future__ import annotations

from dataclasses import dataclass, field

from tclif_neuro.loihi.graph import GraphRun

ADAPTER_STEPS = 1  # between host and chip, either way (an estimate: lava-dl's PilotNet resets a step later for one)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A process, the model that Lava's run configuration chose for it, and the resources that this asks for.

    on_host: whether it runs in Python, on the host's CPU.
    """

    process: str
    model: str
    resources: tuple[str, ...]
    on_host: bool


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine to run on.

    environment: of Intel's driver (`loihi.host.environment`), None for this CPU. ncmodel: "package.module:Class", a
    microcode model of TC-LIF, "" for none. profile: whether to measure with Lava's profilers. Both need a board.
    """

    environment: dict[str, str] | None = None
    ncmodel: str = ""
    profile: bool = False

    @property
    def on_chip(self) -> bool:
        """True if the machine is a board."""
        return self.environment is not None


CPU = Machine()


@dataclass(frozen=True, kw_only=True, eq=False)
class HardwareRun:
    """The output of the nodes, what ran where, and for how long.

    placement: one entry per process, as chosen for the first sample; those of the others are the same. seconds: of the
    child process, its start included. profile: by profiler and quantity, the mean over the run's steps of every sample.
    """

    got: GraphRun
    placement: tuple[Choice, ...]
    seconds: float
    profile: dict[str, tuple[float, ...]] = field(default_factory=dict)
