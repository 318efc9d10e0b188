"""Backpropagation through time: the gradient of a batch's loss through every step of every sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tclif_neuro.data.task import UNLABELLED
from tclif_neuro.errors import TclifError
from tclif_neuro.learning import losses
from tclif_neuro.learning.recipe.training import RatesSection, TrainingSection
from tclif_neuro.learning.rules.targets import at_end, has_target, lengths_of, per_step, scored
from tclif_neuro.neurons import ranks
from tclif_neuro.neurons.checkpointed import checkpointed
from tclif_neuro.neurons.layer import SpikingLayer
from tclif_neuro.neurons.modules import Readout
from tclif_neuro.neurons.outputs import outputs
from tclif_neuro.neurons.within import within


class TrainingError(TclifError):
    """Training that cannot go on; the message says where and what to change."""


class BatchResult(NamedTuple):
    """The result of a batch before its update: the mean loss, and how many of `labelled` samples or steps were right.

    Of real targets, `correct` is the sum of the squared errors and `labelled` the number of values.
    """

    loss: float
    correct: float
    labelled: int


# One batch of training by some rule: model, optimiser, x [T, B, M], y [B], the recipe's section -> BatchResult.
RuleStep = Callable[[nn.Sequential, torch.optim.Optimizer, Tensor, Tensor, TrainingSection], BatchResult]


def bptt_step(
    model: nn.Sequential, optimiser: torch.optim.Optimizer, x: Tensor, y: Tensor, training: TrainingSection
) -> BatchResult:
    """One update by `training.loss` of the readout's potential, plus what firing rates out of bounds cost.

    x: [T, B, M]. y: see `targets`. What comes after a sample's last target changes nothing. Raises `TrainingError`,
    with the weights as they were, if the loss or its gradient is not finite.
    """
    watched: AbstractContextManager[list[Tensor]] = spikes_of(model) if training.rates.weight else nullcontext([])
    lengths = lengths_of(y) if per_step(y) else None
    if lengths is not None:
        x, y = x[: lengths.max()], y[: lengths.max()]
    with watched as spikes:
        loss, logits = _loss(model, x, y, training) if lengths is None else _loss_per_step(model, x, y, training)
    loss = of_all_ranks(loss, logits, weight_of(y, training))
    penalty = training.rates.weight * sum(_out_of_bounds(s, training.rates, lengths) for s in spikes)
    loss = loss + penalty * (x.shape[1] / ranks.total(x.shape[1]))
    optimiser.zero_grad()
    loss.backward()
    parameters = list(model.parameters())
    ranks.sum_gradients(parameters)
    norm, value = clip(parameters, training), ranks.total(loss.item())
    if not (math.isfinite(value) and math.isfinite(norm)):
        raise TrainingError(f"the loss is {value:g} and its gradient has the norm {norm:g}")
    optimiser.step()
    return BatchResult(value, *scored(logits, y))


def weight_of(y: Tensor, training: TrainingSection) -> float:
    """The weight of a batch's mean loss among those of other ranks: its targets, each by the weight of its class."""
    if y.is_floating_point():
        return float((~y.isnan()).sum())
    if not training.class_weights:
        return float(has_target(y).sum())
    return float(torch.tensor(training.class_weights, dtype=torch.float64)[y[has_target(y)].cpu()].sum())


def of_all_ranks(loss: Tensor, output: Tensor, weight: float) -> Tensor:
    """The part that a mean loss has in that of all ranks' samples; without a target here nothing of `output`."""
    whole = ranks.total(weight)
    if weight == whole:
        return loss
    return loss * (weight / whole) if weight else output.sum() * 0.0


def clip(parameters: Iterable[nn.Parameter], training: TrainingSection) -> float:
    """Cut the gradient to the norm `grad_clip`; return the norm that it had."""
    return nn.utils.clip_grad_norm_(parameters, training.grad_clip or math.inf).item()


