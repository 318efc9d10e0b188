"""Study files: a recipe and what is varied in it, or a network to evaluate; and the jobs that follow.

    recipe = "digits-rows.toml"          # beside this file
    seeds = [1, 2, 3]

    [grid]
    training.lr = [1e-3, 5e-3]
    model.layers."*".recurrent = [true, false]

gives twelve jobs. Settings that change together have a name, and are combined with the grid and the seeds:

    [variants.LIF]
    model.layers."*" = { type = "lif", learn_beta = true }
    [variants.TC-LIF]

A `[search]` in place of the grid has Optuna choose, and `[evaluate]` in place of the recipe runs a network on its test
set in slices:

    [search]                             [evaluate]
    trials = 30                          network = "digits-rows.net"
    [search.keys]                        slices = 8
    training.lr = { low = 1e-4, high = 1e-2, log = true }
    model.layers.0.size = { choices = [64, 128] }
"""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from tclif_neuro.data.spec import Count, Positive, Section, Seed
from tclif_neuro.data.toml import explain, read_toml
from tclif_neuro.errors import TclifError
from tclif_neuro.learning.recipe.file import load_recipe, parse_recipe
from tclif_neuro.learning.recipe.sections import Recipe, retyped
from tclif_neuro.text import quoted

# Flat: a variant's name, dotted keys of the recipe and their values; or the number of a trial, or of a slice.
Job = dict[str, Any]
Settings = Mapping[str, Any]
SEED = "training.seed"
VARIANT = "variant"
MAX_JOBS = 100_000


class StudyError(TclifError, ValueError):
    """A study that cannot be done; the message names the file and the key, or the job and why it failed."""


class RangeSection(Section):
    """The values that a search may choose from: whole or real numbers in [low, high], or `choices`."""

    low: float | int | None = None
    """Lowest value."""
    high: float | int | None = None
    """Highest value."""
    log: bool = False
    """Choose evenly in the logarithm."""
    choices: Annotated[tuple[bool | int | float | str, ...] | None, Field(strict=False)] = None
    """The values, where they are no range."""

    @model_validator(mode="after")
    def _one_of_both(self) -> RangeSection:
        if self.choices is not None:
            if not self.choices or (self.low, self.high, self.log) != (None, None, False):
                raise ValueError("choices needs at least one value and cannot be combined with low, high or log")
        elif self.low is None or self.high is None or not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError("low < high expected, both above 0 with log; or choices")
        return self


class SearchSection(Section):
    """[search]: trials by Optuna's TPE, each with settings that it chooses in view of those done before."""

    trials: Count
    """How many."""
    seed: Seed = 0
    """Seed of the sampler."""
    keys: dict[str, RangeSection]
    """Ranges by dotted key of the recipe."""


class EvaluateSection(Section):
    """[evaluate]: a network on its test set, cut into slices."""

    network: str
    """A .net file."""
    slices: Count = 8
    """Into how many parts the samples are cut."""
    samples: Count | None = None
    """Only the first so many samples."""


class StudySection(Section):
    """A study file."""

    recipe: str | None = None
    """The recipe to train."""
    seeds: Annotated[tuple[Seed, ...], Field(strict=False)] = ()
    """Values of training.seed; none: the recipe's own."""
    hours: Positive = 24.0
    """Time of a job; one out of time goes on from its checkpoint, once."""
    grid: Annotated[dict[str, list[Any]], Field(default_factory=dict)]
    """Values by dotted key of the recipe: every combination is tried, with every seed."""
    variants: Annotated[dict[str, dict[str, Any]], Field(default_factory=dict)]
    """Settings by name, each a value by dotted key of the recipe: every one is tried with the whole grid."""
    search: SearchSection | None = None
    """Instead of a grid."""
    evaluate: EvaluateSection | None = None
    """Instead of a recipe."""

    @model_validator(mode="after")
    def _one_kind(self) -> StudySection:
        if (self.recipe is None) == (self.evaluate is None):
            raise ValueError("either recipe or [evaluate] expected")
        listed = bool(self.grid or self.variants or self.seeds)
        if self.evaluate and (listed or self.search):
            raise ValueError("[evaluate] cannot be combined with [grid], [variants], [search] or seeds")
        if self.search and listed:
            raise ValueError("[search] cannot be combined with [grid], [variants] or seeds")
        if any(not values for values in self.grid.values()) or len(set(self.seeds)) < len(self.seeds):
            raise ValueError("[grid] needs a value or more per key, and seeds no value twice")
        named = {key for settings in self.variants.values() for key in settings}
        for key, times in Counter([*self.grid, *named, *([SEED] if self.seeds else [])]).items():
            if times > 1:
                raise ValueError(f"{key} is varied twice: by [grid], [variants] and seeds ({SEED}), one alone may")
        return self


