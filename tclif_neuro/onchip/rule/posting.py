"""The part of e-prop that the postsynaptic neurons compute: the surrogate, kept until the learning signal comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.network import TCLIFNeuron
from tclif_neuro.onchip.rule import equations as rule
from tclif_neuro.onchip.rule.setup import LearningSetup

Ints = npt.NDArray[Any]


class Posting:
    """The surrogates of the last D + 1 steps of hidden layer `layer`, which learns, and what becomes of them.

    psi: [D + 1, N]; row `step % (D + 1)` is that of step `step`.
    """

    def __init__(self, setup: LearningSetup, layer: int) -> None:
        described, found = setup.net.layers[layer], setup.plasticity[layer]
        assert isinstance(described.neuron, TCLIFNeuron) and found is not None
        self.neuron, self.rule, self.limit = described.neuron, found, setup.trace_max
        self.depth = setup.delay(layer) + 1
        self.psi = np.zeros((self.depth, described.size), np.int64)

    def remember(self, before: Ints, step: int) -> None:
        """Keep the surrogate of step `step`; before: the soma as it was before a reset in the same step."""
        self.psi[step % self.depth] = rule.surrogate(before, self.neuron.vth, self.rule.surrogate_shift, self.limit)

    def post(self, signal: Ints, step: int) -> tuple[Ints, Ints]:
        """y1, y2 [N] of the learning signal `signal` [N] about step `step`."""
        return rule.posted(self.psi[step % self.depth], signal, self.rule.signal_shift, self.limit)


def post_error(error: Ints) -> tuple[Ints, Ints]:
    """y1, y2 of a readout: its neurons' own error, psi = 1."""
    return rule.both_signs(error)
