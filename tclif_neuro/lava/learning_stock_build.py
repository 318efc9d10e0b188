"""From a learning setup to the processes of its `native` or `prefiltered` network (`lava.learning_stock`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.learning.constants import GradedSpikeCfg
from lava.proc.dense.process import Dense
from lava.utils.weightutils import SignMode

from tclif_neuro.lava.learning_stock import (
    HIDDEN,
    PHASES,
    SEND,
    Filter,
    StockNeurons,
    StockReadout,
    WrittenDense,
    three_factor,
)
from tclif_neuro.lava.learning_variants import FOREVER, StockRule, doubled, stock_rule, weight_path
from tclif_neuro.lava.processes import Source
from tclif_neuro.onchip.connection import Coefficients
from tclif_neuro.onchip.setup import LearningSetup

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class StockBuilder:
    """One network under construction: the setup, a sample's steps and the silent ones after it, and where to write."""

    setup: LearningSetup
    steps: int
    idle: int
    samples: int
    folder: Path

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
        neurons = StockNeurons(setup=setup, layer=0, interval=self.interval, name="layer 0")
        readout = StockReadout(
            setup=setup,
            path=self.folder / "potentials.npy",
            interval=self.interval,
            steps=self.steps,
            samples=self.samples,
            name="readout",
        )
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
        found = stock_rule(self.setup, layer, recurrent, PHASES, self.steps)
        described = self.setup.net.layers[layer]
        synapses = described.recurrent if recurrent else described.synapses
        assert synapses is not None
        weight = synapses.weight.astype(np.int32)
        name = f"synapses {layer}{' recurrent' if recurrent else ''}"
        if self.setup.variant == "prefiltered":
            halves = 1 if described.readout else 2
            senders = Filter(
                shape=(weight.shape[1],),
                halves=halves,
                shift=found.payload_shift,
                coefficients=Coefficients.of(described),
                interval=self.interval,
                takes=phases[0],
                sends=phases[1],
                name=f"filter of {name}",
            )
            out.connect(senders.x_in)
            out, weight = senders.s_out, weight if halves == 1 else doubled(weight)
        dense = WrittenDense(
            path=weight_path(self.folder, layer, recurrent),
            last=self.chip_steps,
            weights=weight,
            weight_exp=synapses.exponent + (found.payload_shift if self.setup.variant == "prefiltered" else 0),
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


def _engine_rule(found: StockRule) -> Any:
    traces: dict[str, Any] = {}
    for i, (impulse, tau) in enumerate(zip(found.impulse, found.tau, strict=True), start=1):
        traces |= {f"x{i}_impulse": impulse, f"x{i}_tau": tau}
    return three_factor(found.products, **{"x1_tau": FOREVER, **traces})
