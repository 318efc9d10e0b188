"""Sentences about a run that stands, but lost something: inputs, a layer's spikes, the range of its states.

The limits are far above what the networks in models/ do on their test sets: there none of the three occurs at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tclif_neuro import errors
from tclif_neuro.fixed.run import Outside, Run
from tclif_neuro.network import InputCoding, QuantizedNetwork

CLIPPED = 0.01  # the share of inputs outside the code
SATURATED = 1e-4  # the share of a hidden layer's states that left their 24 bits; a readout's must not at all


def warn(net: QuantizedNetwork, run: Run) -> Run:
    """`run`, after a `TclifWarning` for each of its `concerns`."""
    for sentence in concerns(net, run):
        errors.warn(sentence)
    return run


def concerns(net: QuantizedNetwork, run: Run) -> tuple[str, ...]:
    """Return the losses in a run of whole samples, a sentence each; () if none is worth mentioning."""
    saturations = [layer.saturations for layer in run.layers]
    return (*of_input(net.input, run.outside), *_silent(net, run), *_saturated(net, saturations, run.steps))


class Sayer:
    """Warns of what happens in a stream: of each thing once."""

    def __init__(self, net: QuantizedNetwork) -> None:
        self.net = net
        self.said: set[str] = set()
        self.steps = 0
        self.outside = Outside()

    def hear(self, outside: Outside, saturations: Sequence[int], steps: int) -> None:
        """After the `steps`-th step, with what was `outside` in those since the last call, and all saturations."""
        new, self.steps = (steps - self.steps) / steps, steps
        if not (any(outside) or any(self.outside) or any(saturations)):
            return
        self.outside = Outside(*(a + (b - a) * new for a, b in zip(self.outside, outside, strict=True)))
        for topic, found in (
            ("input", of_input(self.net.input, self.outside)),
            ("states", _saturated(self.net, saturations, steps) if any(saturations) else ()),
        ):
            for sentence in found if topic not in self.said else ():
                self.said.add(topic)
                errors.warn(sentence)


def of_input(coding: InputCoding, outside: Outside) -> Iterator[str]:
    """A sentence for each way in which an input lay outside the code."""
    if outside.total <= CLIPPED:
        return
    low, high = (f"{value / coding.scale:.4g}" for value in coding.range)
    takes = "that this network takes; was it trained on"
    if outside.above:
        yield f"{outside.above:.1%} of the inputs are above {high}, the largest {takes} scaled data?"
    if outside.below:
        yield f"{outside.below:.1%} of the inputs are below {low}, the smallest {takes} scaled data?"
    if outside.between:
        yield f"{outside.between:.1%} of the inputs are neither {low} nor {high}, the spikes {takes} encoded data?"


def _silent(net: QuantizedNetwork, run: Run) -> Iterator[str]:
    samples, driven = run.input.shape[1], bool(run.input.any())
    for i, (layer, done) in enumerate(zip(net.layers, run.layers, strict=True)):
        spikes = bool(done.counts.any())
        if driven and not spikes and not layer.readout:
            yield (
                f"layer {i} is silent: none of its {layer.size} neurons spikes in {samples} samples, though its input "
                "does; are its inputs or weights too small, or its threshold too high?"
            )
        driven = spikes


def _saturated(net: QuantizedNetwork, saturations: Sequence[int], steps: int) -> Iterator[str]:
    """steps: of all samples together."""
    for i, (layer, count) in enumerate(zip(net.layers, saturations, strict=True)):
        share = count / (steps * layer.size)
        if share > (0 if layer.readout else SATURATED):
            yield (
                f"{'the readout' if layer.readout else f'layer {i}'} saturates: its states left their 24 bits "
                f"{count:,} times, in {share:.2%} of its neurons' steps; are the samples longer, or the inputs larger, "
                "than those of the calibration?"
            )
