"""The recording of one layer that ran in Lava, kept by its ProcessModel and written when the last step is done.

A number costs 25 us to read from a Lava Var, a process 0.16 ms per step, and a Monitor that overruns its buffer hangs.
So the neurons keep their own record, in their own process, and write it as one file. Knows NumPy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.files import write_atomically
from tclif_neuro.fixed.run import NOT_COUNTED, LayerRun, Sequences

Array = npt.NDArray[Any]


def sample_step(time_step: int, interval: int | None, offset: int) -> int:
    """The step within the sample at step `time_step` (from 1) of the run, for samples of `interval` steps.

    `offset` is the run's step, modulo the interval, in which a sample begins. Without an interval the run is a sample.
    """
    return time_step - 1 if interval is None else (time_step - offset) % interval


def write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Write `arrays` by their names, whole or not at all."""
    write_atomically(path, lambda file: np.savez(file, **arrays))


def read_arrays(path: Path) -> dict[str, Array]:
    """Return the arrays that `write_arrays` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def recording_path(folder: Path, layer: int) -> Path:
    """Return the path in `folder` of the recording of layer `layer`."""
    return folder / f"layer{layer}.npz"


@dataclass(frozen=True, kw_only=True)
class RecordingRequest:
    """A request to record a layer: what to keep, and where to write it.

    first_step: the run's step in which the first sample begins. steps, samples: the length of a sample, and how many
    follow each other without a gap. sequences: keep every step's spikes and states, not just counts and final states.
    ends: of each sample, how many steps are its own; the others are not looked at. None: all are.
    """

    path: Path
    first_step: int
    steps: int
    samples: int
    sequences: bool
    ends: tuple[int, ...] | None = None

    def start(self, size: int) -> Recording:
        """An empty recording of `size` neurons."""
        return Recording(self, size)


class Recording:
    """A layer's activity, filled step by step. Arrays are those of `LayerRun`."""

    def __init__(self, request: RecordingRequest, size: int) -> None:
        self.request = request
        steps, samples = request.steps, request.samples
        self.final = np.zeros((2, samples, size), np.int32)
        self.counts = np.zeros((samples, size), np.int64)
        self.saturations = 0
        self.spikes = np.zeros((steps, samples, size), np.uint8) if request.sequences else None
        self.states = np.zeros((2, steps, samples, size), np.int32) if request.sequences else None

    def add(self, time_step: int, first: Array, second: Array, spikes: Array, saturated: Array | None) -> None:
        """Add the states and spikes of the run's step `time_step`; `saturated` is None where nobody counts."""
        request = self.request
        sample, step = divmod(time_step - request.first_step, request.steps)
        if not 0 <= sample < request.samples:
            return
        if request.ends is None or step < request.ends[sample]:
            self.counts[sample] += spikes
            self.saturations = NOT_COUNTED if saturated is None else self.saturations + int(saturated.sum())
            self.final[0, sample], self.final[1, sample] = first, second
            if self.spikes is not None:
                self.spikes[step, sample] = spikes
        if self.states is not None:
            self.states[:, step, sample] = self.final[:, sample]
        if (sample, step) == (request.samples - 1, request.steps - 1):
            self.write()

    def write(self) -> None:
        """Write the recording to the requested path, atomically."""
        arrays: dict[str, Any] = {"final": self.final, "counts": self.counts, "saturations": np.int64(self.saturations)}
        if self.spikes is not None and self.states is not None:
            arrays |= {"spikes": self.spikes, "states": self.states}
        write_arrays(self.request.path, arrays)


def read_recording(path: Path) -> LayerRun:
    """The recording at `path` as a `LayerRun`."""
    found = read_arrays(path)
    return LayerRun(
        recorded=Sequences(found["spikes"], found["states"]) if "spikes" in found else None,
        final=found["final"],
        counts=found["counts"],
        saturations=int(found["saturations"]),
    )
