"""The weight of each class in the loss: as the recipe says, or by how often the class occurs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from tclif_neuro.data.task import UNLABELLED
from tclif_neuro.learning.recipe.training import TrainingSection
from tclif_neuro.learning.rules.bptt import TrainingError


def with_class_weights(training: TrainingSection, y: Tensor, classes: Sequence[str]) -> TrainingSection:
    """`training` with a number for each class, if it weighs them. y: the training set's classes, of samples or steps.

    With `balanced`, class k has the weight n / (K n_k): n labels in all, n_k of the class, K classes; 0 if n_k is 0.
    Raises `TrainingError` if there is not one weight per class, or if targets are no classes.
    """
    if not (training.balanced or training.class_weights):
        return training
    if y.is_floating_point():
        raise TrainingError("training.balanced and class_weights: the targets are values, not classes")
    if training.balanced:
        labels = y[y != UNLABELLED].numpy()
        counts = np.bincount(labels, minlength=len(classes))
        weights = np.divide(len(labels), len(classes) * counts, out=np.zeros(len(counts)), where=counts > 0)
        return training.model_copy(update={"class_weights": tuple(weights.tolist())})
    if len(training.class_weights) != len(classes):
        raise TrainingError(
            f"training.class_weights: has {len(training.class_weights)} weights; the task has {len(classes)} classes: "
            f"{', '.join(classes[:12])}"
        )
    return training
