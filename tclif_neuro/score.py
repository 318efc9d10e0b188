"""The measure of right answers: the share of classes that are right, or the root mean square error of values.

Targets are those of a task: classes, negative where a step has none, or real values, NaN where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Score:
    """accuracy: of classes. error: the root mean square error of values, over all outputs; errors: of each output.

    count: how many samples, or steps, had a target. per_step: whether they were steps.
    """

    accuracy: float | None = None
    error: float | None = None
    errors: tuple[float, ...] = ()
    count: int = 0
    per_step: bool = False


def per_step(targets: Array) -> bool:
    """Return whether there are targets, time first, for every step: classes [T, B], or values [T, B, K]."""
    return targets.ndim == (3 if targets.dtype.kind == "f" else 2)


def score(answers: Array, targets: Array) -> Score:
    """answers: [..., K], a number per output. targets: classes [...], or values [..., K]."""
    if targets.dtype.kind != "f":
        known = targets >= 0
        right = (answers.argmax(-1) == targets)[known]
        accuracy = float(right.mean()) if right.size else None
        return Score(accuracy=accuracy, count=right.size, per_step=per_step(targets))
    outputs = targets.shape[-1]
    square = np.square(answers - targets.astype(np.float64)).reshape(-1, outputs)
    known = ~np.isnan(square)
    errors = tuple(_root_mean(square[known[:, k], k]) for k in range(outputs))
    error = _root_mean(square[known]) if known.any() else None
    return Score(error=error, errors=errors, count=int(known.any(-1).sum()), per_step=per_step(targets))


def _root_mean(square: Array) -> float:
    return float(np.sqrt(square.mean())) if square.size else float("nan")
