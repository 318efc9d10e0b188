"""The network of integers that is simulated: 1-64-256-256-10, TC-LIF with random weights that fire at about 10 %."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.simulator import simulate
from tclif_neuro.network import MANT_MAX, Layer, LIFNeuron, QuantizedNetwork, Synapses, TCLIFNeuron

SIZES = (1, 64, 256, 256, 10)
RATE = 0.1


def network(*, recurrent: bool, seed: int = 0) -> QuantizedNetwork:
    """Random TC-LIF layers of `SIZES`, each with a bias found by bisection that makes it fire at about `RATE`."""
    rng = np.random.default_rng(seed)
    layers: tuple[Layer, ...] = ()
    x = rng.random((100, 8, SIZES[0])) < 0.5
    for m, n in itertools.pairwise(SIZES[:-1]):
        weight = rng.integers(-40, 41, (n, m)) * 2
        low, high = -2000, 4000
        while high - low > 1:
            bias = (low + high) // 2
            layer = Layer(
                synapses=Synapses(weight=weight),
                recurrent=Synapses(weight=rng.integers(-10, 11, (n, n)) * 2) if recurrent else None,
                neuron=TCLIFNeuron(a1=[[4000]], a2=[[4000]], b1=[-2048], b2=[2048], vth_mant=1000, gamma_mant=500),
                bias_mant=np.full(n, bias),
                bias_exp=4,
            )
            counts = simulate(QuantizedNetwork(layers=(*layers, layer)), x).layers[-1].counts
            low, high = (low, bias) if counts.mean() > RATE * len(x) else (bias, high)
        layers = (*layers, layer)
    readout = Layer(
        synapses=Synapses(weight=rng.integers(-40, 41, SIZES[:-3:-1]) * 2),
        neuron=LIFNeuron(i_decay=4096, v_decay=0, vth_mant=MANT_MAX),
        bias_mant=np.zeros(SIZES[-1], int),
        readout=True,
    )
    return QuantizedNetwork(layers=(*layers, readout))


def samples(steps: int, batch: int) -> npt.NDArray[np.bool_]:
    """Random input [T, B, 1]; sample b is the same in every batch."""
    return np.random.default_rng(1).random((batch, steps, SIZES[0])).transpose(1, 0, 2) < 0.5
