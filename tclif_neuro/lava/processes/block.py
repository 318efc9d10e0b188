"""A layer as one Lava process: synapses, neurons, and recurrent synapses if it has them."""

from __future__ import annotations

from typing import Any

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.dense.process import Dense
from lava.proc.lif.process import LIF, LIFReset

from tclif_neuro.lava.processes.lif import RecordedLIF, bias_of, lif_of
from tclif_neuro.lava.processes.synapses import SampleDense, dense_of
from tclif_neuro.lava.processes.tclif import TCLIF
from tclif_neuro.lava.recording import RecordingRequest
from tclif_neuro.network import Layer, TCLIFNeuron


class Block(AbstractProcess):
    """A layer of a `QuantizedNetwork`.

    Ports: `inp` [M], `out` [N], spikes. Sub-processes: `synapse`, `neuron`, `synapse_rec` (None if feed-forward).

    input_message_bits: 0 for binary input, 8 for graded. reset_interval: the steps of a sample, or None: never reset.
    reset_offset: the step of the run (from 1, modulo the interval) in which this layer's sample begins. recording: what
    to keep, or None.
    """

    def __init__(
        self,
        *,
        layer: Layer,
        input_message_bits: int = 0,
        reset_interval: int | None = None,
        reset_offset: int = 0,
        recording: RecordingRequest | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.shape = (layer.size,)
        self.input_message_bits, self.output_message_bits = input_message_bits, 0
        self.inp = InPort(shape=(layer.inputs,))
        self.out = OutPort(shape=self.shape)
        clock: dict[str, Any] = {"reset_interval": reset_interval, "reset_offset": reset_offset}
        self.synapse = Dense(num_message_bits=input_message_bits, **dense_of(layer.synapses))
        self.neuron = _neuron(layer, clock, recording)
        self.inp.connect(self.synapse.s_in)
        self.synapse.a_out.connect(self.neuron.a_in)
        self.neuron.s_out.connect(self.out)
        self.synapse_rec = None
        if layer.recurrent is not None:  # its input is binary, whatever the layer's is
            self.synapse_rec = SampleDense(num_message_bits=0, **dense_of(layer.recurrent), **clock)
            self.neuron.s_out.connect(self.synapse_rec.s_in)
            self.synapse_rec.a_out.connect(self.neuron.a_in)


def _neuron(layer: Layer, clock: dict[str, Any], recording: RecordingRequest | None) -> AbstractProcess:
    """The layer's neurons with their bias: ours, or Lava's own LIF."""
    if isinstance(layer.neuron, TCLIFNeuron):
        return TCLIF(shape=(layer.size,), neuron=layer.neuron, recording=recording, **bias_of(layer), **clock)
    lif = lif_of(layer)
    if recording is not None:
        return RecordedLIF(recording=recording, **lif, **clock)
    return LIF(**lif) if clock["reset_interval"] is None else LIFReset(**lif, **clock)


@implements(proc=Block, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyBlock(AbstractSubProcessModel):
    """The sub-processes themselves; they are the process's, made and connected there."""

    def __init__(self, proc: AbstractProcess) -> None:
        """Nothing to build."""
