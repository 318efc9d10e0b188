"""A small network of every kind of layer, and a run of it."""

import numpy as np
import pytest

from tclif_neuro import QuantizedNetwork, run_reference
from tclif_neuro.network import MANT_MAX, Layer, LIFNeuron, Synapses, TCLIFNeuron

STEPS, SAMPLES, INPUTS = 9, 4, 6


@pytest.fixture(scope="session")
def net():
    rng = np.random.default_rng(7)

    def synapses(n, m, size=60):
        return Synapses(weight=rng.integers(-size, size, (n, m)) * 2, exponent=2)

    tclif = TCLIFNeuron(a1=[[4096]], a2=[[4096]], b1=[-2048], b2=[2048], vth_mant=256, gamma_mant=128)
    lif = LIFNeuron(i_decay=4096, v_decay=400, vth_mant=256)
    integrator = LIFNeuron(i_decay=4096, v_decay=0, vth_mant=MANT_MAX)
    return QuantizedNetwork(
        layers=(
            Layer(
                synapses=synapses(10, INPUTS),
                recurrent=synapses(10, 10, 20),
                neuron=tclif,
                bias_mant=np.zeros(10, int),
                scale_bits=14,
            ),
            Layer(synapses=synapses(8, 10), neuron=lif, bias_mant=np.zeros(8, int), scale_bits=14),
            Layer(synapses=synapses(3, 8), neuron=integrator, bias_mant=np.zeros(3, int), scale_bits=10, readout=True),
        ),
        classes=("left", "right", "straight"),
    )


@pytest.fixture(scope="session")
def x():
    return np.random.default_rng(8).integers(0, 2, (STEPS, SAMPLES, INPUTS)).astype(float)


@pytest.fixture(scope="session")
def run(net, x):
    run = run_reference(net, x, record=True)
    assert all(run.layers[i].counts.sum() > 20 for i in (0, 1)), "a silent network would prove nothing"
    return run