class Study(Section):
    """A study with its recipe read and its paths absolute: what the processes that do its jobs are given."""

    file: str
    """The study file, for messages."""
    spec: StudySection
    """What the file says."""
    recipe: Recipe | None = None
    """The recipe it names."""
    data_dir: str | None = None
    """Folder of the data sets."""

    def jobs(self) -> list[Job]:
        """Every job, in order: variants, then the grid, whose last key turns fastest; each setting's seeds together."""
        spec = self.spec
        if spec.search is not None:
            return [{"trial": number} for number in range(spec.search.trials)]
        if spec.evaluate is not None:
            return [{"slice": number, "slices": spec.evaluate.slices} for number in range(spec.evaluate.slices)]
        seeds = [{SEED: seed} for seed in spec.seeds] or [{}]
        variants = [{VARIANT: name} for name in spec.variants] or [{}]
        settings = [dict(zip(spec.grid, values, strict=True)) for values in itertools.product(*spec.grid.values())]
        return [{**variant, **chosen, **seed} for variant in variants for chosen in settings for seed in seeds]

    def changed(self, settings: Settings) -> Recipe:
        """The recipe with `settings`. Raises `StudyError` for a key that is not there, `RecipeError` for a value."""
        if self.recipe is None:
            raise StudyError(f"{self.file}: has no recipe")
        named = self.spec.variants[settings[VARIANT]] if VARIANT in settings else {}
        chosen = {**named, **{key: value for key, value in settings.items() if key != VARIANT}}
        data = self.recipe.model_dump(mode="json")
        for key in sorted(chosen, key=lambda key: not key.endswith(".type")):  # the type says what keys there are
            data = _with(data, key.split("."), chosen[key], f"{self.file}: {key}")
        return parse_recipe(data, self.file)


def load_study(path: str | Path, data_dir: str | Path | None = None) -> Study:
    """The study in a TOML file, its paths relative to that. Raises `StudyError`, or `RecipeError` if a job is none."""
    path = Path(path)
    data = read_toml(path, StudyError)
    variants = data.get("variants")
    names = variants if isinstance(variants, dict) else {}
    for table, key in ((data, "grid"), (data.get("search"), "keys"), *((variants, name) for name in names)):
        if isinstance(table, dict) and isinstance(table.get(key), dict):
            table[key] = _flat(table[key])
    try:
        spec = StudySection.model_validate(data)
    except ValidationError as error:
        raise StudyError(f"{path}: {explain(error, StudySection)}") from None
    folder = path.parent.absolute()
    recipe = None if spec.recipe is None else load_recipe(folder / spec.recipe)
    if spec.evaluate is not None:
        network = str(folder / spec.evaluate.network)
        spec = spec.model_copy(update={"evaluate": spec.evaluate.model_copy(update={"network": network})})
    where = None if data_dir is None else str(Path(data_dir).absolute())
    study = Study(file=str(path), spec=spec, recipe=recipe, data_dir=where)
    _check(study)
    return study


def _check(study: Study) -> None:
    """Raise what a job would, before any has been started."""
    jobs = study.jobs() if _number_of_jobs(study.spec) <= MAX_JOBS else []
    if not jobs:
        raise StudyError(f"{study.file}: more than {MAX_JOBS} jobs")
    if study.spec.search is not None:
        _check_search(study, study.spec.search)
    elif study.recipe is not None:
        for job in jobs:
            study.changed(job)


def _check_search(study: Study, search: SearchSection) -> None:
    for key, choice in search.keys.items():
        for value in (choice.low, choice.high) if choice.choices is None else choice.choices:
            study.changed({key: value})
    if study.recipe is not None and not study.recipe.training.validation:
        raise StudyError(
            f"{study.file}: a search chooses by the validation accuracy, since the test set must not choose anything: "
            "give the recipe a training.validation"
        )


def _number_of_jobs(spec: StudySection) -> int:
    count = max(1, len(spec.seeds)) * max(1, len(spec.variants))
    for values in spec.grid.values():
        count *= len(values)
    return count


def _flat(table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested tables as dotted keys; a table of a range's keys is a value."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and not value.keys() & RangeSection.model_fields.keys():
            found |= _flat(value, f"{before}{key}.")
        else:
            found[before + key] = value
    return found


def _with(data: Any, keys: list[str], value: Any, name: str) -> Any:
    """A copy of nested containers with `value` under `keys`; "*" is every element of a list."""
    if not keys:
        return value
    first, rest = keys[0], keys[1:]
    if isinstance(data, list):
        if first != "*" and not (first.isdecimal() and int(first) < len(data)):
            raise StudyError(f"{name}: {quoted(first)} is none of the {len(data)} elements, 0 to {len(data) - 1} or *")
        chosen = range(len(data)) if first == "*" else [int(first)]
        return [_with(item, rest, value, name) if i in chosen else item for i, item in enumerate(data)]
    if not isinstance(data, dict) or first not in data:
        there = f"; there are {', '.join(data)}" if isinstance(data, dict) else ""
        raise StudyError(f"{name}: the recipe has no key {quoted(first)} there{there}")
    if first == "type" and not rest:
        return retyped(data, value)
    return {**copy.copy(data), first: _with(data[first], rest, value, name)}
