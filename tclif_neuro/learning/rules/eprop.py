"""e-prop as a rule of training: a recipe's `rule = "eprop"`."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tclif_neuro.learning.eprop.learner import EPropLearner
from tclif_neuro.learning.eprop.signal import EPropOptions, GradientError
from tclif_neuro.learning.recipe.training import TrainingSection
from tclif_neuro.learning.rules.bptt import BatchResult, TrainingError, clip, weight_of
from tclif_neuro.learning.rules.targets import lengths_of, per_step, scored, spread
from tclif_neuro.neurons import ranks


def eprop_step(
    model: nn.Sequential,
    optimiser: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    training: TrainingSection,
    *,
    ends: bool = False,
) -> BatchResult:
    """One batch by e-prop: one update, or one every `training.eprop.update_every` steps.

    x: [T, B, M]. y: see `targets`. ends: a target per step is each sample's own, at its end; it is learnt from at all
    of its steps. Raises `TrainingError` if a loss or a gradient is not finite, with the weights as they were before the
    update at hand.
    """

    def update() -> None:
        parameters = list(model.parameters())
        ranks.sum_gradients(parameters)
        norm = clip(parameters, training)
        if not math.isfinite(norm):
            raise TrainingError(f"the gradient has the norm {norm:g}")
        optimiser.step()

    optimiser.zero_grad()
    wanted = y
    if per_step(y):
        longest = ranks.longest(lengths_of(y))
        x, y = x[:longest], y[:longest]
        wanted = spread(y) if ends else y
    try:
        result = EPropLearner(model, update, options(training)).sequence(x, wanted, keep=per_step(y))
    except GradientError as error:
        raise TrainingError(str(error)) from error
    loss = ranks.mean(result.loss, weight_of(wanted, training))
    if not math.isfinite(loss):
        raise TrainingError(f"the loss is {loss:g}")
    return BatchResult(loss, *scored(result.potential if result.outputs is None else result.outputs, y))


def options(training: TrainingSection) -> EPropOptions:
    """The learner's options of a recipe's [training]."""
    section = training.eprop
    return EPropOptions(
        feedback=section.feedback,
        potential=section.potential,
        loss="mean_square" if training.loss == "mse" else section.loss,
        mean=training.logits == "mean",
        label_smoothing=training.label_smoothing,
        class_weights=training.class_weights,
        update_every=section.update_every,
        seed=training.seed,
    )
