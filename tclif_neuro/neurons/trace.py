"""The activity inside a float network: every layer's spikes and states on a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tclif_neuro.neurons.chain import evaluating, links
from tclif_neuro.neurons.layer import TwoCompartment
from tclif_neuro.neurons.modules import LIF, Readout
from tclif_neuro.neurons.scan import lif_states, tclif_states
from tclif_neuro.neurons.within import held, within


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerTrace:
    """One spiking layer's or readout's activity.

    name: of the module. input: what entered the layer's neurons (the current; a readout's spikes), [T, B, ...].
    spikes: [T, B, N] in {0, 1}; zeros for a readout. states: [2, T, B, N] after each step: dendrite and soma; for LIF
    and Readout the potential twice.
    """

    name: str
    input: Tensor
    spikes: Tensor
    states: Tensor


def trace(model: nn.Sequential, x: Tensor, lengths: Tensor | None = None) -> list[LayerTrace]:
    """Run `model` in evaluation mode on x [T, B, M] and keep every spiking layer's and readout's activity.

    lengths: [B], the steps of each sample that are its own (None: all); after them nothing enters a layer, there are no
    spikes, and the states stay as they are.
    """
    traces = []
    with evaluating(model):
        for name, module in links(model):
            if isinstance(module, TwoCompartment | LIF | Readout):
                traces.append(_layer_trace(name, module, x))
            x = traces[-1].spikes if isinstance(module, TwoCompartment | LIF) else module(x)
    return traces if lengths is None else [_within(layer, lengths) for layer in traces]


def _within(layer: LayerTrace, lengths: Tensor) -> LayerTrace:
    """The activity of a layer within its samples' own steps."""
    states = torch.stack([held(state, lengths) for state in layer.states])
    entered, spikes = within(layer.input, lengths), within(layer.spikes, lengths)
    return LayerTrace(name=layer.name, input=entered, spikes=spikes, states=states)


def _layer_trace(name: str, module: TwoCompartment | LIF | Readout, x: Tensor) -> LayerTrace:
    if isinstance(module, Readout):
        potential = module.sequence(x)
        return LayerTrace(
            name=name, input=x, spikes=torch.zeros_like(potential), states=torch.stack([potential, potential])
        )
    recurrent = module.recurrent_weight
    if isinstance(module, LIF):
        lif = lif_states(x, module.params(), recurrent)
        potential = torch.stack([s.potential for s in lif])
        return LayerTrace(
            name=name, input=x, spikes=torch.stack([s.spike for s in lif]), states=torch.stack([potential, potential])
        )
    states = tclif_states(x, module.params(len(x)), recurrent)
    compartments = torch.stack([torch.stack([s.dendrite for s in states]), torch.stack([s.soma for s in states])])
    return LayerTrace(name=name, input=x, spikes=torch.stack([s.spike for s in states]), states=compartments)
