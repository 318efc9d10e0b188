"""Recurrent synapses that forget at the end of a sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.dense.models import AbstractPyDenseModelBitAcc, AbstractPyDenseModelFloat
from lava.proc.dense.process import Dense

from tclif_neuro.lava.recording import sample_step
from tclif_neuro.network import Synapses


def dense_of(synapses: Synapses) -> dict[str, Any]:
    """Synapses as the arguments of Lava's `Dense`."""
    return {"weights": synapses.weight.astype(np.int32), "weight_exp": synapses.exponent}


class SampleDense(Dense):
    """A Lava `Dense` that does not carry spikes over from one sample to the next.

    A Dense delivers one step late: what a neuron sends in the last step of a sample would reach it in the first step of
    the next, which no reset of the neuron undoes. Here the buffer is dropped in a sample's first step.

    weights, weight_exp, num_message_bits, name: as `Dense` has them. reset_interval, reset_offset: those of the neurons
    that it feeds; None: never reset.
    """

    def __init__(self, *, weights: Any, reset_interval: int | None, reset_offset: int = 0, **dense: Any) -> None:
        super().__init__(weights=weights, reset_interval=reset_interval, reset_offset=reset_offset, **dense)


class _DropAtSampleStart:
    """Mixed in before one of Lava's Dense models; the arithmetic is Lava's own."""

    a_buff: Any
    proc_params: Any
    time_step: int

    def run_spk(self) -> None:
        """Drop the buffer in a sample's first step, then do as Lava's model does."""
        interval, offset = self.proc_params["reset_interval"], self.proc_params["reset_offset"]
        if interval is not None and sample_step(self.time_step, interval, offset) == 0:
            self.a_buff = np.zeros_like(self.a_buff)
        super().run_spk()  # type: ignore[misc]


@implements(proc=SampleDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySampleDenseFixed(_DropAtSampleStart, AbstractPyDenseModelBitAcc):
    """Lava's bit-accurate Dense."""


@implements(proc=SampleDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PySampleDenseFloat(_DropAtSampleStart, AbstractPyDenseModelFloat):
    """Lava's floating-point Dense."""
