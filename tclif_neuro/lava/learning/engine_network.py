"""From a learning setup to the processes (`engine_processes`) of its `native` or `prefiltered` network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.learning.constants import GradedSpikeCfg
from lava.utils.weightutils import SignMode

from tclif_neuro.lava.learning.builder import Builder
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

Array = npt.NDArray[Any]


class EngineBuilder(Builder):
    """The network whose synapses Lava's own engine teaches."""

    def build(self, encoded: Array, targets: Array) -> Source:
        """The processes, connected, for the encoded input [T, S, M] and the targets [S, T, K]; returns the source."""
        setup = self.setup
        sent = np.repeat(self.in_a_row(encoded.transpose(1, 0, 2)), PHASES, axis=0)
        sent[np.arange(len(sent)) % PHASES != SEND] = 0
        source = self.source(sent)
        neurons = EngineNeurons(setup=setup, layer=0, record=self._layer_record(0), name="layer 0")
        readout = EngineReadout(setup=setup, record=self._layer_record(1), name="readout")
        self._join(source.s_out, neurons, Matrix(0), (SEND, SEND))
        if setup.net.layers[0].recurrent is not None:
            filtered = setup.variant == "prefiltered"
            self._join(neurons.s_out if filtered else neurons.late_out, neurons, Matrix(0, True), (HIDDEN, SEND))
        self._join(neurons.s_out, readout, Matrix(1), (HIDDEN, HIDDEN))
        self.teach(np.repeat(self.in_a_row(targets), PHASES, axis=0), readout)
        self.feed_back(readout, 0, neurons)
        return source

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
