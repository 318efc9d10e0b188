"""Networks of one neuron that can be driven with any input, and drives that take it to its limits and one beyond."""

from __future__ import annotations

import numpy as np

from tclif_neuro.network import InputCoding, Layer, QuantizedNetwork, Synapses
from tests.judge.neurons import LIMIT

AROUND = (-2, -1, 0, 1, 2)


def driven(neuron, bias: int = 0, inputs: int = 4, bias_exp: int = 0) -> QuantizedNetwork:
    """One neuron behind `inputs` graded inputs of weight 255 and one of weight 1."""
    layer = Layer(
        synapses=Synapses(weight=np.array([[255] * inputs + [1]])),
        neuron=neuron,
        bias_mant=np.array([bias]),
        bias_exp=bias_exp,
    )
    return QuantizedNetwork(layers=(layer,), input=InputCoding(bits=8, signed=True))


def values(a_in: int, inputs: int = 4) -> list[int]:
    """The inputs of a `driven` network that deliver `a_in`, or as near to it as they come."""
    whole = max(-128 * inputs, min(127 * inputs, (a_in + 127) // 255))
    each = [whole // inputs + (i < whole % inputs) for i in range(inputs)]
    return [*each, max(-128, min(127, a_in - 255 * whole))]


def drives(vth: int, gamma: int, inputs: int = 4) -> np.ndarray:
    """x [4, B, inputs + 1]: every pair of landmarks in the first two steps, then nothing, then the first again."""
    landmarks = (0, vth, gamma, vth + gamma, LIMIT // 2, LIMIT, LIMIT + 1, LIMIT + vth, 4096 * 64)
    marks = {sign * (mark // 64) + near for mark in landmarks for sign in (-1, 1) for near in AROUND}
    rows = {mark: values(mark, inputs) for mark in sorted(marks)}
    silent = [0] * (inputs + 1)
    cases = [[first, second, silent, first] for first in rows.values() for second in rows.values()]
    return np.array(cases).swapaxes(0, 1)
