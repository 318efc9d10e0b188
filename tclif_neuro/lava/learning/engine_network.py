"""From a learning setup to the processes (`engine_processes`) of its `native` or `prefiltered` network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.learning.constants import GradedSpikeCfg
from lava.proc.dense.process import Dense
from lava.utils.weightutils import SignMode

from tclif_neuro.lava.learning.engine import total_steps
from tclif_neuro.lava.learning.engine_processes import (
    EngineNeurons,
    EngineReadout,
    EngineRecord,
    Filter,
    SeededDense,
    three_factor,
)
from tclif_neuro.lava.learning.record import connection_path, layer_path
from tclif_neuro.lava.processes import Source
from tclif_neuro.onchip.engine.arithmetic import FOREVER
from tclif_neuro.onchip.engine.program import (
    HIDDEN,
    PHASES,
    SEND,
    EngineRule,
    engine_rules,
    halves,
    state_of,
)
from tclif_neuro.onchip.rule.connection import Coefficients
from tclif_neuro.onchip.rule.matrices import Matrix, synapses_of
from tclif_neuro.onchip.rule.setup import LearningSetup

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class EngineBuilder:
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

    @property
    def total_steps(self) -> int:
        """The chip's steps of the run."""
        return total_steps(self.setup, self.steps, self.samples)

    def build(self, encoded: Array, targets: Array) -> Source:
        """The processes, connected, for the encoded input [T, S, M] and the targets [S, T, K]; returns the source."""
        setup = self.setup
        source = Source(signal=self._rows(encoded.transpose(1, 0, 2)), progress=self.folder, name="source")
        neurons = EngineNeurons(setup=setup, layer=0, record=self._layer_record(0), name="layer 0")
        readout = EngineReadout(setup=setup, record=self._layer_record(1), name="readout")
        self._join(source.s_out, neurons, Matrix(0), (SEND, SEND))
        if setup.net.layers[0].recurrent is not None:
            filtered = setup.variant == "prefiltered"
            self._join(neurons.s_out if filtered else neurons.late_out, neurons, Matrix(0, True), (HIDDEN, SEND))
        self._join(neurons.s_out, readout, Matrix(1), (HIDDEN, HIDDEN))
        teacher = Source(signal=self._rows(targets, hold=True), name="teacher")
        teacher.s_out.connect(readout.target_in)
        feedback = Dense(weights=setup.feedback_weights(0).astype(np.int32), num_message_bits=8, name="feedback")
        readout.error_out.connect(feedback.s_in)
        feedback.a_out.connect(neurons.third_factor_in)
        return source

    def _rows(self, values: Array, hold: bool = False) -> Array:
        """[S, T, M] as what is sent in each step of the chip: in phase `SEND` alone, or held for the step."""
        padded = np.pad(values, ((0, 0), (0, self.setup.idle_steps), (0, 0))).reshape(-1, values.shape[2])
        rows = np.repeat(padded, PHASES, axis=0)
        if not hold:
            rows[np.arange(len(rows)) % PHASES != SEND] = 0
        return rows.astype(np.int32)

    def _join(self, out: Any, post: Any, matrix: Matrix, phases: tuple[int, int]) -> None:
        """Bring `out` to `post` through synapses of Lava's engine, through a filter if the variant has one."""
        setup, state = self.setup, state_of(self.setup)
        found, synapses = engine_rules(setup, self.steps)[matrix], synapses_of(setup.net, matrix)
        name = f"synapses {matrix.name}"
        if setup.variant == "prefiltered":
            senders = Filter(
                shape=(synapses.weight.shape[1],),
                halves=halves(setup, matrix.layer),
                shift=found.payload_shift,
                coefficients=Coefficients.of(setup.net.layers[matrix.layer]),
                interval=self.interval,
                takes=phases[0],
                sends=phases[1],
                name=f"filter of {name}",
            )
            out.connect(senders.x_in)
            out = senders.s_out
        dense = SeededDense(
            randoms={"seed": setup.seed, "matrix": matrix.number, "epochs": state.epochs, "steps": PHASES},
            written=self._written(connection_path(self.folder, matrix)),
            traces=state.traces[matrix],
            weights=state.weights[matrix].astype(np.int32),
            weight_exp=synapses.exponent + found.payload_shift,
            sign_mode=SignMode.MIXED,
            num_message_bits=8 if found.graded else 0,
            graded_spike_cfg=GradedSpikeCfg(found.graded_cfg),
            learning_rule=_engine_rule(found),
            name=name,
        )
        out.connect(dense.s_in)
        dense.a_out.connect(post.a_in)
        for port in ("bap", "y1", "y2", "y3"):
            getattr(post, f"s_out_{port}").connect(getattr(dense, f"s_in_{port}"))

    def _layer_record(self, layer: int) -> EngineRecord:
        return EngineRecord(
            path=layer_path(self.folder, layer),
            steps=self.steps,
            samples=self.samples,
            interval=self.interval,
            every_step=self.record,
        )

    def _written(self, path: Path) -> dict[str, Any]:
        return {"path": path, "every": self.interval * PHASES, "samples": self.samples, "record": self.record}


def _engine_rule(found: EngineRule) -> Any:
    traces: dict[str, Any] = {}
    for i, (impulse, tau) in enumerate(zip(found.impulse, found.tau, strict=True), start=1):
        traces |= {f"x{i}_impulse": impulse, f"x{i}_tau": tau}
    return three_factor(found.products, **{"x1_tau": FOREVER, **traces})
