"""A network of integers as the floats that they stand for, and in how many spikes the two differ."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from tclif_neuro.errors import unsaid
from tclif_neuro.fixed.simulator import simulate
from tclif_neuro.network import ACT_SHIFT, DECAY_ONE, Layer, LIFNeuron, QuantizedNetwork, Synapses, TCLIFNeuron
from tclif_neuro.neurons.layer import TwoCompartment
from tclif_neuro.neurons.modules import LIF, Readout
from tclif_neuro.neurons.trace import trace
from tclif_neuro.nir.claim import fill
from tclif_neuro.nir.graph import Array, NIRError
from tclif_neuro.quantization.stages import Stage, canonical


class FixedTCLIF(TwoCompartment):
    """Two compartments with the coefficients of an integer neuron, none of which is learnt."""

    def __init__(self, size: int, neuron: TCLIFNeuron, vth: float, gamma: float, recurrent: bool) -> None:
        super().__init__(size, recurrent=recurrent, reset=neuron.reset, vth=vth, gamma=gamma)
        for name in ("a1", "a2", "b1", "b2"):
            self.register_buffer(name, torch.from_numpy(np.asarray(getattr(neuron, name), float) / DECAY_ONE))

    def coefficients(self, steps: int, start: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """a1, a2, b1, b2 as they are."""
        a1, a2, b1, b2 = (self.get_buffer(name) for name in ("a1", "a2", "b1", "b2"))
        return a1, a2, b1, b2


def dequantized(net: QuantizedNetwork) -> tuple[Stage, ...]:
    """The layers in float: weights, bias, threshold and reset in units of state, decays as they are.

    Raises `NIRError` on neurons that NIR, or our float, cannot say: a schedule, a current with a memory.
    """
    scales = [net.input.scale] + [1.0] * (len(net.layers) - 1)
    return tuple(_stage(i, layer, scale) for i, (layer, scale) in enumerate(zip(net.layers, scales, strict=True)))


def _stage(index: int, layer: Layer, scale: float) -> Stage:
    unit = math.ldexp(1.0, -layer.scale_bits)
    neuron = _neuron(index, layer, unit)
    if layer.recurrent is not None and not isinstance(neuron, Readout):
        fill(neuron.recurrent, {"weight": _weights(layer.recurrent, unit)})
    return Stage(
        name=f"layer {index}",
        weight=torch.from_numpy(_weights(layer.synapses, unit * scale)),
        bias=torch.from_numpy(layer.bias * unit),
        neuron=neuron.double().eval(),
    )


def _weights(synapses: Synapses, unit: float) -> Array:
    return synapses.weight.astype(np.float64) * math.ldexp(unit, synapses.exponent + ACT_SHIFT)


def _neuron(index: int, layer: Layer, unit: float) -> TwoCompartment | LIF | Readout:
    neuron, size, recurrent = layer.neuron, layer.size, layer.recurrent is not None
    if isinstance(neuron, LIFNeuron):
        beta = 1 - neuron.v_decay / DECAY_ONE
        if neuron.i_decay != DECAY_ONE:
            raise NIRError(f"layer {index}: i_decay {neuron.i_decay}; a current with a memory is not written yet")
        if layer.readout:
            return Readout(layer.inputs, size, decay=beta)
        # It spikes at v > vth, ours at v >= vth: the next integer.
        lif = LIF(size, beta=beta, reset="zero", vth=(neuron.vth + 1) * unit, recurrent=recurrent)
        return lif.double()
    if neuron.adaptive:
        raise NIRError(f"layer {index}: its decays follow a schedule, and no NIR node changes in time")
    if not (neuron.a1.any() or neuron.b1.any() or neuron.gamma_mant) and (neuron.b2 == DECAY_ONE).all():
        beta = neuron.a2[0].astype(np.float64) / DECAY_ONE
        lif = LIF(size, reset=neuron.reset, vth=neuron.vth * unit, recurrent=recurrent, per_neuron=len(beta) > 1)
        return fill(lif.double(), {"fixed_beta": beta})  # a passive dendrite: UD is the current, the soma a LIF
    return FixedTCLIF(size, neuron, neuron.vth * unit, neuron.gamma * unit, recurrent)


def spikes_that_differ(net: QuantizedNetwork, stages: tuple[Stage, ...], x: Tensor) -> tuple[int, int]:
    """The spikes of `net` on x [T, B, M], and the (step, sample, neuron) in which those of `stages` are others."""
    with unsaid():
        run = simulate(net, x.detach().cpu().numpy(), record=True)
    float_spikes = [layer.spikes.numpy() != 0 for layer in trace(canonical(stages), x.detach().cpu().double())]
    pairs = list(zip(run.spikes, float_spikes, strict=True))
    return sum(int(a.sum()) for a, _ in pairs), sum(int((a != b).sum()) for a, b in pairs)
