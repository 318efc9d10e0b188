"""Lava's own LIF with reset, recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.proc.lif.models import PyLifResetModelBitAcc
from lava.proc.lif.process import LIFReset

from tclif_neuro.lava.recording import RecordingRequest
from tclif_neuro.network import Layer, LIFNeuron


def bias_of(layer: Layer) -> dict[str, Any]:
    """The bias of a layer, as Lava's neurons take it."""
    return {"bias_mant": layer.bias_mant.astype(np.int32), "bias_exp": layer.bias_exp}


def lif_of(layer: Layer) -> dict[str, Any]:
    """A layer of LIF neurons as the arguments of Lava's `LIF`.

    Lava adds 1 to du. Its decays, like ours, are 12-bit; here they were checked, there they are not.
    """
    neuron = layer.neuron
    assert isinstance(neuron, LIFNeuron)
    decays = {"du": neuron.i_decay - 1, "dv": neuron.v_decay, "vth": neuron.vth_mant}
    return {"shape": (layer.size,), **decays, **bias_of(layer)}


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
