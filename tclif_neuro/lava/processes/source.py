"""The input of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from tclif_neuro.lava.guarding.progress import counter


class Source(AbstractProcess):
    """Plays a sequence of spikes, one row per step, and is silent after its end.

    Port: `s_out` [M]. signal: [steps, M] integers, binary or graded. progress: the folder whose step counter it
    advances (`lava.guarding.progress`), or None.
    """

    def __init__(self, *, signal: npt.NDArray[Any], progress: Path | None = None, name: str | None = None) -> None:
        super().__init__(signal=signal, progress=progress, name=name)
        self.s_out = OutPort(shape=signal.shape[1:])


@implements(proc=Source, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class PySource(PyLoihiProcessModel):
    """Sends one row per step."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=9)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.signal = proc_params["signal"]
        self.counter = proc_params["progress"] and counter(proc_params["progress"])

    def run_spk(self) -> None:
        """Send the row of this step."""
        if self.counter is not None:
            self.counter[0] = self.time_step
        playing = self.time_step <= len(self.signal)
        self.s_out.send(self.signal[self.time_step - 1] if playing else np.zeros_like(self.signal[0]))
