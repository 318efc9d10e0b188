"""The sink for the output of a network: a file, one row per step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class Sink(AbstractProcess):
    """Writes what it receives in each of `steps` steps to the file `path`, int32 [steps, N] without a header.

    Port: `a_in` [N].
    """

    def __init__(self, *, size: int, steps: int, path: Path, name: str | None = None) -> None:
        super().__init__(path=path, steps=steps, name=name)
        self.a_in = InPort(shape=(size,))
        np.memmap(path, np.int32, "w+", shape=(steps, size)).flush()


@implements(proc=Sink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class PySink(PyLoihiProcessModel):
    """Writes one row per step."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.rows = np.memmap(proc_params["path"], np.int32, "r+").reshape(proc_params["steps"], -1)

    def run_spk(self) -> None:
        """Write the row of this step."""
        self.rows[self.time_step - 1] = self.a_in.recv()
