"""`tclif export`: a trained model into a .net file, and what that lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tclif_neuro.cli.commands.executors import Tell
from tclif_neuro.cli.commands.outputs import check_output
from tclif_neuro.cli.commands.recipe_text import recipe_text
from tclif_neuro.data import Batches, Part, Task, load_task
from tclif_neuro.data.sequences import time_first
from tclif_neuro.errors import said
from tclif_neuro.learning.recipe.file import load_recipe
from tclif_neuro.learning.recipe.sections import Recipe
from tclif_neuro.learning.training.augment import augmented
from tclif_neuro.learning.training.checkpoint import load_trained
from tclif_neuro.learning.training.optimiser import make_optimiser
from tclif_neuro.learning.training.run import rule_for
from tclif_neuro.learning.training.weights import with_class_weights
from tclif_neuro.loihi.stock import StockError, to_stock
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.netx import save
from tclif_neuro.nir import save_nir
from tclif_neuro.quantization import LossReport, prepare_qat, quantize, report
from tclif_neuro.score import per_step

CALIBRATION = 256  # training samples that set the scales
SAMPLES = 256  # test samples that the loss is measured on
QAT_LR = 0.1  # of the recipe's learning rate


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """The file written, and the loss of the conversion.

    qat_epochs: of training on the integers' grid before it. why_not_loihi: why Loihi 2's stock neurons cannot be the
    network, "" if they can (`loihi.to_stock`).
    """

    file: Path
    qat_epochs: int
    report: LossReport
    why_not_loihi: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """The options of the conversion.

    weight_bits: of a weight's mantissa. stock: for Lava's own LIF. qat_epochs: of training on the integers' grid first.
    samples: how many of the test set the loss is measured on. data_dir: see `load_task`. nir: where the float model
    goes as a NIR file, too. recipe: the run's recipe file; None: the recipe in its checkpoint, which may name no
    neurons of other packages.
    """

    weight_bits: int = 8
    stock: bool = False
    qat_epochs: int = 0
    samples: int = SAMPLES
    data_dir: Path | None = None
    nir: Path | None = None
    recipe: Path | None = None


def export_run(trained: Path, file: Path, options: ExportOptions, *, tell: Tell | None = None) -> ExportResult:
    """Convert the model in the run folder `trained`, write it to `file`, and measure it on the task's test set."""
    check_output(file, (".net",))
    if options.nir is not None:
        check_output(options.nir, (".nir",))
    with said() as warned:
        net, loss = convert_run(trained, options, tell=tell)
    save(net, file)
    return ExportResult(
        file=file,
        qat_epochs=options.qat_epochs,
        report=loss,
        why_not_loihi=_why_not_loihi(net),
        warnings=tuple(warned),
    )


def convert_run(
    trained: Path, options: ExportOptions, *, tell: Tell | None = None
) -> tuple[QuantizedNetwork, LossReport]:
    """Convert the model in the run folder `trained`, and measure that on the task's test set."""
    model, recipe = load_trained(trained, None if options.recipe is None else load_recipe(options.recipe))
    task = load_task(recipe.task, data_dir=options.data_dir)
    calibration, _, lengths = _first(task.train, CALIBRATION)
    if options.qat_epochs:
        model = _finetune(model, recipe, task, options, tell)
    if options.nir is not None:
        save_nir(model, options.nir)
    plan: dict[str, Any] = {} if options.qat_epochs else {"weight_bits": options.weight_bits, "stock": options.stock}
    kept = recipe.model_copy(update={"task": recipe.task.model_copy(update={"found": task.found})})
    net = quantize(model, calibration, lengths=lengths, classes=task.classes, recipe=recipe_text(kept), **plan)
    return net, report(model, net, *_first(task.test, options.samples))


def _why_not_loihi(net: QuantizedNetwork) -> str:
    try:
        to_stock(net)
    except StockError as error:
        return str(error)
    return ""


def _first(part: Part, samples: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """The first samples of a part: x [T, B, M], their targets, time first, and their lengths, if they have any."""
    first = np.arange(min(samples, len(part)))
    x, y = torch.from_numpy(time_first(part.x.batch(first))), torch.from_numpy(part.y[first])
    lengths = None if part.lengths is None else torch.from_numpy(part.lengths[first])
    return x, y.transpose(0, 1) if per_step(part.y) else y, lengths


def _finetune(
    model: nn.Sequential, recipe: Recipe, task: Task, options: ExportOptions, tell: Tell | None
) -> nn.Sequential:
    """Go on training on the grid of the integers, at a tenth of the recipe's learning rate."""
    training, epochs = recipe.training, options.qat_epochs
    calibration, _, lengths = _first(task.train, CALIBRATION)
    bits = options.weight_bits
    qat = prepare_qat(model, calibration, lengths=lengths, stock=options.stock, weight_bits=bits).train()
    fine = training.model_copy(update={"lr": QAT_LR * training.lr, "weight_decay": 0.0})
    optimiser = make_optimiser(qat.parameters(), fine)
    generator = torch.Generator().manual_seed(training.seed)
    batches = Batches(task.train, training.batch_size)
    rule = rule_for(training, batches)
    weighted = with_class_weights(training, batches.y, task.classes)
    for epoch in range(epochs):
        for batch, (x, y) in enumerate(batches.shuffled(generator), 1):
            x = augmented(x, training.augment, generator)
            noise = training.input_noise * torch.randn(x.shape, generator=generator)
            rule(qat, optimiser, x + noise, y, weighted)
            if tell is not None:
                tell(epoch * len(batches) + batch, epochs * len(batches))
    return qat.eval()
