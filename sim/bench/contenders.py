"""Who takes part, in which environment, and what one measurement is of."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

Work = Literal["train", "online", "simulate"]
ROOT = Path(__file__).resolve().parents[2]
PEERS_PYTHON = ROOT / ".venv-peers/bin/python"


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One row of the table.

    build: what it runs, a name in `models.BUILD` (training), in `measure.online` or in `measure.simulate`. needs: the
    module without which it cannot take part; .venv-peers is asked where this environment does not have it. quick:
    whether a simulation takes less than seconds. short: whether it takes part in the short benchmark. confined: it has
    no number of threads to set, so it is kept to as many cores. settings: environment variables.
    """

    name: str
    label: str
    work: Work
    build: str
    needs: str = "tclif_neuro"
    quick: bool = False
    short: bool = False
    confined: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        """The interpreter it runs in."""
        return Path(sys.executable) if find_spec(self.needs.split(".")[0]) else PEERS_PYTHON

    def missing(self) -> str:
        """Why it cannot take part, or "" if it can."""
        if not self.python.exists():
            return f"{self.needs} is not installed, and there is no {self.python.relative_to(ROOT)} (make peers)"
        code = f"import importlib.util as u; raise SystemExit(u.find_spec({self.needs!r}) is None)"
        found = subprocess.run([self.python, "-c", code], cwd=ROOT, capture_output=True, timeout=60).returncode == 0
        return "" if found else f"{self.needs} is not installed"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One measurement: `timed` runs after `warm` others, of `steps` time steps (T) on `batch` samples.

    threads: how many the contender may use. gain: what the hidden layers' initial weights are multiplied by; the spike
    rate follows from it. At 1, the libraries' own weights, deep layers are silent, and work on spikes is for free.
    device: of training, "cpu" or "cuda:N".
    """

    work: Work
    build: str
    steps: int
    batch: int
    recurrent: bool
    threads: int = 1
    sizes: tuple[int, ...] = (1, 64, 256, 256, 10)
    gain: float = 2.5
    warm: int = 1
    timed: int = 2
    device: str = "cpu"


def thread_counts(cores: int) -> tuple[int, ...]:
    """1, 2, 4, ... and all `cores`."""
    return tuple(sorted({*(2**i for i in range(cores.bit_length()) if 2**i < cores), cores}))


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


CONTENDERS = (
    Contender(name="tclif", label="TC-LIF, tclif-neuro", work="train", build="tclif", short=True),
    Contender(
        name="checkpointed",
        label="TC-LIF, tclif-neuro checkpointed",
        work="train",
        build="checkpointed",
        short=True,
    ),
    Contender(name="lif", label="LIF, tclif-neuro", work="train", build="lif", short=True),
    Contender(
        name="uncompiled",
        label="TC-LIF, tclif-neuro uncompiled",
        work="train",
        build="tclif",
        settings={"TCLIF_SCAN": "reference"},
    ),
    Contender(name="stepwise", label="TC-LIF, PyTorch step by step", work="train", build="stepwise", short=True),
    Contender(name="snntorch", label="LIF, snnTorch", work="train", build="snntorch", needs="snntorch", short=True),
    Contender(
        name="spikingjelly",
        label="LIF, SpikingJelly step by step",
        work="train",
        build="spikingjelly",
        needs="spikingjelly",
    ),
    Contender(
        name="spikingjelly-multi",
        label="LIF, SpikingJelly multi-step",
        work="train",
        build="spikingjelly-multi",
        needs="spikingjelly",
    ),
    Contender(name="norse", label="LIF with current, Norse", work="train", build="norse", needs="norse"),
    Contender(name="lava-dl", label="LIF with current, lava-dl", work="train", build="lava-dl", needs="lava.lib"),
    Contender(name="forward", label="forward pass alone", work="online", build="forward", short=True),
    Contender(name="eprop", label="e-prop, reset detached", work="online", build="eprop", short=True),
    Contender(name="eprop-synapses", label="e-prop, a trace per synapse", work="online", build="eprop-synapses"),
    Contender(name="limit", label="the machine's limit", work="simulate", build="limit", quick=True, short=True),
    Contender(
        name="simulator", label="tclif-neuro's simulator", work="simulate", build="simulator", quick=True, short=True
    ),
    Contender(name="reference", label="NumPy reference", work="simulate", build="reference"),
    Contender(name="lava", label="Lava on the CPU", work="simulate", build="lava", needs="lava.magma", confined=True),
)
