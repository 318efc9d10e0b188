"""On-chip learning on the stock learning engine: the variants `native` and `prefiltered`. Does not import Lava.

run = learn_stock(setup, x, labels)     # setup.variant "native" or "prefiltered", feedback "random", epoch 1
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.run import check_input
from tclif_neuro.lava.guarding.guard import guarded, require
from tclif_neuro.lava.learning.exact import setup_from, setup_to
from tclif_neuro.onchip.engine.program import PHASES, StockRun, check_idle, check_stock, matrices, stock_rule
from tclif_neuro.onchip.exact.reference import check_labels
from tclif_neuro.onchip.rule.setup import LearningSetup

TASK = f"{__name__}:run_job"
_START, _STEP = 60.0, 2e-2  # seconds allowed for the start of Lava, and for a step of a process

Array = npt.NDArray[Any]


def weight_path(folder: Path, layer: int, recurrent: bool) -> Path:
    """Where in `folder` the weights of a matrix after each sample are."""
    return folder / f"weight{layer}{'r' if recurrent else ''}.npy"


def learn_stock(
    setup: LearningSetup,
    x: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    idle: int = 1,
    record: bool = False,
    timeout: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> StockRun:
    """Learn the samples of the float input `x` [T, S, M], of classes `labels` [S], on Lava's stock learning engine.

    The result is that of `onchip.learn_stock`, to the bit.

    idle: silent steps of the network after each sample, in which a `native` network's traces decay (a prefiltered one's
    start anew by themselves). record: keep the spikes, and the weights after every sample. timeout, progress: those of
    `learn`.

    Raises `LavaMissing`; `FormatError` for a setup that the engine cannot run; `InputError`; `LavaError`.
    """
    check_stock(setup)
    check_idle(idle)
    require()
    encoded = setup.net.input.encode(check_input(setup.net, x))
    classes = check_labels(setup, labels, encoded.shape[1])
    steps, samples = encoded.shape[:2]
    rules = {which: stock_rule(setup, *which, steps) for which in matrices(setup)}
    targets = np.stack([setup.targets(int(label), steps) for label in classes], axis=1)
    chip_steps = PHASES * (steps + idle) * samples
    limit = _START + _STEP * chip_steps * 10 if timeout is None else timeout
    with tempfile.TemporaryDirectory(prefix="tclif-lava-") as name:
        folder = Path(name)
        setup_to(folder, setup)
        np.savez(folder / "data.npz", encoded=encoded, targets=targets)
        (folder / "stock.json").write_text(json.dumps({"idle": idle, "record": record}))
        guarded(TASK, folder, timeout=limit, steps=chip_steps, progress=progress)
        history = {which: np.load(weight_path(folder, *which), allow_pickle=False) for which in rules}
        potential = np.load(folder / "potentials.npy", allow_pickle=False).transpose(1, 0, 2)
        spikes = np.load(folder / "spikes.npy", allow_pickle=False).transpose(1, 0, 2)
    return StockRun(
        setup=replace(setup, samples=setup.samples + samples),
        weights={which: weights[-1] for which, weights in history.items()},
        potential=potential,
        error=(setup.error(potential, targets) ** 2).sum(axis=(0, 2)),
        fit_error={which: rule.fit_error for which, rule in rules.items()},
        spikes=spikes if record else None,
        history=history if record else None,
    )


def run_job(folder: Path) -> None:
    """Do what was asked for in `folder`. Imports Lava."""
    from tclif_neuro.lava.guarding.runtime import run_lava
    from tclif_neuro.lava.learning.engine_network import StockBuilder

    setup, asked = setup_from(folder), json.loads((folder / "stock.json").read_text())
    with np.load(folder / "data.npz", allow_pickle=False) as data:
        encoded, targets = data["encoded"], data["targets"]
    steps, samples, _ = encoded.shape
    builder = StockBuilder(setup=setup, steps=steps, samples=samples, folder=folder, **asked)
    run_lava(builder.build(encoded, targets), builder.chip_steps)
