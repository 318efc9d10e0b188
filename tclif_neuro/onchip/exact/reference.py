"""Learning in plain NumPy, sample by sample: slow enough to be read, and what every other executor is measured by.

The time at which things happen is that of the Lava network. Layer l sees step t of the sample at its own step t. The
learning signal about step t reaches it at its step t + D, and psi and the traces of step t were kept until then; the
weights that it changes deliver the input of step t + D + 2. So with updates in mid-sample the input of step t is
weighed by what the steps up to t - D - 2 taught; after the last step nothing is missing: the chip idles until the last
signal is used. Every state and trace starts every sample at 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.reference import LayerState
from tclif_neuro.onchip.rule.connection import LearningConnection
from tclif_neuro.onchip.rule.losses import Losses, at_limit, total
from tclif_neuro.onchip.rule.matrices import Matrix
from tclif_neuro.onchip.rule.posting import Posting, post_error
from tclif_neuro.onchip.rule.setup import LearningSetup
from tclif_neuro.onchip.run import LayerTrace, LearningRun, after, stacked

Ints = npt.NDArray[Any]


class LearningLayer:
    """One layer of a setup over one sample of T steps after the other: its connections, neurons and posted traces.

    What it keeps of a sample is as in `LayerTrace`, with `y1`, `y2` [T, N]; row t is that of step t.
    """

    def __init__(self, setup: LearningSetup, index: int, steps: int) -> None:
        self.setup, self.index, self.steps, self.delay = setup, index, steps, setup.delay(index)
        self.layer, self.rule = setup.net.layers[index], setup.plasticity[index]
        self.forward = LearningConnection(setup, Matrix(index))
        self.recurrent = LearningConnection(setup, Matrix(index, True)) if self.layer.recurrent else None
        self.connections = [c for c in (self.forward, self.recurrent) if c is not None]
        self.feedback = None if self.layer.readout else setup.feedback_weights(index)
        self.posting = Posting(setup, index) if self.rule and not self.layer.readout else None
        self.losses: Losses = {}
        self.start()

    def start(self) -> None:
        """The first step of a sample."""
        self.neurons = LayerState(self.layer, 1)
        for connection in self.connections:
            connection.start()
        self.y1, self.y2 = np.zeros((2, self.steps, self.layer.size), np.int64)
        self.spikes = np.zeros((self.steps, self.layer.size), np.uint8)
        self.states = np.zeros((2, self.steps, self.layer.size), np.int32)
        self.eligibility = np.zeros((2, self.steps, sum(len(c.e) for c in self.connections)), np.int32)

    def advance(self, x: Ints, step: int) -> Ints:
        """Step `step` on the input `x` [M]; returns the spikes [N]."""
        inputs = [x, self.neurons.spikes[0]]
        a_in = sum(c.deliver(i) for c, i in zip(self.connections, inputs, strict=False))
        for connection, signal in zip(self.connections, inputs, strict=False):
            connection.remember(signal, step)
        spikes: Ints = self.neurons.advance(np.asarray(a_in)[None])[0]
        if self.posting:
            self.posting.remember(self.neurons.before[0], step)
        self.spikes[step] = spikes
        self.states[:, step] = self.neurons.first[0], self.neurons.second[0]
        for row, name in enumerate("de"):
            self.eligibility[row, step] = np.concatenate([getattr(c, name) for c in self.connections])
        return spikes

    def trace(self) -> LayerTrace:
        """Return what the layer did in this sample."""
        return LayerTrace(
            spikes=self.spikes,
            states=self.states,
            posted=np.stack([self.y1, self.y2]).astype(np.int16),
            eligibility=self.eligibility,
            weight=np.concatenate([c.weight for c in self.connections], axis=1).astype(np.int16),
        )

    @property
    def soma(self) -> Ints:
        """[N], the soma's or the readout's potential."""
        return self.neurons.second[0]

    def post(self, error: Ints, step: int) -> None:
        """Make y1, y2 of step `step` from what the error neurons sent about it, [outputs]."""
        if self.posting and self.feedback is not None:
            self.y1[step], self.y2[step] = self.posting.post(self.feedback @ error, step)
        elif self.rule:
            self.y1[step], self.y2[step] = post_error(error)
        if self.rule:
            posted = at_limit(f"clipped_posted_{self.index}", self.y2[step] - self.y1[step], self.setup.trace_max)
            self.losses = total((self.losses, posted))

    def learn(self, now: int, sample: int) -> None:
        """Let the connections learn at the layer's step `now`, when y1 and y2 of step `now - 1 - D` have come."""
        step = now - 1 - self.delay
        if 0 <= step < self.steps:
            for connection in self.connections:
                connection.learn(self.y1[step], self.y2[step], step, sample=sample, last=step == self.steps - 1)


