"""e-prop: the gradient of spiking layers without backpropagation through time [O 10-22, 33-34].

    learner = EPropLearner(model, optimiser.step)
    learner.sequence(x, y)                  a batch of whole samples, [T, B, M]

    learner.begin(batch)                    a stream, nothing of which is kept
    for x_t, y_t in stream:
        learner.step(x_t, y_t)
    learner.end()

The gradient of a synapse is the sum over time of a learning signal, L_j[t] = dE_t/dS_j[t], times psi_j[t] and what the
synapse itself has kept of the past, its eligibility. Exact within a layer; what a spike does to the errors of later
steps, through the layers above or through recurrent weights, is left out. See docs/eprop.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tclif_neuro.errors import TclifError
from tclif_neuro.learning.eprop.layer import EligibleLayer
from tclif_neuro.learning.eprop.signal import EPropOptions, ReadoutTrace, random_feedback
from tclif_neuro.neurons import ranks
from tclif_neuro.neurons.chain import computes, links
from tclif_neuro.neurons.entries import check_tensor
from tclif_neuro.neurons.grid import grid_of
from tclif_neuro.neurons.hooks import made_by_hooks
from tclif_neuro.neurons.layer import TwoCompartment
from tclif_neuro.neurons.modules import LIF, Readout

CHUNK_STEPS = 64
CHUNK_VALUES = 2**20  # of the largest array of a chunk, 4 MB; half as many cost a tenth more time


class EPropResult(NamedTuple):
    """loss: the mean over steps that had a target. potential: the readout's after the last step, [B, C].

    outputs: after every step, [T, B, C], if they were to be kept.
    """

    loss: float
    potential: Tensor
    outputs: Tensor | None = None


class EPropLearner:
    """Learn online, in memory that does not depend on the length of a sample.

    model: an `nn.Sequential` of Linear and spiking layers in turns, and a Readout. Gradients are added to .grad.
    update: called whenever the gradient of the mean loss per step is complete, every `options.update_every` steps and
    at the end of a sample: an optimiser's `step`; .grad is cleared after it. None: read and clear .grad yourself after
    each sample. Steps without a target, such as padding, do not count; where no step has one there is no update.

    Raises `GradientError` where a gradient is not finite, before it is used.
    Raises `TclifError` on a model of another kind.
    """

    def __init__(
        self, model: nn.Sequential, update: Callable[[], object] | None = None, options: EPropOptions | None = None
    ) -> None:
        self.options = EPropOptions() if options is None else options
        self._update = update
        self.layers, readout = parse(model)
        self.readout = ReadoutTrace(readout, self.options)
        self._parts: list[EligibleLayer | ReadoutTrace] = [*self.layers, self.readout]
        sizes = [layer.neurons.size for layer in self.layers]
        self._feedback = (
            random_feedback(readout.out_features, sizes, readout.weight, self.options.seed)
            if self.options.feedback == "random"
            else None
        )
        self._widest = max(max(linear.weight.shape) for linear in (*(layer.linear for layer in self.layers), readout))
        self._parameters = list(model.parameters())
        self._batch = 0

    def begin(self, batch: int) -> None:
        """Begin a sample of each of `batch` streams: from rest, nothing accumulated."""
        self._batch, self._t, self._since, self._counted, self._loss, self._targets = batch, 0, 0, 0.0, 0.0, 0.0
        self._kept: list[Tensor] | None = None
        for part in self._parts:
            part.reset(batch)

    def step(self, x: Tensor, target: Tensor | None = None) -> Tensor:
        """One step: x[t], [B, M], and its target -> the readout's potential V[t], [B, C].

        target: classes [B] or floats [B, C], see `step_errors`. None: no error at this step.
        """
        check_tensor("e-prop", x)
        return self.chunk(x[None], target)

    def chunk(self, x: Tensor, target: Tensor | None = None) -> Tensor:
        """Some steps of the sample, x [K, B, M] -> V after the last of them, [B, C].

        target: as in `step`, or one per step, [K, B] or [K, B, C].
        """
        self._check(x, target)
        per_step = target is not None and target.ndim == (3 if target.is_floating_point() else 2)
        done = 0
        while done < len(x):
            stop = min(len(x), done + self._steps())
            self._chunk(x[done:stop], target[done:stop] if per_step and target is not None else target)
            done = stop
        return self.readout.potential.clone()

    def end(self) -> EPropResult:
        """End the sample: update by what has accumulated since the last update."""
        if self._since:
            self._apply()
        kept = torch.cat(self._kept) if self._kept else None
        return EPropResult(self._loss / (self._targets or 1.0), self.readout.potential, kept)

    def sequence(self, x: Tensor | Iterable[Tensor], target: Tensor, *, keep: bool = False) -> EPropResult:
        """A whole sample of each stream: x [T, B, M], or an iterable of its chunks [K, B, M]. target: as in `step`, or
        for a tensor x one per step. keep: return the potential after every step."""
        parts = [x] if isinstance(x, Tensor) else x
        begun = False
        for part in parts:
            if not begun:
                check_tensor("e-prop", part)
                if part.ndim != 3:
                    raise TclifError(f"e-prop: input [T, B, M] expected, got {list(part.shape)}")
                self.begin(part.shape[1])
                self._kept = [] if keep else None
                begun = True
            self.chunk(part, target)
        if not begun:
            raise TclifError("e-prop: a sequence of no steps")
        return self.end()

    def _steps(self) -> int:
        """Return the number of steps to take at once: no more than until the next update, and of bounded memory."""
        steps = max(1, min(CHUNK_STEPS, CHUNK_VALUES // (self._batch * self._widest)))
        every = self.options.update_every
        return min(steps, every - self._since) if every else steps

    @torch.no_grad()
    def _chunk(self, x: Tensor, target: Tensor | None) -> None:
        for layer in self.layers:
            x = layer.forward(x)
        found = self.readout.learn(x, target)
        factor = None
        for i in range(len(self.layers) - 1, -1, -1):
            signal = None if found is None else self._signal(i, found.error, factor)
            factor = self.layers[i].learn(signal)
        self._t += len(x)
        self._since += len(x)
        self._counted += len(x) if found is None else found.steps
        if self._kept is not None:
            self._kept.append(self.readout.sequence)
        if found is not None:
            self._loss, self._targets = self._loss + found.loss, self._targets + found.steps
        if self._since == self.options.update_every:
            self._apply()

    def _signal(self, i: int, error: Tensor, above: Tensor | None) -> Tensor:
        """L [K, B, N] of hidden layer i; above: L psi of layer i + 1."""
        if self._feedback is not None:
            return error @ self._feedback[i]
        return self.readout.back(error) if above is None else self.layers[i + 1].back(above)

    def _apply(self) -> None:
        counted, self._since, self._counted = self._counted, 0, 0.0
        own = counted * self._batch
        of_all_ranks = ranks.total(own)
        if not of_all_ranks:  # no step had a target, and there is nothing to learn
            return
        if own:
            for part in self._parts:
                part.take(counted / (own / of_all_ranks))
        if self._update is not None:
            with torch.enable_grad():
                self._update()
            for parameter in self._parameters:
                parameter.grad = None

    def _check(self, x: Tensor, target: Tensor | None) -> None:
        check_tensor("e-prop", x)
        if target is not None:
            check_tensor("e-prop: target", target)
        weight = self.layers[0].linear.weight if self.layers else self.readout.readout.weight
        if not self._batch:
            raise TclifError("e-prop: begin(batch) comes before the first step")
        if x.ndim != 3 or x.shape[1:] != (self._batch, weight.shape[1]):
            raise TclifError(f"e-prop: input [K, {self._batch}, {weight.shape[1]}] expected, got {list(x.shape)}")
        if x.dtype != weight.dtype:
            raise TclifError(f"e-prop: the input is {x.dtype}, the model {weight.dtype}; convert one of them")


def parse(model: nn.Sequential) -> tuple[list[EligibleLayer], Readout]:
    """The hidden layers and the readout of `model`; raises `TclifError` naming the module that has no place in it."""
    modules = [(name, module) for name, module in links(model) if not isinstance(module, nn.Identity)]
    for name, module in modules:
        _check_plain(name, module)
    layers: list[EligibleLayer] = []
    linear: nn.Linear | None = None
    for name, module in modules[:-1]:
        if linear is None and computes(module, nn.Linear) and not isinstance(module, Readout):
            assert isinstance(module, nn.Linear)
            linear = module
        elif linear is not None and any(computes(module, kind) for kind in (TwoCompartment, LIF)):
            assert isinstance(module, TwoCompartment | LIF)
            layers.append(EligibleLayer(linear, module))
            linear = None
        else:
            raise TclifError(f"module {name} ({type(module).__name__}): {_advice(module)}")
    if not modules or linear is not None or not computes(modules[-1][1], Readout):
        raise TclifError("e-prop: the model must end with a spiking layer and a Readout")
    readout = modules[-1][1]
    assert isinstance(readout, Readout)
    return layers, readout


def _check_plain(name: str, module: nn.Module) -> None:
    if any(made_by_hooks(part) or _is_made_of_others(part) for part in module.modules()):
        raise TclifError(
            f"module {name} ({type(module).__name__}): e-prop moves a weight itself, and this one is made of "
            "others; make it plain by prune.remove, remove_weight_norm or remove_parametrizations"
        )


def _is_made_of_others(module: nn.Module) -> bool:
    """Return whether a weight of `module` is parametrized, but for one on a grid."""
    if not parametrize.is_parametrized(module):
        return False
    assert isinstance(module.parametrizations, nn.ModuleDict)
    return any(grid_of(module, name) is None for name in module.parametrizations)


def _advice(module: nn.Module) -> str:
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return "e-prop has no batch normalisation, whose statistics are over time; batch_norm = false, or train by bptt"
    if isinstance(module, nn.Dropout):
        return "e-prop has no dropout; dropout = 0, or train by bptt"
    return "e-prop trains Linear and spiking layers in turns, and a Readout"
