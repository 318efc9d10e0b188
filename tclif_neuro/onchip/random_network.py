"""A network of random integers to learn from."""

from __future__ import annotations

import numpy as np

from tclif_neuro.network import (
    DECAY_ONE,
    MANT_MAX,
    InputCoding,
    Layer,
    LIFNeuron,
    QuantizedNetwork,
    Synapses,
    TCLIFNeuron,
)

DIGIT_ROWS = InputCoding(bits=8, scale=16.0)  # pixels in [0, 1] as graded spikes 0..16


def random_synapses(shape: tuple[int, int], largest: int, exponent: int, rng: np.random.Generator) -> Synapses:
    """Even mantissas, uniform in +-2 `largest`."""
    return Synapses(weight=2 * rng.integers(-largest, largest + 1, shape), exponent=exponent)


def random_network(
    inputs: int,
    neuron: TCLIFNeuron,
    hidden: int,
    outputs: int,
    *,
    rng: np.random.Generator,
    recurrent: bool = False,
    coding: InputCoding = DIGIT_ROWS,
) -> QuantizedNetwork:
    """A network of `hidden` neurons and a readout that does not forget, with uniformly random weights."""
    layer = Layer(
        synapses=random_synapses((hidden, inputs), 48, 0, rng),
        recurrent=random_synapses((hidden, hidden), 16, 0, rng) if recurrent else None,
        neuron=neuron,
        bias_mant=np.zeros(hidden, int),
    )
    readout = Layer(
        synapses=random_synapses((outputs, hidden), 32, 0, rng),
        neuron=LIFNeuron(i_decay=DECAY_ONE, v_decay=0, vth_mant=MANT_MAX),
        bias_mant=np.zeros(outputs, int),
        readout=True,
    )
    return QuantizedNetwork(layers=(layer, readout), input=coding)
