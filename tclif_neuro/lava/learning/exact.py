"""The result of learning by the exact rule in Lava. Does not import Lava."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.lava.learning.record import connection_path
from tclif_neuro.lava.recording import read_arrays, read_recording, recording_path
from tclif_neuro.onchip.rule.matrices import Matrix, matrices, weights_of
from tclif_neuro.onchip.rule.setup import LearningSetup
from tclif_neuro.onchip.run import LayerTrace, LearningRun, after

Ints = npt.NDArray[Any]


def total_steps(setup: LearningSetup, steps: int, samples: int) -> int:
    """The steps of a run of `samples` samples of `steps` steps, until the last layer has had them all."""
    return (steps + setup.idle_steps) * samples + len(setup.net.layers)


def read_run(folder: Path, setup: LearningSetup, targets: Ints, record: bool) -> LearningRun:
    """Return the result of the run in `folder`. targets: [S, T, K]."""
    samples, steps, _ = targets.shape
    states = read_recording(recording_path(folder, len(setup.net.layers) - 1)).states
    potential = states[1, :steps].astype(np.int64)
    learning = [matrix for matrix in matrices(setup.net) if setup.rule(matrix)]
    connections = {matrix: read_arrays(connection_path(folder, matrix)) for matrix in learning}
    layers = range(len(setup.net.layers)) if record else ()
    return LearningRun(
        setup=after(setup, {matrix: found["final"] for matrix, found in connections.items()}, samples),
        potential=potential[-1],
        error=(setup.error(potential, targets.transpose(1, 0, 2)) ** 2).sum(axis=(0, 2)),
        layers=tuple(_trace(folder, setup, connections, layer, steps) for layer in layers),
    )


def _trace(
    folder: Path, setup: LearningSetup, connections: dict[Matrix, dict[str, Ints]], layer: int, steps: int
) -> LayerTrace:
    """Return the trace of layer `layer` in the steps of the samples."""
    run = read_recording(recording_path(folder, layer))
    samples, size = run.spikes.shape[1:]
    learning = [found for matrix, found in connections.items() if matrix.layer == layer]
    weight = [
        connections[matrix]["weight"] if matrix in connections else np.broadcast_to(first, (samples, *first.shape))
        for matrix, first in weights_of(setup.net).items()
        if matrix.layer == layer
    ]
    nothing = np.zeros((2, steps, samples, 0), np.int32)
    return LayerTrace(
        spikes=run.spikes[:steps],
        states=run.states[:, :steps],
        posted=learning[0]["posted"] if learning else np.zeros((2, steps, samples, size), np.int16),
        eligibility=np.concatenate([nothing, *(found["eligibility"] for found in learning)], axis=-1),
        weight=np.concatenate(weight, axis=-1).astype(np.int16),
    )
