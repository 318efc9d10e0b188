"""The 1,797 handwritten 8x8 digits that come with scikit-learn: real data that needs no network."""

from __future__ import annotations

import numpy as np

from tclif_neuro.data.sequences import Dense
from tclif_neuro.data.split import TEST_FRACTION, hold_out
from tclif_neuro.data.task import Part, Task

WHITE = 16  # the brightest value of a pixel


def digits_rows(name: str, seed: int) -> Task:
    """One row of a digit a step: T = 8, 8 inputs in [0, 1]. seed: of the split, 80 % for training, stratified."""
    return _digits(name, seed, steps=8)


def digits_pixels(name: str, seed: int) -> Task:
    """One pixel of a digit a step, row by row: T = 64, 1 input in [0, 1]. seed: as `digits_rows`, the same split."""
    return _digits(name, seed, steps=64)


def _digits(name: str, seed: int, steps: int) -> Task:
    from sklearn.datasets import load_digits  # slow to import

    digits = load_digits()
    x = (digits.images / WHITE).astype(np.float32).reshape(len(digits.images), steps, -1)
    y = digits.target.astype(np.int64)
    train, test = hold_out(Part(x=Dense(x), y=y), TEST_FRACTION, seed, "class", "scikit-learn's digits")
    return Task(name=name, train=train, test=test, classes=tuple(str(c) for c in digits.target_names))
