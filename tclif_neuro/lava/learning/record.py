"""Records of learning connections and layers, kept while they ran in Lava: their files. NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.lava.recording import write_arrays
from tclif_neuro.onchip.rule.matrices import Matrix

Array = npt.NDArray[Any]


def connection_path(folder: Path, matrix: Matrix) -> Path:
    """Return the path in `folder` of the record of a connection that learns."""
    return folder / f"connection_{matrix.name}.npz"


def layer_path(folder: Path, layer: int) -> Path:
    """Return the path in `folder` of the record of a layer beside Lava's own engine."""
    return folder / f"learning_layer_{layer}.npz"


@dataclass(frozen=True, kw_only=True)
class ConnectionRecord:
    """A request to record a connection that learns: what to keep, and where to write it.

    steps, samples: the length of a sample, and how many there are. sequences: keep every step's traces and the weights
    after each sample, not just the last ones.
    """

    path: Path
    steps: int
    samples: int
    sequences: bool

    def start(self, shape: tuple[int, int]) -> RecordedConnection:
        """An empty record of synapses [N, M]."""
        return RecordedConnection(self, shape)


class RecordedConnection:
    """A connection's learning, filled step by step; arrays as in `LayerTrace`, for the one connection."""

    def __init__(self, request: ConnectionRecord, shape: tuple[int, int]) -> None:
        self.request = request
        size, inputs = shape
        samples = request.samples if request.sequences else 0
        self.eligibility = np.zeros((2, request.steps, samples, inputs), np.int32)
        self.posted = np.zeros((2, request.steps, samples, size), np.int16)
        self.weight = np.zeros((samples, *shape), np.int16)

    def remember(self, sample: int, step: int, d: Array, e: Array) -> None:
        """Note the traces after step `step` of sample `sample`."""
        if self.request.sequences and sample < self.request.samples:
            self.eligibility[:, step, sample] = d, e

    def learn(self, sample: int, step: int, y1: Array, y2: Array, weight: Array) -> None:
        """Note what was posted about a step, and the weights after its use; write all after the last step."""
        if sample >= self.request.samples:
            return
        if self.request.sequences:
            self.posted[:, step, sample] = y1, y2
            self.weight[sample] = weight
        if sample == self.request.samples - 1 and step == self.request.steps - 1:
            self._write(weight)

    def _write(self, final: Array) -> None:
        arrays = {"final": final, "eligibility": self.eligibility, "posted": self.posted, "weight": self.weight}
        write_arrays(self.request.path, arrays)
