"""The result of learning, common to all variants and backends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.run import InputError, Outside, numbers
from tclif_neuro.network import FormatError, QuantizedNetwork
from tclif_neuro.onchip.rule.losses import Losses
from tclif_neuro.onchip.rule.matrices import Matrix, weights_of, with_weights
from tclif_neuro.onchip.rule.setup import LearningSetup

Ints = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerTrace:
    """Every step of one layer. T steps, S samples, N neurons, M inputs; time is the sample's own.

    spikes: [T, S, N] uint8. states: [2, T, S, N] int32, dendrite and soma as in `LayerRun`; the soma of a prefiltered
    layer is what is compared with the threshold. posted: [2, T, S, N] int16, y1 and y2 of step t (whenever they reach
    the synapses), 0 in a layer that does not learn. eligibility: [2, T, S, M] int32, d and e of the inputs; in a
    recurrent layer of the inputs and then of the layer's own neurons, [2, T, S, M + N]; empty (no channels) in a layer
    that does not learn, and in a learning engine, whose traces are its own. weight: [S, N, M], the weights after each
    sample, with those of the recurrent synapses, if any, to the right of them: [S, N, M + N] (each twice as wide where
    an engine has two weights for each input, see `EngineState`).
    """

    spikes: Ints
    states: Ints
    posted: Ints
    eligibility: Ints
    weight: Ints

    @property
    def dendrite(self) -> Ints:
        """[T, S, N], of a LIF the current."""
        dendrite: Ints = self.states[0]
        return dendrite

    @property
    def soma(self) -> Ints:
        """[T, S, N], of a readout its potential."""
        soma: Ints = self.states[1]
        return soma


@dataclass(frozen=True, kw_only=True, eq=False)
class LearningRun:
    """A network that has learnt a sequence of samples. K outputs.

    setup: the setup to go on with, and all that is needed for it. potential: [S, K] int64, the readout's at the end of
    each sample, before that sample's last update. error: [S] int64, the sum of the squared errors of a sample, in units
    of the error neurons. layers: what was recorded, or (). losses: what was lost to the limits (`rule.losses`); counted
    for the variant "exact", but not in Lava; otherwise empty. fit_error: for each matrix of a learning engine the
    distance of the engine's traces from the eligibility, relative, 0 where they are the same; empty for the variant
    "exact". outside: the shares of the input that the network's code could not hold, as in `Run`.
    """

    setup: LearningSetup
    potential: npt.NDArray[np.int64]
    error: npt.NDArray[np.int64]
    layers: tuple[LayerTrace, ...] = ()
    losses: Losses = field(default_factory=dict)
    fit_error: Mapping[Matrix, float] = field(default_factory=dict)
    outside: Outside = field(default_factory=Outside)

    @property
    def weights(self) -> Mapping[Matrix, Ints]:
        """The mantissas after the last sample: [N, M] of each matrix, or as `EngineState` has them."""
        return weights_of(self.setup.net) if self.setup.engine is None else self.setup.engine.weights

    @property
    def net(self) -> QuantizedNetwork:
        """The network with the weights after the last sample; `FormatError` where no network can hold them."""
        if self.setup.engine is not None:
            raise FormatError(
                f"net: no network can hold the weights of the variant {self.setup.variant!r}: some are odd, and a "
                "prefiltered input has two; they are in run.weights, and onchip.potentials(run.setup, x) runs them"
            )
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


def after(setup: LearningSetup, weights: Mapping[Matrix, Ints], samples: int) -> LearningSetup:
    """`setup` of the variant "exact", `samples` samples later."""
    return replace(setup, net=with_weights(setup.net, weights), learnt=setup.learnt + samples)


def check_labels(setup: LearningSetup, labels: npt.ArrayLike, samples: int) -> npt.NDArray[np.int64]:
    """`labels` as int64 [samples]; raises `InputError` unless each names an output of the network."""
    array = numbers(labels, "labels")
    if array.shape != (samples,) or array.dtype.kind not in "ui":
        raise InputError(f"labels: {samples} integers expected, got {array.dtype} of shape {list(array.shape)}")
    outside = np.flatnonzero((array < 0) | (array >= setup.net.outputs))
    if outside.size:
        i = int(outside[0])
        raise InputError(f"labels: {array[i]} of sample {i} is outside [0, {setup.net.outputs - 1}]")
    return array.astype(np.int64)