class Learner:
    """All layers of `setup`, for samples of `steps` steps."""

    def __init__(self, setup: LearningSetup, steps: int) -> None:
        self.setup, self.steps = setup, steps
        self.layers = [LearningLayer(setup, i, steps) for i in range(len(setup.net.layers))]
        self.error = 0
        self.errors: Losses = {}

    @property
    def connections(self) -> list[LearningConnection]:
        """Those of all layers."""
        return [connection for layer in self.layers for connection in layer.connections]

    @property
    def weights(self) -> dict[Matrix, Ints]:
        """The mantissas of each matrix."""
        return {connection.matrix: connection.weight for connection in self.connections}

    @property
    def losses(self) -> Losses:
        """The losses to the limits so far."""
        parts = [layer.losses for layer in self.layers] + [connection.losses for connection in self.connections]
        return total([self.errors, *parts])

    def sample(self, x: Ints, label: int, number: int) -> Ints:
        """Learn the sample `x` [T, M], encoded, of class `label`; number: its number, for the random bits.

        Returns the readout's potential at its end, [outputs].
        """
        *hidden, readout = self.layers
        if self.setup.feedback == "symmetric" and hidden:
            hidden[-1].feedback = readout.forward.weight.T
        for layer in self.layers:
            layer.start()
        self.error = 0
        targets = self.setup.targets(label, self.steps)
        for t in range(self.steps + max(layer.delay for layer in self.layers) + 1):
            if t < self.steps:
                self._step(x[t], targets[t], t)
            if t == self.steps - 1:
                potential = readout.soma.copy()
            for layer in self.layers:
                layer.learn(t, number)
        return potential

    def _step(self, x: Ints, target: Ints, step: int) -> None:
        signal = x.astype(np.int64)
        for layer in self.layers:
            signal = layer.advance(signal, step)
        error = self.setup.error(self.layers[-1].soma, target)
        self.error += int((error**2).sum())
        self.errors = total((self.errors, at_limit("clipped_error", error, self.setup.trace_max)))
        for layer in self.layers:
            layer.post(error, step)


def learn_reference(setup: LearningSetup, encoded: Ints, labels: Ints, *, record: bool = False) -> LearningRun:
    """`onchip.learn` for the encoded input [T, S, M] and the checked labels [S]."""
    learner = Learner(setup, len(encoded))
    potentials, errors = np.zeros((len(labels), setup.net.outputs), np.int64), np.zeros(len(labels), np.int64)
    records: list[tuple[LayerTrace, ...]] = []
    for i, label in enumerate(labels):
        potentials[i] = learner.sample(encoded[:, i], int(label), setup.learnt + i)
        errors[i] = learner.error
        if record:
            records.append(tuple(layer.trace() for layer in learner.layers))
    return LearningRun(
        setup=after(setup, learner.weights, len(labels)),
        potential=potentials,
        error=errors,
        layers=tuple(stacked(traces) for traces in zip(*records, strict=True)),
        losses=learner.losses,
    )
