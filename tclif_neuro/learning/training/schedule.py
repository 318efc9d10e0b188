"""The learning rate of every update: a function of the recipe and of the update's number, with no state to be kept."""

from __future__ import annotations

import math

from tclif_neuro.learning.recipe.training import TrainingSection

FIRST, LAST = 1 / 25, 1 / 25e4  # of "onecycle", relative to its peak: torch's defaults
TO_THE_LAST_EPOCH = ("cosine", "onecycle")  # these depend on how many epochs there are


def learning_rate(training: TrainingSection, update: int, batches: int) -> float:
    """The rate of an update, counted from 0 over all epochs of `batches` updates each.

    With e the epoch, from 0, the rate is lr times

        constant    1
        cosine      (1 + cos(pi e / epochs)) / 2
        step        factor^(e // every)
        multistep   factor^(how many milestones are <= e)
        onecycle    up from 1/25 to 1 in the share `rise` of all updates, down to 1/250,000 in the others, both
                    along half a cosine (Smith and Topin 2018)

    and, during `warmup` epochs, times (update + 1) / (warmup batches). All equal torch's schedulers of these names,
    which step once per epoch, OneCycleLR and the LinearLR of the warm-up once per update.
    """
    schedule, epoch = training.schedule, update // batches
    warm = min(1.0, (update + 1) / max(1.0, schedule.warmup * batches))
    match training.scheduler:
        case "constant":
            share = 1.0
        case "cosine":
            share = _cosine(1.0, 0.0, epoch / training.epochs)
        case "step":
            share = schedule.factor ** (epoch // schedule.every)
        case "multistep":
            share = schedule.factor ** sum(milestone <= epoch for milestone in schedule.milestones)
        case "onecycle":
            share = _one_cycle(update, training.epochs * batches, schedule.rise)
    return training.lr * warm * share


def _one_cycle(update: int, updates: int, rise: float) -> float:
    peak, last = rise * updates - 1, updates - 1
    if update <= peak:
        return _cosine(FIRST, 1.0, update / peak) if peak else 1.0
    return _cosine(1.0, LAST, (update - peak) / (last - peak))


def _cosine(start: float, end: float, position: float) -> float:
    """From `start` to `end` along half a cosine; position: from 0 to 1."""
    return end + (start - end) * (1 + math.cos(math.pi * position)) / 2
