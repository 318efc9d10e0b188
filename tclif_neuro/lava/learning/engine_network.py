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

from tclif_neuro.lava.learning.engine import weight_path
from tclif_neuro.lava.learning.engine_processes import Filter, SeededDense, StockNeurons, StockReadout, three_factor
from tclif_neuro.lava.processes import Source
from tclif_neuro.onchip.engine.arithmetic import FOREVER
from tclif_neuro.onchip.engine.program import (
    HIDDEN,
    PHASES,
    SEND,
    StockRule,
    first_weights,
    halves,
    number,
    stock_rule,
    synapses_of,
)
from tclif_neuro.onchip.rule.connection import Coefficients
from tclif_neuro.onchip.rule.setup import LearningSetup

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class StockBuilder:
    """One network under construction: the setup, a sample's steps, where to write, the silent steps after a
    sample, and whether to record."""

    setup: LearningSetup
    steps: int
    samples: int
    folder: Path
    idle: int
    record: bool

    @property
    def interval(self) -> int:
        """The steps of the network that a sample takes."""
        return self.steps + self.idle

    @property
    def chip_steps(self) -> int:
        """The chip's steps of the whole run."""
        return self.interval * self.samples * PHASES

    def build(self, encoded: Array, targets: Array) -> Source:
        """The processes, connected, for the encoded input [T, S, M] and the targets [T, S, K]; returns the source."""
        setup = self.setup
        source = Source(signal=self._rows(encoded), progress=self.folder, name="source")
        common: dict[str, Any] = {"interval": self.interval, "steps": self.steps, "samples": self.samples}
        neurons = StockNeurons(setup=setup, layer=0, path=self.folder / "spikes.npy", name="layer 0", **common)
        readout = StockReadout(setup=setup, path=self.folder / "potentials.npy", name="readout", **common)
        self._join(source.s_out, neurons, 0, False, (SEND, SEND))
        if setup.net.layers[0].recurrent is not None:
            filtered = setup.variant == "prefiltered"
            self._join(neurons.s_out if filtered else neurons.late_out, neurons, 0, True, (HIDDEN, SEND))
        self._join(neurons.s_out, readout, 1, False, (HIDDEN, HIDDEN))
        teacher = Source(signal=self._rows(targets, hold=True), name="teacher")
        teacher.s_out.connect(readout.target_in)
        feedback = Dense(weights=setup.feedback_weights(0).astype(np.int32), num_message_bits=8, name="feedback")
        readout.error_out.connect(feedback.s_in)
        feedback.a_out.connect(neurons.third_factor_in)
        return source

    def _rows(self, values: Array, hold: bool = False) -> Array:
        """[T, S, M] as what is sent in each step of the chip: in phase `SEND` alone, or held for the step."""
        padded = np.pad(values.transpose(1, 0, 2), ((0, 0), (0, self.idle), (0, 0))).reshape(-1, values.shape[2])
        rows = np.repeat(padded, PHASES, axis=0)
        if not hold:
            rows[np.arange(len(rows)) % PHASES != SEND] = 0
        return rows.astype(np.int32)

    def _join(self, out: Any, post: Any, layer: int, recurrent: bool, phases: tuple[int, int]) -> None:
        """Bring `out` to `post` through stock learning synapses, through a filter if the variant has one."""
        setup, which = self.setup, (layer, recurrent)
        found = stock_rule(setup, *which, self.steps)
        described, synapses, weight = setup.net.layers[layer], synapses_of(setup, *which), first_weights(setup, *which)
        name = f"synapses {layer}{' recurrent' if recurrent else ''}"
        if setup.variant == "prefiltered":
            senders = Filter(
                shape=(synapses.weight.shape[1],),
                halves=halves(setup, layer),
                shift=found.payload_shift,
                coefficients=Coefficients.of(described),
                interval=self.interval,
                takes=phases[0],
                sends=phases[1],
                name=f"filter of {name}",
            )
            out.connect(senders.x_in)
            out = senders.s_out
        dense = SeededDense(
            randoms=self._randoms(number(*which)),
            written=self._written(weight_path(self.folder, *which)),
            weights=weight.astype(np.int32),
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

    def _randoms(self, matrix: int) -> dict[str, int]:
        before = self.setup.samples * self.interval
        return {"seed": self.setup.seed, "matrix": matrix, "epochs": before, "steps": PHASES}

    def _written(self, path: Path) -> dict[str, Any]:
        return {"path": path, "every": self.interval * PHASES, "samples": self.samples, "record": self.record}


def _engine_rule(found: StockRule) -> Any:
    traces: dict[str, Any] = {}
    for i, (impulse, tau) in enumerate(zip(found.impulse, found.tau, strict=True), start=1):
        traces |= {f"x{i}_impulse": impulse, f"x{i}_tau": tau}
    return three_factor(found.products, **{"x1_tau": FOREVER, **traces})
