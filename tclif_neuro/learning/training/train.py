"""Train a recipe, resume it if it was interrupted, and say what came out."""

from __future__ import annotations

from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tclif_neuro.data import load_task
from tclif_neuro.errors import warn
from tclif_neuro.learning.recipe.file import differences, parse_recipe
from tclif_neuro.learning.recipe.sections import Recipe
from tclif_neuro.learning.recipe.training import TrainingSection
from tclif_neuro.learning.rules.bptt import TrainingError
from tclif_neuro.learning.training.checkpoint import (
    NAME,
    Checkpoint,
    is_checkpoint,
    load_checkpoint,
    load_state,
    save_checkpoint,
)
from tclif_neuro.learning.training.device import device_of
from tclif_neuro.learning.training.log import TensorBoard, write_csv
from tclif_neuro.learning.training.run import Progress, Report, Run, evaluate, in_order
from tclif_neuro.learning.training.schedule import TO_THE_LAST_EPOCH
from tclif_neuro.neurons import generators, ranks
from tclif_neuro.score import per_step
from tclif_neuro.text import quoted

LOG = "log.csv"


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """The result of training.

    epoch: whose weights were kept: the last, or with `training.validation` the best on the validation set. The
    accuracies are theirs, without noise or dropout; the test set chose nothing. Of real targets there are errors in
    their place, root mean squares. per_step: whether they are of every step that has a target. spikes_per_sample: on
    the validation set, else the test set. test_set: which samples it was, and from where. device: it was trained on.
    seconds: of all epochs, resumed or not.
    """

    epoch: int
    epochs: int
    train_accuracy: float | None = None
    validation_accuracy: float | None = None
    test_accuracy: float | None = None
    train_error: float | None = None
    validation_error: float | None = None
    test_error: float | None = None
    per_step: bool = False
    spikes_per_sample: float | None = None
    test_set: str
    parameters: int
    device: str
    seconds: float
    checkpoint: Path


def train(
    recipe: Recipe,
    out_dir: str | Path,
    *,
    resume: bool = True,
    progress: Report | None = None,
    data_dir: str | Path | None = None,
    tensorboard: bool = False,
    device: str = "cpu",
) -> TrainResult:
    """Train `recipe`, keeping `checkpoint.npz` and `log.csv` in `out_dir` after every epoch.

    resume: go on from the checkpoint in `out_dir`, if there is one; at most the current epoch is lost, and the final
    weights are bit for bit those of an unbroken run with as many threads and ranks on the same machine. A finished run
    goes on if the recipe now asks for more epochs, unless its learning rate depends on their number. False: start
    again. progress: called after every batch and epoch. data_dir: see `load_task`. tensorboard: event files too, in
    `out_dir/tensorboard`. device: "cpu", "cuda", "cuda:1", "mps" or "auto" (the best there is); it is not part of the
    recipe: order, noise and first weights are the same everywhere, and a run may be resumed on another device, with a
    warning, since its sums are rounded differently.

    Started by torchrun, all processes train one model, each on its part of every batch (`neurons.ranks`); the first
    alone writes and reports, all of them return the result, and `out_dir` must be a folder that all of them see.

    Raises `DeviceError` if the device is not there, `TrainingError` if the checkpoint is of another recipe or other
    data, or the loss is not finite (the checkpoint then is of the epoch before), `CheckpointError` if it cannot be
    read, `DataError`.
    """
    where = device_of(device)
    with ranks.joined(), generators.forked(where):
        task = load_task(recipe.task, data_dir=data_dir)
        first = ranks.rank() == 0
        out, report = _folder(out_dir), progress if progress is not None and first else _silent
        path = out / NAME
        run = Run(recipe, task, where)
        if resume and is_checkpoint(out):
            checkpoint = load_checkpoint(out)
            _check_same(path, checkpoint, run)
            _say_moved(path, checkpoint, run)
            run.restore(path, checkpoint)
            if first:
                _say_ranks(path, checkpoint.ranks)
        board = TensorBoard(out / "tensorboard", len(run.log) + 1) if tensorboard and first else None
        with closing(board) if board is not None else nullcontext():
            while not run.done:
                record = run.epoch(report)
                if first:
                    save_checkpoint(path, run.checkpoint())
                    write_csv(out / LOG, run.log)
                if board is not None:
                    board.add(record)
        if first:
            write_csv(out / LOG, run.log)  # it may have been killed between the two files
        return _result(run, path)


