"""Who takes part, in which environment, and what one measurement is of."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Work = Literal["train", "simulate"]
ROOT = Path(__file__).resolve().parents[2]
PEERS_PYTHON = ROOT / ".venv-peers/bin/python"


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One row of the table.

    build: what it runs, a name in `models.BUILD` (training) or in `measure.simulate`. needs: the module
    without which it cannot take part. peer: whether it lives in .venv-peers. quick: whether a simulation takes less
    than seconds. settings: environment variables.
    """

    name: str
    label: str
    work: Work
    build: str
    needs: str = "tclif_neuro"
    peer: bool = False
    quick: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        """The interpreter it runs in."""
        return PEERS_PYTHON if self.peer else Path(sys.executable)

    def missing(self) -> str:
        """Why it cannot take part, or "" if it can."""
        if not self.python.exists():
            return f"{self.needs} is not installed: no {self.python.relative_to(ROOT)} (make peers)"
        code = f"import importlib.util as u; raise SystemExit(u.find_spec({self.needs!r}) is None)"
        found = subprocess.run([self.python, "-c", code], cwd=ROOT, capture_output=True, timeout=60).returncode == 0
        return "" if found else f"{self.needs} is not installed"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One measurement: `timed` runs after `warm` others, of `steps` time steps (T) on `batch` samples.

    gain: what the hidden layers' initial weights are multiplied by; the spike rate follows from it. At 1, the
    libraries' own weights, deep layers are silent, and work on spikes is for free.
    """

    work: Work
    build: str
    steps: int
    batch: int
    recurrent: bool
    sizes: tuple[int, ...] = (1, 64, 256, 256, 10)
    gain: float = 2.5
    warm: int = 1
    timed: int = 2


CONTENDERS = (
    Contender(name="tclif", label="TC-LIF, tclif-neuro", work="train", build="tclif"),
    Contender(name="checkpointed", label="TC-LIF, tclif-neuro checkpointed", work="train", build="checkpointed"),
    Contender(name="lif", label="LIF, tclif-neuro", work="train", build="lif"),
    Contender(
        name="uncompiled",
        label="TC-LIF, tclif-neuro uncompiled",
        work="train",
        build="tclif",
        settings={"TCLIF_SCAN": "reference"},
    ),
    Contender(name="stepwise", label="TC-LIF, PyTorch step by step", work="train", build="stepwise"),
    Contender(name="snntorch", label="LIF, snnTorch", work="train", build="snntorch", needs="snntorch", peer=True),
    Contender(
        name="spikingjelly",
        label="LIF, SpikingJelly step by step",
        work="train",
        build="spikingjelly",
        needs="spikingjelly",
        peer=True,
    ),
    Contender(
        name="spikingjelly-multi",
        label="LIF, SpikingJelly multi-step",
        work="train",
        build="spikingjelly-multi",
        needs="spikingjelly",
        peer=True,
    ),
    Contender(name="norse", label="LIF with current, Norse", work="train", build="norse", needs="norse", peer=True),
    Contender(name="lava-dl", label="LIF with current, lava-dl", work="train", build="lava-dl", needs="lava.lib"),
    Contender(name="limit", label="the machine's limit", work="simulate", build="limit", quick=True),
    Contender(name="simulator", label="tclif-neuro's simulator", work="simulate", build="simulator", quick=True),
    Contender(name="reference", label="NumPy reference", work="simulate", build="reference"),
    Contender(name="lava", label="Lava on the CPU", work="simulate", build="lava", needs="lava.magma"),
)
