"""A network that learns digits on a learning engine, and a few digits."""

from dataclasses import replace

import numpy as np

from tclif_neuro.data.digits import digits_rows
from tclif_neuro.network import DECAY_ONE, MANT_MAX, LIFNeuron, TCLIFNeuron
from tclif_neuro.onchip import LearningSetup, Plasticity, random_network

HIDDEN = Plasticity(
    rate_shift=9, trace_shift=8, signal_shift=13, surrogate_shift=10, recurrent_rate_shift=10, recurrent_trace_shift=0
)
READOUT = Plasticity(rate_shift=10, trace_shift=6)
ONE = np.array([DECAY_ONE])


def setup_of(variant: str, leak: int = 0, recurrent: bool = True, **changes) -> LearningSetup:
    """leak: v_decay of the readout."""
    decay = np.array([[3686]])
    neuron = TCLIFNeuron(a1=decay, a2=decay, b1=-ONE // 2, b2=ONE, vth_mant=1024, gamma_mant=512)
    net = random_network(8, neuron, 20, 10, rng=np.random.default_rng(0), recurrent=recurrent)
    leaky = LIFNeuron(i_decay=DECAY_ONE, v_decay=leak, vth_mant=MANT_MAX)
    net = replace(net, layers=(net.layers[0], replace(net.layers[1], neuron=leaky)))
    given = {"net": net, "plasticity": (HIDDEN, READOUT), "target": 2**16 * np.arange(1, 9), "error_shift": 12}
    return LearningSetup(**{**given, "feedback": "random", "update_every": 1, "variant": variant, **changes})


def digits(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """x [8, samples, 8], labels [samples]."""
    task = digits_rows("digits", 0)
    return task.x_train[:samples].transpose(1, 0, 2), task.y_train[:samples]