# Losses of the potential after every step, [T, B, out].
OVER_TIME = {"ce_rate": losses.ce_rate, "ce_membrane": losses.ce_membrane, "mse_membrane": losses.mse_membrane}


def _loss(model: nn.Sequential, x: Tensor, y: Tensor, training: TrainingSection) -> tuple[Tensor, Tensor]:
    """The loss, and the potential at the end of the sample, [B, out], which is what is classified by."""
    if training.loss in ("cross_entropy", "mse"):
        logits = checkpointed(model, x, every=training.checkpoint) if training.checkpoint else model(x)
        if training.loss == "mse":
            return _mean_square(logits, y), logits
        scale = logit_scale(model, len(x)) if training.logits == "mean" else 1.0
        return cross_entropy(scale * logits, y, training), logits
    potential = outputs(model, x)
    return OVER_TIME[training.loss](potential, y), potential[-1]


def _loss_per_step(model: nn.Sequential, x: Tensor, y: Tensor, training: TrainingSection) -> tuple[Tensor, Tensor]:
    """The loss of the potential after each step that has a target, mean over these; and the potential.

    A loss over time is of samples with one target each, at their end.
    """
    lengths = lengths_of(y)
    if training.checkpoint:
        potential = checkpointed(model, within(x, lengths), every=training.checkpoint, every_step=True)
    else:
        potential = outputs(model, x, lengths)
    if training.loss == "mse":
        return _mean_square(potential, y), potential
    if training.loss in OVER_TIME:
        return OVER_TIME[training.loss](potential, at_end(y), lengths), potential
    logits = potential
    if training.logits == "mean":
        weights = potential.new_tensor([logit_scale(model, t) for t in range(1, len(x) + 1)])
        logits = potential * weights[:, None, None]
    return cross_entropy(logits.flatten(0, 1), y.flatten(), training), potential


def cross_entropy(logits: Tensor, y: Tensor, training: TrainingSection) -> Tensor:
    """The cross-entropy of logits [B, K] and classes [B], mean over those with a label.

    With `class_weights` w the mean is a weighted one, sum_i w[y_i] l_i / sum_i w[y_i].
    """
    weight = logits.new_tensor(training.class_weights) if training.class_weights else None
    return nn.functional.cross_entropy(
        logits, y, weight=weight, ignore_index=UNLABELLED, label_smoothing=training.label_smoothing
    )


def _mean_square(potential: Tensor, y: Tensor) -> Tensor:
    """The mean square of potential minus target over all values that there are."""
    known = ~y.isnan()
    return nn.functional.mse_loss(potential[known], y[known])


def _out_of_bounds(spikes: Tensor, rates: RatesSection, lengths: Tensor | None) -> Tensor:
    return losses.rate_above(spikes, rates.upper, lengths) + losses.rate_below(spikes, rates.lower, lengths)


@contextmanager
def spikes_of(model: nn.Module) -> Iterator[list[Tensor]]:
    """Collects the spikes [T, B, N] of every spiking layer of `model`, in the order of its calls inside the block."""
    spikes: list[Tensor] = []
    layers = [module for module in model.modules() if isinstance(module, SpikingLayer)]
    hooks = [layer.register_forward_hook(lambda layer, x, out: spikes.append(out)) for layer in layers]
    try:
        yield spikes
    finally:
        for hook in hooks:
            hook.remove()


def _readout(model: nn.Sequential) -> Readout:
    readout = model[-1]
    if not isinstance(readout, Readout):
        raise TrainingError(f"the model ends with a {type(readout).__name__}; a Readout is needed")
    return readout


def logit_scale(model: nn.Sequential, steps: int) -> float:
    """Return the factor that makes the readout's potential a mean over time.

    It is one over the sum of the steps' weights, decay^(T-1-t).
    """
    return 1.0 / sum(_readout(model).decay ** age for age in range(steps))
