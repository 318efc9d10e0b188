"""Networks for the tests of this room: on the lattice, and off it on request."""

from dataclasses import replace

import numpy as np

from tclif_neuro.network import DECAY_ONE, MANT_MAX, Layer, LIFNeuron, QuantizedNetwork, Synapses, TCLIFNeuron


def tclif(rng, inputs, size, *, recurrent=False, bias=True, scale=14, gain=0, **neuron):
    """A layer of TC-LIF that spikes, its couplings -0.5 and 0.5 unless others are given."""
    ones = {"a1": [[DECAY_ONE]], "a2": [[DECAY_ONE]]}
    made = {**ones, "b1": [-2048], "b2": [2048], "reset": "delayed", **neuron}
    weight, back = 2 * rng.integers(-60, 80, (size, inputs)), 2 * rng.integers(-40, 40, (size, size))
    return Layer(
        synapses=Synapses(weight=weight, exponent=scale - 9 + gain),
        recurrent=Synapses(weight=back, exponent=scale - 10) if recurrent else None,
        neuron=TCLIFNeuron(
            **{k: np.array(v) if k in ("a1", "a2", "b1", "b2") else v for k, v in made.items()},
            vth_mant=1 << scale,
            gamma_mant=1 << (scale - 1),
        ),
        bias_mant=rng.integers(-3000, 3000, size) if bias else np.zeros(size, int),
        bias_exp=4,
    )


def lif(rng, inputs, size, *, readout=False, bias=True, i_decay=DECAY_ONE, v_decay=300, vth_mant=200, recurrent=False):
    """A layer of stock LIF, or a readout."""
    return Layer(
        synapses=Synapses(weight=2 * rng.integers(-60, 80, (size, inputs))),
        recurrent=Synapses(weight=2 * rng.integers(-40, 40, (size, size))) if recurrent else None,
        neuron=LIFNeuron(i_decay=i_decay, v_decay=v_decay, vth_mant=MANT_MAX if readout else vth_mant),
        bias_mant=rng.integers(-100, 100, size) if bias else np.zeros(size, int),
        bias_exp=6,
        readout=readout,
    )


def network(*layers, **options):
    return QuantizedNetwork(layers=layers, **options)


def spikes(rng, steps, batch, inputs, rate=0.15):
    return (rng.random((steps, batch, inputs)) < rate).astype(float)


def small_threshold():
    """Its weights would need an exponent above 7 wherever its threshold is more than 1."""
    layer = tclif(np.random.default_rng(4), 6, 4, bias=False)
    synapses = Synapses(weight=layer.synapses.weight, exponent=7)
    return network(replace(layer, synapses=synapses, neuron=replace(layer.neuron, vth_mant=1, gamma_mant=0)))
