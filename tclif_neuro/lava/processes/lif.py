"""Lava's own LIF with reset, recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.proc.lif.models import PyLifResetModelBitAcc
from lava.proc.lif.process import LIFReset

from tclif_neuro.lava.recording import RecordingRequest


class RecordedLIF(LIFReset):
    """A `LIFReset` that keeps a record of its current, potential and spikes. The neuron is Lava's, to the bit.

    recording: what to keep and where to write it. Other arguments as `LIFReset` has them.
    """

    def __init__(self, *, recording: RecordingRequest, **lif: Any) -> None:
        super().__init__(**lif)
        self.proc_params["recording"] = recording


class PyRecordedLIF(PyLifResetModelBitAcc):
    """Lava's bit-accurate model, and the record."""

    implements_process = RecordedLIF

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.recording = proc_params["recording"].start(proc_params["shape"][0])
        self.spikes: npt.NDArray[np.bool_] = np.zeros(proc_params["shape"], bool)

    def spiking_activation(self) -> npt.NDArray[np.bool_]:
        """Lava's spikes, noted."""
        self.spikes = super().spiking_activation()
        return self.spikes

    def run_spk(self) -> None:
        """Do as Lava's model does, then record."""
        super().run_spk()
        self.recording.add(self.time_step, self.u, self.v, self.spikes, None)
