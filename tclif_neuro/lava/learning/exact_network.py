"""From a learning setup to Lava processes, for one run over samples.

A sample takes T + idle steps of the run. Step t of a sample reaches layer l (from 0) in step t + l + 2 of its interval
(from 1) and the layer's synapses one step earlier; the error of that step leaves the readout R at t + R + 2 and reaches
layer l through the feedback at t + R + 3, which is the layer's own step t + D. The last of it is used in the
interval's last step, so that the next sample meets the weights that this one taught.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.proc.dense.process import Dense

from tclif_neuro.lava.learning.exact import connection_path
from tclif_neuro.lava.learning.exact_processes import ErrorReadout, LearningTCLIF, MirrorDense, PlasticDense
from tclif_neuro.lava.learning.record import ConnectionRecord
from tclif_neuro.lava.processes import Block, SampleDense, Source
from tclif_neuro.lava.recording import RecordingRequest, recording_path
from tclif_neuro.network import Synapses
from tclif_neuro.onchip.rule.setup import LearningSetup


def interval(setup: LearningSetup, steps: int) -> int:
    """The steps of the run that a sample of `steps` steps takes."""
    return steps + setup.idle


@dataclass(frozen=True, kw_only=True)
class Builder:
    """One network under construction: the setup, a sample's steps, how many samples, and what to record where."""

    setup: LearningSetup
    steps: int
    samples: int
    folder: Path
    sequences: bool

    def build(self, encoded: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> Source:
        """The processes, connected, for the encoded input [T, S, M]; returns the source."""
        source = Source(signal=self._rows(encoded.transpose(1, 0, 2)), progress=self.folder, name="source")
        upstream, learners = source.s_out, {}
        for layer, rule in enumerate(self.setup.rules):
            if rule is None and not self.setup.net.layers[layer].readout:
                block = self._block(layer)
                upstream.connect(block.inp)
                upstream = block.out
            else:
                neurons = self._neurons(layer)
                learners[layer] = neurons, self._connect(layer, upstream, neurons)
                upstream = neurons.s_out
        self._teach(labels, *learners.pop(len(self.setup.rules) - 1), {i: found[0] for i, found in learners.items()})
        return source

    @property
    def interval(self) -> int:
        """The steps of the run that a sample takes."""
        return interval(self.setup, self.steps)

    def _rows(self, samples: npt.NDArray[Any], before: int = 0) -> npt.NDArray[np.int32]:
        """[S, T, M] as what is sent in each step of the run, [steps, M]; `before` silent steps at its start."""
        padded = np.pad(samples, ((0, 0), (0, self.setup.idle), (0, 0)))
        return np.pad(padded.reshape(-1, samples.shape[2]), ((before, 0), (0, 0))).astype(np.int32)

    def _clock(self, layer: int) -> dict[str, int]:
        return {"reset_interval": self.interval, "reset_offset": (layer + 2) % self.interval}

    def _recording(self, layer: int) -> RecordingRequest:
        return RecordingRequest(
            path=recording_path(self.folder, layer),
            first_step=layer + 2,
            steps=self.interval,
            samples=self.samples,
            sequences=self.sequences or self.setup.net.layers[layer].readout,
        )

    def _block(self, layer: int) -> Block:
        """A layer that does not learn."""
        bits = 0 if layer else self.setup.net.input.bits
        common: dict[str, Any] = {**self._clock(layer), "recording": self._recording(layer), "name": f"layer {layer}"}
        return Block(layer=self.setup.net.layers[layer], input_message_bits=bits, **common)

    def _neurons(self, layer: int) -> LearningTCLIF | ErrorReadout:
        """The neurons of a layer that learns, or of the readout."""
        common: dict[str, Any] = {**self._clock(layer), "recording": self._recording(layer), "name": f"layer {layer}"}
        if self.setup.net.layers[layer].readout:
            return ErrorReadout(setup=self.setup, steps=self.steps, **common)
        return LearningTCLIF(setup=self.setup, layer=layer, **common)

    def _connect(self, layer: int, upstream: Any, neurons: Any) -> Any:
        """Bring `upstream` to the neurons, and the neurons to themselves if they are; returns the input synapses."""
        described = self.setup.net.layers[layer]
        forward = self._synapses(layer, False, described.synapses)
        upstream.connect(forward.s_in)
        made = [forward]
        if described.recurrent is not None:
            made.append(self._synapses(layer, True, described.recurrent))
            neurons.s_out.connect(made[1].s_in)
        for synapses in made:
            synapses.a_out.connect(neurons.a_in)
            if isinstance(synapses, PlasticDense):
                neurons.y1_out.connect(synapses.y1_in)
                neurons.y2_out.connect(synapses.y2_in)
        return forward

    def _synapses(self, layer: int, recurrent: bool, synapses: Synapses) -> Any:
        """Synapses that learn if the rule says so."""
        name = f"synapses {layer}{' recurrent' if recurrent else ''}"
        if self.setup.rule(layer, recurrent=recurrent):
            record = ConnectionRecord(
                path=connection_path(self.folder, layer, recurrent),
                steps=self.steps,
                samples=self.samples,
                sequences=self.sequences,
            )
            which: dict[str, Any] = {"layer": layer, "recurrent": recurrent, "name": name}
            return PlasticDense(setup=self.setup, steps=self.steps, interval=self.interval, record=record, **which)
        stock: dict[str, Any] = {"weights": synapses.weight.astype(np.int32), "weight_exp": synapses.exponent}
        if recurrent:
            return SampleDense(num_message_bits=0, name=name, **stock, **self._clock(layer))
        return Dense(num_message_bits=0 if layer else self.setup.net.input.bits, name=name, **stock)

    def _teach(
        self, labels: npt.NDArray[np.int64], readout: ErrorReadout, synapses: Any, hidden: dict[int, Any]
    ) -> None:
        """Tell the readout its targets, and the hidden layers that learn what became of them."""
        targets = np.stack([self.setup.targets(int(label), self.steps) for label in labels])
        teacher = Source(signal=self._rows(targets, before=len(self.setup.rules)), name="teacher")
        teacher.s_out.connect(readout.target_in)
        for layer, neurons in hidden.items():
            name = f"feedback {layer}"
            feedback: Any
            if self.setup.feedback == "symmetric" and isinstance(synapses, PlasticDense):
                sizes = {"outputs": self.setup.net.outputs, "size": self.setup.net.layers[layer].size}
                feedback = MirrorDense(interval=self.interval, name=name, **sizes)
                synapses.weights_out.connect(feedback.weights_in)
            else:
                weights = self.setup.feedback_weights(layer).astype(np.int32)
                feedback = Dense(weights=weights, num_message_bits=8, name=name)
            readout.error_out.connect(feedback.s_in)
            feedback.a_out.connect(neurons.third_factor_in)
