"""The parts that the networks of both learning rules share: a run over samples, its teacher, its feedback."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.proc.dense.process import Dense

from tclif_neuro.lava.processes import Source
from tclif_neuro.onchip.rule.setup import LearningSetup

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Builder:
    """One network under construction: the setup, a sample's steps, how many samples, and what to record where."""

    setup: LearningSetup
    steps: int
    samples: int
    folder: Path
    record: bool

    @property
    def interval(self) -> int:
        """The steps of the network that a sample takes."""
        return self.steps + self.setup.idle_steps

    def in_a_row(self, samples: Array) -> Array:
        """[S, T, M] -> [S (T + idle), M]: the samples one after the other, each with its silent steps."""
        padded = np.pad(samples, ((0, 0), (0, self.setup.idle_steps), (0, 0)))
        return padded.reshape(-1, samples.shape[2])

    def source(self, rows: Array) -> Source:
        """The network's input, [steps of the run, M]; it tells how far the run is."""
        return Source(signal=rows.astype(np.int32), progress=self.folder, name="source")

    def teach(self, rows: Array, readout: Any) -> None:
        """Tell the readout its targets, [steps of the run, K]."""
        teacher = Source(signal=rows.astype(np.int32), name="teacher")
        teacher.s_out.connect(readout.target_in)

    def feed_back(self, readout: Any, layer: int, neurons: Any) -> None:
        """Route the readout's error to the neurons of `layer` through weights that stay."""
        weights = self.setup.feedback_weights(layer).astype(np.int32)
        feedback = Dense(weights=weights, num_message_bits=8, name=f"feedback {layer}")
        readout.error_out.connect(feedback.s_in)
        feedback.a_out.connect(neurons.third_factor_in)
