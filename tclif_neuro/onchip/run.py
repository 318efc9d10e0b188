"""What learning gave, whoever did it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.onchip.rule.setup import LearningSetup

Ints = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerTrace:
    """One layer's every step. T steps, S samples, N neurons, M inputs; time is the sample's own.

    spikes: [T, S, N] uint8. states: [2, T, S, N] int32, as in `LayerRun`. posted: [2, T, S, N] int16, y1 and y2 of step
    t (whenever they reach the synapses), 0 in a layer that does not learn. eligibility: [2, T, S, M] int32, d and e of
    the inputs; in a recurrent layer of the inputs and then of the layer's own neurons, [2, T, S, M + N]; empty (no
    channels) in a layer that does not learn. weight: [S, N, M], the weights after each sample, with those of the
    recurrent synapses, if any, to the right of them: [S, N, M + N].
    """

    spikes: Ints
    states: Ints
    posted: Ints
    eligibility: Ints
    weight: Ints


@dataclass(frozen=True, kw_only=True, eq=False)
class LearningRun:
    """A network that has learnt a sequence of samples.

    setup: the setup to go on with: its network has the weights after the last sample. potential: [S, outputs] int64,
    the readout's at the end of each sample, before that sample's last update. error: [S] int64, the sum of the squared
    errors of a sample, in units of the error neurons. layers: what was recorded, or ().
    """

    setup: LearningSetup
    potential: npt.NDArray[np.int64]
    error: npt.NDArray[np.int64]
    layers: tuple[LayerTrace, ...] = ()

    @property
    def net(self) -> QuantizedNetwork:
        """The network with the weights after the last sample."""
        return self.setup.net

    @property
    def predictions(self) -> npt.NDArray[np.int64]:
        """[S]: the class of the largest potential, by the weights of that moment."""
        return self.potential.argmax(axis=-1)


def stacked(samples: Sequence[LayerTrace]) -> LayerTrace:
    """The traces of one layer in single samples (those of `LayerTrace` without the axis S), as those of them all."""
    return LayerTrace(
        spikes=np.stack([s.spikes for s in samples], axis=1),
        states=np.stack([s.states for s in samples], axis=2),
        posted=np.stack([s.posted for s in samples], axis=2),
        eligibility=np.stack([s.eligibility for s in samples], axis=2),
        weight=np.stack([s.weight for s in samples]),
    )


def learned(setup: LearningSetup, weights: Sequence[Sequence[Ints]], samples: int) -> LearningSetup:
    """`setup` after `samples` more samples. weights: for each layer the mantissas of its input synapses [N, M] and, if
    it is recurrent, of the recurrent ones [N, N].
    """
    layers = []
    for layer, (forward, *own) in zip(setup.net.layers, weights, strict=True):
        recurrent = layer.recurrent and replace(layer.recurrent, weight=own[0])
        layers.append(replace(layer, synapses=replace(layer.synapses, weight=forward), recurrent=recurrent))
    return replace(setup, net=replace(setup.net, layers=tuple(layers)), samples=setup.samples + samples)