def _say_moved(path: Path, checkpoint: Checkpoint, run: Run) -> None:
    """Warn where a run goes on on another device, if it goes on."""
    if checkpoint.device != str(run.device) and checkpoint.epoch < run.recipe.training.epochs:
        warn(
            f"{path}: was trained on {checkpoint.device} up to epoch {checkpoint.epoch}, and goes on on {run.device}: "
            "with the same order and noise, but sums are rounded otherwise there"
        )


def _silent(progress: Progress) -> None:
    pass


def _folder(out_dir: str | Path) -> Path:
    out = Path(out_dir)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{out}: is not a folder and cannot become one: {error.strerror}") from error
    return out


def _say_ranks(path: Path, before: int) -> None:
    if before != ranks.size():
        warn(
            f"{path}: its last epoch was trained by {before} processes, and now there are {ranks.size()}: the same "
            "sums in another order, so that the weights will not be bit for bit those of an unbroken run"
        )


def _check_same(path: Path, checkpoint: Checkpoint, run: Run) -> None:
    otherwise = "choose another folder, or start again without resuming"
    # A recipe may move: whether data and first weights are the same is looked at below.
    elsewhere = {"task": {"folder"}, "training": {"start"}}
    ours = run.recipe.model_dump(mode="json", exclude=elsewhere)
    # Parsed, so that it has the keys that are newer than it; nothing that it names is imported.
    theirs = parse_recipe(checkpoint.recipe, str(path), custom=True).model_dump(mode="json", exclude=elsewhere)
    for key, there, here in differences(theirs, ours):
        if key == "training.epochs":
            _check_epochs(path, checkpoint.epoch, there, run.recipe.training)
            continue
        raise TrainingError(
            f"{path}: is of another recipe: {key} is {quoted(there)} there and {quoted(here)} here; {otherwise}"
        )
    if checkpoint.data != run.digest:
        other = f"on other data of the name {run.task.name!r}"
        if run.recipe.training.start is not None:
            other += ", or from other weights"
        raise TrainingError(f"{path}: was trained {other}; {otherwise}")


def _check_epochs(path: Path, done: int, there: int, training: TrainingSection) -> None:
    """Raise `TrainingError` unless the epochs done so far are the first ones of as many as are asked for now."""
    if training.scheduler in TO_THE_LAST_EPOCH:
        raise TrainingError(
            f"{path}: training.epochs is {there} there and {training.epochs} here, and the learning rate of "
            f'scheduler = "{training.scheduler}" depends on it from the first epoch on; "constant", "step" and '
            '"multistep" can go on; or start a new run from these weights: training.start'
        )
    if done > training.epochs:
        raise TrainingError(f"{path}: has {done} epochs behind it, more than training.epochs = {training.epochs}")


def _result(run: Run, path: Path) -> TrainResult:
    if run.best is not None:
        load_state(path, run.model, run.best)
    epoch = run.best_epoch or len(run.log)
    training_set, measure = in_order(run.task.train, run.device), run.measure
    measured = {
        f"train_{measure}": evaluate(run.model, training_set),
        f"validation_{measure}": getattr(run.log[epoch - 1], f"validation_{measure}"),
        f"test_{measure}": evaluate(run.model, run.test),
    }
    return TrainResult(
        epoch=epoch,
        epochs=len(run.log),
        **measured,
        per_step=per_step(run.task.test.y),
        spikes_per_sample=run.log[epoch - 1].spikes_per_sample,
        test_set=run.task.test.source,
        parameters=sum(p.numel() for p in run.model.parameters()),
        device=str(run.device),
        seconds=sum(record.seconds for record in run.log),
        checkpoint=path,
    )
