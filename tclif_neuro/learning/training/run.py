"""One training run in memory: what an epoch does, and what must be kept between two."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from tclif_neuro.data import Batches, Part, Task
from tclif_neuro.data.split import split
from tclif_neuro.learning.recipe.model import build_model
from tclif_neuro.learning.recipe.sections import Recipe
from tclif_neuro.learning.recipe.training import TrainingSection
from tclif_neuro.learning.rules.bptt import RuleStep, TrainingError, bptt_step
from tclif_neuro.learning.rules.eprop import eprop_step
from tclif_neuro.learning.rules.fptt import fptt_step
from tclif_neuro.learning.rules.targets import lengths_of, per_step, scored
from tclif_neuro.learning.training.activity import Activity, counted
from tclif_neuro.learning.training.augment import augmented
from tclif_neuro.learning.training.checkpoint import Checkpoint, CheckpointError, load_state
from tclif_neuro.learning.training.device import CPU
from tclif_neuro.learning.training.log import EpochRecord
from tclif_neuro.learning.training.optimiser import make_optimiser, restore_state, state_by_name
from tclif_neuro.learning.training.schedule import learning_rate
from tclif_neuro.learning.training.start import start_from
from tclif_neuro.learning.training.weights import with_class_weights
from tclif_neuro.neurons import generators, ranks
from tclif_neuro.neurons.generators import DEFAULT
from tclif_neuro.neurons.outputs import outputs
from tclif_neuro.text import cut

RULES: dict[str, RuleStep] = {"bptt": bptt_step, "eprop": eprop_step, "fptt": fptt_step}
ONLINE = {"eprop": eprop_step, "fptt": fptt_step}  # learn from every step, also where a sample has one target
EVALUATION_BATCH, EVALUATION_NUMBERS = 256, 2**20  # samples, and inputs of all their steps, at a time
_RECORD = TypeAdapter(EpochRecord)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of training: after `batch` of `batches` in `epoch` of `epochs`, all from 1.

    loss: the mean so far in this epoch. record: the epoch's, once it is over. log: of all epochs before, and
    of this one if it is over. model: as it is now. sample: the last one of the batch, [T, 1, M] without what follows
    its last target; None where the epoch is over.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    log: Sequence[EpochRecord] = field(repr=False, compare=False)
    model: nn.Sequential = field(repr=False, compare=False)
    record: EpochRecord | None = None
    sample: Tensor | None = field(default=None, repr=False, compare=False)


Report = Callable[[Progress], None]


def in_order(part: Part, device: torch.device = CPU) -> Batches:
    """A part of a task in batches to evaluate, as large as memory should bear, on `device`."""
    _, steps, inputs = part.x.shape
    return Batches(part, max(1, min(EVALUATION_BATCH, EVALUATION_NUMBERS // (steps * inputs))), device)


def rule_for(training: TrainingSection, batches: Batches) -> RuleStep:
    """The rule of a recipe, for the targets of `batches`."""
    if batches.ends and training.rule in ONLINE:
        return partial(ONLINE[training.rule], ends=True)
    return RULES[training.rule]


def evaluate(model: nn.Sequential, batches: Batches, activity: Activity | None = None) -> float:
    """Return the score of `model` in evaluation mode, on the device of `batches`; its mode is then as it was.

    Of classes, the share of samples, or of labelled steps, that are right; of real targets, the root mean square error.
    activity: of the same model, which is told of every batch.
    """
    was_training, counts = model.training, []
    model.eval()
    with torch.no_grad():
        for x, y in islice(batches, ranks.rank(), None, ranks.size()):
            if activity is not None:
                activity.begin(x, lengths_of(y) if per_step(y) else None)
            counts.append(scored(outputs(model, x) if per_step(y) else model(x), y))
    model.train(was_training)
    if activity is not None:
        activity.add_ranks()
    found = ranks.totals([sum(count[i] for count in counts) for i in range(2)])
    return _measure(*found, values=batches.y.is_floating_point())


def part_of_rank(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """This rank's samples of a batch [T, B, M] and their targets: neighbours, as many as the others' or one more."""
    if ranks.size() == 1:
        return x, y
    shares = (whole.tensor_split(ranks.size(), axis) for whole, axis in ((x, 1), (y, int(per_step(y)))))
    mine, targets = (share[ranks.rank()].contiguous() for share in shares)
    return mine, targets


def _measure(total: float, count: float, *, values: bool) -> float:
    """From sums of `scored`: accuracy, or root mean square error."""
    return math.sqrt(total / max(1, count)) if values else total / max(1, count)


class Run:
    """Model, optimiser, data and generators of one recipe; `epoch` by `epoch`, with a `checkpoint` in between.

    Everything is drawn on the CPU, so that it is the same on every device; but Dropout draws from the default generator
    of the device that it runs on, which `checkpoint` and `restore` therefore include.
    """

    def __init__(self, recipe: Recipe, task: Task, device: torch.device = CPU) -> None:
        training = recipe.training
        _check_trainable(task, training)
        self.recipe, self.task, self.digest, self.device = recipe, task, task.digest(), device
        self.model = build_model(recipe, task.inputs, len(task.classes))
        if training.start is not None:
            self.digest = start_from(self.model, training.start, self.digest)
        self.model.to(device)
        self.optimiser = make_optimiser(self.model.parameters(), training)
        self.train, self.validation = _training_and_validation(recipe, task, device)
        _check_ranks(self.train)
        if training.patience and self.validation is None:
            raise TrainingError(
                f"training.patience = {training.patience}: there is no validation set to stop by; "
                "give training.validation a share of the training set"
            )
        self.training = with_class_weights(training, self.train.y, task.classes)
        self.test = in_order(task.test, device)
        self.generator = torch.Generator().manual_seed(training.seed)
        torch.manual_seed(training.seed)
        self.log: list[EpochRecord] = []
        self.best: dict[str, Tensor] | None = None
        self.best_epoch = 0

    @property
    def done(self) -> bool:
        """True if all epochs are over, or `patience` has run out."""
        training, epochs = self.recipe.training, len(self.log)
        return epochs >= training.epochs or (0 < training.patience <= epochs - self.best_epoch)

    def epoch(self, report: Report) -> EpochRecord:
        """Train on every batch once, and measure. Raises `TrainingError` if the loss or a gradient is not finite."""
        start, number = time.perf_counter(), len(self.log) + 1
        loss, accuracy = self._train(number, report)
        measured: dict[str, float | None] = {"train": accuracy, "validation": None, "test": None}
        judging, judged = ("test", self.test) if self.validation is None else ("validation", self.validation)
        with counted(self.model) as activity:
            measured[judging] = evaluate(self.model, judged, activity)
        record = EpochRecord(
            epoch=number,
            lr=self.optimiser.param_groups[0]["lr"],
            loss=loss,
            seconds=time.perf_counter() - start,
            spikes_per_sample=activity.spikes_per_sample,
            lowest_rate=min(activity.rates, default=None),
            highest_rate=max(activity.rates, default=None),
            **{f"{part}_{self.measure}": value for part, value in measured.items()},
        )
        self._keep_best(record)
        self.log.append(record)
        report(self._progress(number, len(self.train), loss, record=record))
        return record

    def _train(self, number: int, report: Report) -> tuple[float, float]:
        training, samples, labelled, loss, correct = self.training, 0, 0, 0.0, 0.0
        rule = rule_for(training, self.train)
        self.model.train()
        self._begin_together(number)
        for batch, (x, y) in enumerate(self.train.shuffled(self.generator), 1):
            self._set_learning_rate((number - 1) * len(self.train) + batch - 1)
            x = augmented(x, training.augment, self.generator)
            if training.input_noise:
                x = x + training.input_noise * torch.randn(x.shape, generator=self.generator).to(self.device)
            try:
                result = rule(self.model, self.optimiser, *part_of_rank(x, y), training)
            except TrainingError as error:
                raise self._diverged(f"epoch {number}, batch {batch}: {error}") from None
            samples, loss = samples + x.shape[1], loss + result.loss * x.shape[1]
            correct, labelled = correct + result.correct, labelled + result.labelled
            steps = int(lengths_of(y[:, -1:])) if per_step(y) else len(x)
            report(self._progress(number, batch, loss / samples, sample=x[:steps, -1:]))
        # A spike hides a NaN in the state before it (NaN >= Vth is false): the loss need not show it.
        for name, parameter in self.model.named_parameters():
            if not torch.isfinite(parameter).all():
                raise self._diverged(f"epoch {number}: the parameter {name} is no longer finite")
        return loss / samples, _measure(*ranks.totals([correct, labelled]), values=self.task.kind == "values")

    def _begin_together(self, number: int) -> None:
        """Ranks begin an epoch with the same weights, and each with draws of its own for its dropout.

        What is drawn for a whole batch, its order, noise and augmentation, is the same on all of them.
        """
        if ranks.size() > 1:
            ranks.check_equal("the epoch to train", number)
            ranks.share_weights(self.model)
            words = [self.recipe.training.seed, number, ranks.rank()]
            torch.manual_seed(int(np.random.SeedSequence(words).generate_state(1)[0]))

    def _set_learning_rate(self, update: int) -> None:
        lr = learning_rate(self.recipe.training, update, len(self.train))
        for group in self.optimiser.param_groups:
            group["lr"] = lr

    def _diverged(self, what: str) -> TrainingError:
        training = self.recipe.training
        advice = f"lower training.lr ({training.lr:g}) or training.grad_clip ({training.grad_clip:g})"
        return TrainingError(f"{what}; {advice}")

    def _progress(self, epoch: int, batch: int, loss: float, **known: Any) -> Progress:
        epochs, batches = self.recipe.training.epochs, len(self.train)
        known |= {"log": self.log, "model": self.model}
        return Progress(epoch=epoch, epochs=epochs, batch=batch, batches=batches, loss=loss, **known)

    def _keep_best(self, record: EpochRecord) -> None:
        if self.validation is None:
            return
        if self.best is None or self._goodness(record) > self._goodness(self.log[self.best_epoch - 1]):
            self.best = {name: value.clone() for name, value in self.model.state_dict().items()}
            self.best_epoch = record.epoch

    @property
    def measure(self) -> str:
        """The measure by which the task is judged: "accuracy" or "error"."""
        return "error" if self.task.kind == "values" else "accuracy"

    def _goodness(self, record: EpochRecord) -> float:
        if self.task.kind == "values":
            return -math.inf if record.validation_error is None else -record.validation_error
        return record.validation_accuracy or 0.0

    def checkpoint(self) -> Checkpoint:
        """The run as it is between two epochs."""
        return Checkpoint(
            recipe=self.recipe.model_dump(mode="json"),
            data=self.digest,
            steps=self.task.steps,
            inputs=self.task.inputs,
            classes=list(self.task.classes),
            model=dict(self.model.state_dict()),
            optimiser=state_by_name(self.optimiser),
            rng={**generators.states(self.device), "batches": self.generator.get_state()},
            log=[asdict(record) for record in self.log],
            best=self.best,
            best_epoch=self.best_epoch,
            device=str(self.device),
            ranks=ranks.size(),
        )

    def restore(self, path: Path, checkpoint: Checkpoint) -> None:
        """Continue from `checkpoint`, which was read from `path`. Raises `CheckpointError` if it does not fit.

        One of another kind of device has another generator's state: Dropout then begins to draw anew.
        """
        load_state(path, self.model, checkpoint.model)
        same = checkpoint.device.partition(":")[0] == self.device.type
        try:
            restore_state(self.optimiser, checkpoint.optimiser)
            generators.restore(self.device, checkpoint.rng if same else {DEFAULT: checkpoint.rng[DEFAULT]})
            self.generator.set_state(checkpoint.rng["batches"])
            self.log = [_RECORD.validate_python(row) for row in checkpoint.log]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = cut(" ".join(str(error).split()))
            raise CheckpointError(f"{path}: optimiser, rng or log do not fit the run: {reason}") from error
        self.best, self.best_epoch = checkpoint.best, checkpoint.best_epoch


def _check_trainable(task: Task, training: TrainingSection) -> None:
    """Raise `TrainingError` for targets that the rule, or the loss, has no use for."""
    values = task.kind == "values"
    if values != (training.loss == "mse"):
        has, take = ("real targets", 'loss = "mse"') if values else ("classes", "another loss")
        raise TrainingError(f'{task.name}: has {has}; loss = "{training.loss}" is not for these, take {take}')
    every_step = task.kind == "class per step" or (values and task.y_train.ndim == 3)
    ragged = any(part.lengths is not None for _, part in task.parts())
    if every_step and training.loss not in ("cross_entropy", "mse"):
        raise TrainingError(f'{task.name}: has a class per step; loss = "{training.loss}" takes one per sample')
    if (every_step or ragged) and training.augment.shift:
        raise TrainingError(f"{task.name}: training.augment.shift would move samples away from their labels; use 0")


def _check_ranks(batches: Batches) -> None:
    """Raise `TrainingError` if a batch has no sample for one of the ranks."""
    smallest = len(batches.x) % batches.batch_size or batches.batch_size
    if smallest < ranks.size():
        raise TrainingError(
            f"training.batch_size = {batches.batch_size}: of {len(batches.x)} samples one batch has {smallest}, "
            f"fewer than the {ranks.size()} processes that share it; choose another batch_size, or fewer processes"
        )


def _training_and_validation(recipe: Recipe, task: Task, device: torch.device) -> tuple[Batches, Batches | None]:
    """The task's own validation set, or the share of the training set that the recipe asks for."""
    size, share = recipe.training.batch_size, recipe.training.validation
    if task.validation is not None:
        if share:
            raise TrainingError(f"training.validation = {share:g}: {task.name} has a validation set of its own; use 0")
        return Batches(task.train, size, device), in_order(task.validation, device)
    if not share:
        return Batches(task.train, size, device), None
    kept, held_out, how = split(task.train, share, recipe.task.seed, task.kind)
    validation = task.train.part(np.sort(held_out), f"{share:.0%} of the training set, {how}")
    training = task.train.part(np.sort(kept), task.train.source)
    return Batches(training, size, device), in_order(validation, device)
