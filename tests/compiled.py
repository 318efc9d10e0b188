"""What most tests need compiled, in parts: each worker begins with another, so that none is compiled twice.

numba keeps what it compiled on disk, for every process; but two that need the same at the same time both compile it.
"""

import warnings

import numpy as np
import torch

import tclif_neuro as tn
from tclif_neuro.network import Layer, QuantizedNetwork, Synapses
from tclif_neuro.onchip import LearningSetup, Plasticity, random_network
from tests.onchip.setups import NEURON


def simulator() -> None:
    """`simulate`, in float32, and in float64, which large inputs need."""
    for exponent in (0, 6):
        layer = Layer(
            synapses=Synapses(weight=np.full((1, 60), 254), exponent=exponent),
            neuron=NEURON,
            bias_mant=np.zeros(1, int),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", tn.TclifWarning)  # of a sum that saturates
            tn.simulate(QuantizedNetwork(layers=(layer,)), np.ones((2, 2, 60)))


def online_in_integers() -> None:
    """`learn`."""
    rng = np.random.default_rng(0)
    rules = Plasticity(rate_shift=8, trace_shift=10, signal_shift=10, surrogate_shift=10)
    setup = LearningSetup(
        net=random_network(2, NEURON, 4, 2, rng=rng, recurrent=True),
        plasticity=(rules, rules),
        target=np.array([1000]),
        error_shift=11,
    )
    tn.onchip.learn(setup, rng.random((3, 2, 2)), np.array([0, 1]))


def training() -> None:
    """The passes of the float layers, and e-prop."""
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 8), tn.TCLIF(8, recurrent=True), torch.nn.Linear(8, 8), tn.LIF(8), tn.Readout(8, 3)
    )
    x, y = 3 * torch.rand(6, 4, 3), torch.zeros(4, dtype=torch.long)
    model(x).sum().backward()
    tn.EPropLearner(model, lambda: None).sequence(x, y)


def compile_share(worker: int, workers: int) -> None:
    """The part of one of `workers`; the first also has what is over."""
    for part in (training, simulator, online_in_integers)[worker::workers]:
        part()
