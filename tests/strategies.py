"""Random networks and inputs for property tests: valid by construction, over the whole range of every field.

    @given(networks())                                  any network
    @given(networks(neurons=("LIF",), recurrent=False)) feed-forward LIF layers only
    @given(networks().flatmap(lambda net: st.tuples(st.just(net), inputs(net))))

They shrink to one layer of one LIF neuron with weight 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import numpy as np
from hypothesis import strategies as st

from tclif_neuro.network import (
    ACT_SUM_MAX,
    BIAS_EXP,
    DECAY_ONE,
    MANT_MAX,
    WEIGHT_EXP,
    InputCoding,
    Layer,
    LIFNeuron,
    QuantizedNetwork,
    Synapses,
    TCLIFNeuron,
)

NEURONS = ("LIF", "TCLIF", "ATCLIF")
FEW_STEPS = st.integers(0, 8)  # of a sample
ANY_STEPS = st.integers(0, 100) | st.integers(0, 2**31 - 1)

characters = st.characters(exclude_categories=["Cc", "Cs"])
decays = st.integers(0, DECAY_ONE) | st.just(DECAY_ONE)
thresholds = st.integers(1, 2000) | st.integers(1, MANT_MAX)  # mostly such that small networks spike


def integers(shape: tuple[int, ...], dtype: type[np.integer]) -> st.SearchStrategy[np.ndarray]:
    """An array of any integers of `dtype`, drawn as bytes: fast, and still shrinking number by number."""
    size = prod(shape) * np.dtype(dtype).itemsize
    return st.binary(min_size=size, max_size=size).map(lambda data: np.frombuffer(data, dtype).reshape(shape))


def coefficients(*shape: int) -> st.SearchStrategy[np.ndarray]:
    """[*shape] decays in [0, 4096], half of them 4096."""
    return integers(shape, np.uint16).map(lambda x: np.minimum(x & (2 * DECAY_ONE - 1), DECAY_ONE).astype(np.int32))


def biases(n: int) -> st.SearchStrategy[np.ndarray]:
    """[n] mantissas of 13 bits."""
    return integers((n,), np.int16).map(lambda x: x >> 3)


def weights(n: int, m: int) -> st.SearchStrategy[np.ndarray]:
    """[n, m] mantissas: even of mixed sign, or of one sign."""
    positive = integers((n, m), np.uint8).map(lambda w: w.astype(np.int16))
    even = integers((n, m), np.int8).map(lambda w: w.astype(np.int16) * 2)
    # The lowest even weight is allowed only together with a positive one.
    mixed = even.map(lambda w: w if (w > 0).any() else np.maximum(w, -254))
    return positive | positive.map(np.negative) | mixed


@st.composite
def codings(draw: st.DrawFn) -> InputCoding:
    """Binary, graded and signed graded inputs, of scales that any float input survives."""
    bits, signed = draw(st.sampled_from([(0, False), (8, False), (8, True)]))
    scale = draw(st.just(1.0) | st.floats(1e-6, 1e6))
    return InputCoding(bits=bits, scale=scale, signed=signed)


@st.composite
def synapses(draw: st.DrawFn, n: int, m: int, input_max: int) -> Synapses:
    """Synapses that inputs up to `input_max` cannot drive beyond half of the largest sum."""
    weight = draw(weights(n, m))
    total = max(1, Synapses(weight=weight).largest_sum(input_max))
    highest = min(WEIGHT_EXP[1], (ACT_SUM_MAX // 2 // total).bit_length() - 2)
    return Synapses(weight=weight, exponent=draw(st.just(0) | st.integers(WEIGHT_EXP[0], highest)))


@st.composite
def tclif_neurons(draw: st.DrawFn, n: int, adaptive: bool = False) -> TCLIFNeuron:
    """TCLIF neurons for a layer of `n`, each coefficient of its own shared or not; with a schedule if `adaptive`."""
    steps = draw(st.integers(2, 4)) if adaptive else 1
    sign = draw(st.sampled_from([(-1, 1), (-1, 1), (-1, -1), (1, 1), (1, -1)]))  # of the couplings, mostly TC-LIF's
    widths = [draw(st.sampled_from([1, n])) for _ in range(4)]
    return TCLIFNeuron(
        a1=draw(coefficients(steps, widths[0])),
        a2=draw(coefficients(steps, widths[1])),
        b1=sign[0] * draw(coefficients(widths[2])),
        b2=sign[1] * draw(coefficients(widths[3])),
        vth_mant=draw(thresholds),
        gamma_mant=draw(st.integers(0, 2000) | st.integers(0, MANT_MAX)),
        reset=draw(st.sampled_from(["delayed", "immediate"])),
    )


@st.composite
def lif_neurons(draw: st.DrawFn, readout: bool = False) -> LIFNeuron:
    """LIF neurons; those of a readout have the threshold of an integrator."""
    return LIFNeuron(
        i_decay=draw(st.integers(1, DECAY_ONE) | st.just(DECAY_ONE)),
        v_decay=draw(decays),
        vth_mant=MANT_MAX if readout else draw(thresholds),
    )


@st.composite
def layers(
    draw: st.DrawFn,
    n: int,
    m: int,
    input_max: int = 1,
    neurons: Sequence[str] = NEURONS,
    recurrent: bool = True,
    readout: bool = False,
) -> Layer:
    """A layer of `n` neurons with `m` inputs up to `input_max`; if `recurrent`, some have such synapses."""
    kind = "LIF" if readout else draw(st.sampled_from(neurons))
    return Layer(
        synapses=draw(synapses(n, m, input_max)),
        recurrent=draw(st.none() | synapses(n, n, 1)) if recurrent else None,
        neuron=draw(lif_neurons(readout) if kind == "LIF" else tclif_neurons(n, kind == "ATCLIF")),
        bias_mant=draw(biases(n)),
        bias_exp=draw(st.integers(*BIAS_EXP)),
        scale_bits=draw(st.integers(0, 22)),
        readout=readout,
    )


@st.composite
def networks(
    draw: st.DrawFn,
    neurons: Sequence[str] = NEURONS,
    recurrent: bool = True,
    max_layers: int = 3,
    max_size: int = 5,
    steps: st.SearchStrategy[int] = FEW_STEPS,
) -> QuantizedNetwork:
    """Networks of layers with any of `neurons` ("LIF", "TCLIF", "ATCLIF"), some ending in a readout."""
    coding = draw(codings())
    sizes = draw(st.lists(st.integers(1, max_size), min_size=2, max_size=max_layers + 1))
    last = len(sizes) - 2
    readout = draw(st.booleans())
    made = [
        draw(layers(n, m, max(map(abs, coding.range)) if i == 0 else 1, neurons, recurrent, readout and i == last))
        for i, (m, n) in enumerate(pairwise(sizes))
    ]
    names = st.lists(st.text(characters, max_size=4), min_size=sizes[-1], max_size=sizes[-1])
    return QuantizedNetwork(
        layers=tuple(made),
        input=coding,
        steps=draw(steps),
        classes=tuple(draw(st.just([]) | names)),
        recipe=draw(st.text(characters | st.just("\n"), max_size=20)),
    )


@st.composite
def inputs(draw: st.DrawFn, net: QuantizedNetwork, max_steps: int = 8, max_batch: int = 3) -> np.ndarray:
    """Float inputs [T, B, M] of `net`; they cover the range of its coding and go somewhat beyond it."""
    low, high = net.input.range
    shape = (net.steps or draw(st.integers(1, max_steps)), draw(st.integers(1, max_batch)), net.inputs)
    x = draw(integers(shape, np.uint16)).astype(np.int64)
    return (x % (high - low + 3) + low - 1) / net.input.scale
