"""The result of learning on Lava's own engine, the variants `native` and `prefiltered`. Does not import Lava."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.lava.learning.record import connection_path, layer_path
from tclif_neuro.lava.recording import read_arrays
from tclif_neuro.onchip.engine.program import PHASES, after, engine_rules
from tclif_neuro.onchip.rule.matrices import Matrix, matrices
from tclif_neuro.onchip.rule.setup import LearningSetup
from tclif_neuro.onchip.run import LayerTrace, LearningRun

Ints = npt.NDArray[Any]


def total_steps(setup: LearningSetup, steps: int, samples: int) -> int:
    """The chip's steps of a run of `samples` samples of `steps` steps."""
    return PHASES * (steps + setup.idle_steps) * samples


def read_run(folder: Path, setup: LearningSetup, targets: Ints, record: bool) -> LearningRun:
    """Return the result of the run in `folder`. targets: [S, T, K]."""
    samples, steps, _ = targets.shape
    connections = {matrix: read_arrays(connection_path(folder, matrix)) for matrix in matrices(setup.net)}
    layers = [read_arrays(layer_path(folder, i)) for i in range(len(setup.net.layers))]
    potential = layers[-1]["states"][1]
    return LearningRun(
        setup=after(
            setup,
            {matrix: found["weight"][-1] for matrix, found in connections.items()},
            {matrix: found["trace"] for matrix, found in connections.items()},
            steps=steps,
            samples=samples,
        ),
        potential=potential[:, -1].astype(np.int64),
        error=(setup.error(potential.astype(np.int64), targets) ** 2).sum(axis=(1, 2)),
        layers=tuple(_trace(i, found, connections) for i, found in enumerate(layers)) if record else (),
        fit_error={matrix: rule.fit_error for matrix, rule in engine_rules(setup, steps).items()},
    )


def _trace(index: int, found: dict[str, Ints], connections: dict[Matrix, dict[str, Ints]]) -> LayerTrace:
    """Return the trace of layer `index`: its record [.., S, T, N] with time first."""
    states = found["states"].transpose(0, 2, 1, 3)
    weight = [arrays["weight"] for matrix, arrays in connections.items() if matrix.layer == index]
    return LayerTrace(
        spikes=found["spikes"].transpose(1, 0, 2),
        states=states,
        posted=found["posted"].transpose(0, 2, 1, 3),
        eligibility=np.zeros((*states.shape[:3], 0), np.int32),
        weight=np.concatenate(weight, axis=-1).astype(np.int16),
    )
