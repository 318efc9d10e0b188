"""Random setups for property tests: every neuron, reset, schedule, epoch, rounding, feedback and width of weights."""

import numpy as np
from hypothesis import strategies as st

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
from tclif_neuro.onchip import LearningSetup, Plasticity
from tests.strategies import biases, decays, integers, tclif_neurons

MAX_SIZE = 5
NEURON = TCLIFNeuron(
    a1=np.full((1, 1), 4096),
    a2=np.full((1, 1), 4096),
    b1=np.array([-2048]),
    b2=np.array([2048]),
    vth_mant=2000,
    gamma_mant=1000,
)


@st.composite
def synapses(draw: st.DrawFn, n: int, m: int, bits: int) -> Synapses:
    """Weights of `bits` bits, many of them at the limits."""
    weight = draw(integers((n, m), np.int8)).astype(np.int64) >> (8 - bits) << (9 - bits)
    weight = np.maximum(weight, -256 + (1 << (9 - bits)))  # -256 is allowed beside a positive weight alone
    return Synapses(weight=weight, exponent=draw(st.integers(-3, 5)))


@st.composite
def plasticities(draw: st.DrawFn) -> Plasticity:
    """Shifts such that small networks of random weights learn something."""
    return Plasticity(
        rate_shift=draw(st.integers(0, 12)),
        trace_shift=draw(st.integers(0, 20)),
        signal_shift=draw(st.integers(0, 14)),
        surrogate_shift=draw(st.integers(0, 20)),
        recurrent=draw(st.booleans()),
        recurrent_rate_shift=draw(st.none() | st.integers(0, 12)),
        recurrent_trace_shift=draw(st.none() | st.integers(0, 20)),
    )


@st.composite
def setups(draw: st.DrawFn, max_hidden: int = 2) -> LearningSetup:
    """Up to `max_hidden` hidden layers and a readout; at least one layer learns."""
    sizes = draw(st.lists(st.integers(1, MAX_SIZE), min_size=2, max_size=max_hidden + 2))
    bits, feedback = draw(st.integers(2, 8)), draw(st.sampled_from(["symmetric", "random"]))
    hidden = len(sizes) - 2
    layers, rules = [], []
    for i in range(hidden):
        n, m = sizes[i + 1], sizes[i]
        layers.append(
            Layer(
                synapses=draw(synapses(n, m, bits)),
                recurrent=draw(st.none() | synapses(n, n, bits)),
                neuron=draw(tclif_neurons(1, draw(st.booleans()))),
                bias_mant=draw(biases(n)),
                bias_exp=draw(st.integers(0, 7)),
            )
        )
        reached = feedback == "random" or i == hidden - 1
        rules.append(draw(st.none() | plasticities()) if reached else None)
    layers.append(
        Layer(
            synapses=draw(synapses(sizes[-1], sizes[-2], bits)),
            neuron=LIFNeuron(i_decay=DECAY_ONE, v_decay=draw(decays), vth_mant=MANT_MAX),
            bias_mant=draw(biases(sizes[-1])),
            readout=True,
        )
    )
    rules.append(draw(plasticities() if not any(rules) else st.none() | plasticities()))
    coding = InputCoding(bits=8, signed=draw(st.booleans()))
    return LearningSetup(
        net=QuantizedNetwork(layers=tuple(layers), input=coding),
        plasticity=tuple(rules),
        target=draw(st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=4)),
        target_others=draw(st.integers(-(2**20), 2**20)),
        error_shift=draw(st.integers(0, 20)),
        update_every=draw(st.none() | st.integers(1, 6) | st.integers(1, 63)),
        rounding=draw(st.sampled_from(["stochastic", "nearest"])),
        feedback=feedback,
        seed=draw(st.integers(0, 2**31 - 1)),
        learnt=draw(st.integers(0, 2**20)),
        weight_bits=bits,
        trace_bits=draw(st.integers(1, 7)),
    )


@st.composite
def samples(draw: st.DrawFn, setup: LearningSetup, max_steps: int = 8, max_samples: int = 4):
    """Input [T, S, M] and labels [S]."""
    shape = draw(st.integers(1, max_steps)), draw(st.integers(1, max_samples)), setup.net.inputs
    low, high = setup.net.input.range
    x = draw(integers(shape, np.uint8)).astype(np.int64) % (high - low + 1) + low
    labels = draw(st.lists(st.integers(0, setup.net.outputs - 1), min_size=shape[1], max_size=shape[1]))
    return x, np.array(labels)
