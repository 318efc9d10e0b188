"""Splits of a data set that depend on a seed alone: by class, by group, or at random."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tclif_neuro.data.sequences import DataError, Indices
from tclif_neuro.data.task import Kind, Labels, Part

TEST_FRACTION = 0.2
FRACTIONS = {0.2: "fifth", 0.1: "tenth", 0.25: "quarter"}


def stratified_split(y: Labels, fraction: float, seed: int) -> tuple[Indices, Indices]:
    """The samples kept, and the `fraction` of them held out: every class in proportion, shuffled by `seed`.

    y: [n], the classes. Raises `DataError` where a class is too small to be in both parts.
    """
    from sklearn.model_selection import train_test_split  # slow to import

    try:
        kept, held_out = train_test_split(np.arange(len(y)), test_size=fraction, stratify=y, random_state=seed)
    except ValueError as error:
        raise DataError(f"{len(y)} samples cannot be split, {fraction:.0%} held out, by class: {error}") from error
    return kept, held_out


def grouped_split(groups: npt.NDArray[np.generic], fraction: float, seed: int) -> tuple[Indices, Indices]:
    """As `stratified_split`, but whole groups are held out, that `fraction` of them; at least one is kept, one held.

    groups: [n], who or what each sample is of. Raises `DataError` if there is one group alone.
    """
    found = np.unique(groups)
    if len(found) < 2:
        raise DataError(f"all {len(groups)} samples are of one group, {found[0]!s}: no split leaves it whole")
    count = min(max(1, round(fraction * len(found))), len(found) - 1)
    rng = np.random.default_rng(seed)
    held = np.isin(groups, rng.permutation(found)[:count])
    return rng.permutation(np.flatnonzero(~held)), rng.permutation(np.flatnonzero(held))


def random_split(n: int, fraction: float, seed: int) -> tuple[Indices, Indices]:
    """As `stratified_split`, of `n` samples that have no single class. Raises `DataError` if there is one alone."""
    if n < 2:
        raise DataError("1 sample cannot be split")
    order = np.random.default_rng(seed).permutation(n)
    count = min(max(1, round(fraction * n)), n - 1)
    return order[count:], order[:count]


def split(part: Part, fraction: float, seed: int, kind: Kind) -> tuple[Indices, Indices, str]:
    """The samples kept, those held out, and a word on how: by group if there are any, else by class if that can be."""
    if part.groups is not None:
        kept, held = grouped_split(part.groups, fraction, seed)
        _check_classes(part, kept, kind)
        return kept, held, f"{len(np.unique(part.groups[held]))} of {len(np.unique(part.groups))} groups whole"
    if kind == "class":
        return (*stratified_split(part.y, fraction, seed), "stratified")
    return (*random_split(len(part), fraction, seed), "whole samples")


def hold_out(part: Part, fraction: float, seed: int, kind: Kind, what: str) -> tuple[Part, Part]:
    """`part` in two, the second the `fraction` held out. what: whose samples they are. Raises `DataError`."""
    try:
        kept, held, how = split(part, fraction, seed, kind)
    except DataError as error:
        raise DataError(f"{what}: {error}") from None
    share = f"a random {FRACTIONS.get(fraction, f'{fraction:.0%}')}"
    return part.part(kept, f"the rest of {what}"), part.part(held, f"{share} of {what}, {how}")


def _check_classes(part: Part, kept: Indices, kind: Kind) -> None:
    if kind == "class" and len(lost := np.setdiff1d(part.y, part.y[kept])):
        raise DataError(f"class {lost[0]} is in the held out groups alone: choose another seed, or give a test set")
