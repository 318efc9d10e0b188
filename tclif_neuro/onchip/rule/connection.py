"""The `exact` learning connection: all-to-all synapses with the eligibility of each input, and their integer rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.network import Layer
from tclif_neuro.onchip.rule import equations as rule
from tclif_neuro.onchip.rule.losses import Losses, at_limit, count, total
from tclif_neuro.onchip.rule.matrices import Matrix, synapses_of
from tclif_neuro.onchip.rule.random_bits import bits, key
from tclif_neuro.onchip.rule.setup import LearningSetup

Ints = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Coefficients:
    """Those of a layer's eligibility, 12 fractional bits, int64: a1, a2 [K], by the step of the sample; b1, b2."""

    a1: Ints
    a2: Ints
    b1: int
    b2: int

    @staticmethod
    def of(layer: Layer) -> Coefficients:
        """Those of the layer's neurons; a readout is the case of one compartment."""
        neuron = layer.neuron
        a1, a2 = (a[:, 0].astype(np.int64) for a in (neuron.a1, neuron.a2))
        return Coefficients(a1=a1, a2=a2, b1=int(neuron.b1[0]), b2=int(neuron.b2[0]))

    def at(self, step: int) -> tuple[Any, Any, int, int]:
        """a1, a2, b1, b2 at `step` of the sample."""
        row = min(step, len(self.a1) - 1)
        return self.a1[row], self.a2[row], self.b1, self.b2


class LearningConnection:
    """The synapses [N, M] of one connection, learning or not; one sample at a time.

    weight: [N, M] mantissas, int64. d, e: [M] eligibility traces in state units. change: [N, M], what has been summed
    since the last update. The traces of the last D + 2 steps are kept, so that what the neurons post about step t, D
    steps later, meets the trace of step t. losses: what the limits took, since the connection was made.

    matrix: which synapses of the network; if the setup has no rule for them they are just synapses.
    """

    def __init__(self, setup: LearningSetup, matrix: Matrix) -> None:
        self.setup = setup
        synapses = synapses_of(setup.net, matrix)
        self.rule, self.matrix = setup.rule(matrix), matrix
        self.exponent = synapses.exponent
        self.weight: Ints = synapses.weight.astype(np.int64)
        self.coefficients = Coefficients.of(setup.net.layers[matrix.layer]) if self.rule else None
        self.depth = setup.delay(matrix.layer) + 2
        self.synapse = np.arange(self.weight.size).reshape(self.weight.shape)
        self.losses: Losses = {}
        self.start()

    def start(self) -> None:
        """At rest, at the first step of a sample; the weights stay."""
        inputs = self.weight.shape[1] if self.rule else 0
        self.d, self.e = np.zeros((2, inputs), np.int64)
        self.kept = np.zeros((self.depth, inputs), np.int64)
        self.change = np.zeros(self.weight.shape if self.rule else (0, 0), np.int64)

    def deliver(self, x: Ints) -> Ints:
        """Return what the input `x` [M] gives to the neurons, [N], as a Lava `Dense` does."""
        return rule.shifted(self.weight @ x, self.exponent)

    def remember(self, x: Ints, step: int) -> None:
        """Advance the eligibility by the input `x` [M] of step `step` of the sample."""
        if self.rule and self.coefficients:
            self.d, self.e = rule.eligibility(self.d, self.e, x, *self.coefficients.at(step))
            trace = rule.narrow(self.e, self.rule.trace_shift, self.setup.trace_max)
            self.kept[step % self.depth] = trace
            self._count(at_limit(f"clipped_trace_{self.matrix.name}", trace, self.setup.trace_max))

    def learn(self, y1: Ints, y2: Ints, step: int, *, sample: int, last: bool) -> None:
        """Use y1, y2 [N], which the neurons posted about step `step` of sample number `sample`.

        last: whether it is the sample's last step, after which the weights always move.
        """
        if not self.rule:
            return
        self.change += np.outer(y2 - y1, self.kept[step % self.depth])
        if last or (self.setup.update_every is not None and (step + 1) % self.setup.update_every == 0):
            self._update(sample, step)

    def _update(self, sample: int, step: int) -> None:
        setup, k = self.setup, self.rule.rate_shift if self.rule else 0
        if setup.rounding == "stochastic":
            dither = bits(key(setup.seed, self.matrix.number, sample, step), self.synapse) & ((1 << k) - 1)
        else:
            dither = (1 << k) >> 1
        weight = self.weight >> setup.weight_shift
        new = rule.update(weight, self.change, k, dither, *setup.weight_range)
        self._count(count(f"lost_{self.matrix.name}", (new == weight) & (self.change != 0), self.change))
        past = rule.moved(weight, self.change, k, dither) != new
        self._count(count(f"saturated_{self.matrix.name}", past, self.change))
        self.weight = new << setup.weight_shift
        self.change[:] = 0

    def _count(self, found: Losses) -> None:
        self.losses = total((self.losses, found))
