"""From a learning setup to Lava processes, for one run over samples.

A sample takes T + idle steps of the run. Step t of a sample reaches layer l (from 0) in step t + l + 2 of its interval
(from 1) and the layer's synapses one step earlier; the error of that step leaves the readout R at t + R + 2 and reaches
layer l through the feedback at t + R + 3, which is the layer's own step t + D. The last of it is used in the
interval's last step, so that the next sample meets the weights that this one taught.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.proc.dense.process import Dense

from tclif_neuro.lava.learning.builder import Builder
from tclif_neuro.lava.learning.exact_processes import ErrorReadout, LearningTCLIF, MirrorDense, PlasticDense
from tclif_neuro.lava.learning.record import ConnectionRecord, connection_path
from tclif_neuro.lava.processes import Block, SampleDense, Source
from tclif_neuro.lava.processes.synapses import dense_of
from tclif_neuro.lava.recording import RecordingRequest, recording_path
from tclif_neuro.onchip.rule.matrices import Matrix, synapses_of


class ExactBuilder(Builder):
    """The network that learns by the exact rule."""

    def build(self, encoded: npt.NDArray[Any], targets: npt.NDArray[Any]) -> Source:
        """The processes, connected, for the encoded input [T, S, M] and the targets [S, T, K]; returns the source."""
        source = self.source(self.in_a_row(encoded.transpose(1, 0, 2)))
        upstream, learners = source.s_out, {}
        for layer, rule in enumerate(self.setup.plasticity):
            if rule is None and not self.setup.net.layers[layer].readout:
                block = self._block(layer)
                upstream.connect(block.inp)
                upstream = block.out
            else:
                neurons = self._neurons(layer)
                learners[layer] = neurons, self._connect(layer, upstream, neurons)
                upstream = neurons.s_out
        readout = learners.pop(len(self.setup.plasticity) - 1)
        self._teach(targets, *readout, {i: found[0] for i, found in learners.items()})
        return source

    def _clock(self, layer: int) -> dict[str, int]:
        return {"reset_interval": self.interval, "reset_offset": (layer + 2) % self.interval}

    def _recording(self, layer: int) -> RecordingRequest:
        return RecordingRequest(
            path=recording_path(self.folder, layer),
            first_step=layer + 2,
            steps=self.interval,
            samples=self.samples,
            sequences=self.record or self.setup.net.layers[layer].readout,
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
        forward = self._synapses(Matrix(layer))
        upstream.connect(forward.s_in)
        made = [forward]
        if described.recurrent is not None:
            made.append(self._synapses(Matrix(layer, True)))
            neurons.s_out.connect(made[1].s_in)
        for synapses in made:
            synapses.a_out.connect(neurons.a_in)
            if isinstance(synapses, PlasticDense):
                neurons.y1_out.connect(synapses.y1_in)
                neurons.y2_out.connect(synapses.y2_in)
        return forward

    def _synapses(self, matrix: Matrix) -> Any:
        """Synapses that learn if the rule says so."""
        name, synapses = f"synapses {matrix.name}", synapses_of(self.setup.net, matrix)
        if self.setup.rule(matrix):
            record = ConnectionRecord(
                path=connection_path(self.folder, matrix),
                steps=self.steps,
                samples=self.samples,
                sequences=self.record,
            )
            return PlasticDense(
                setup=self.setup, matrix=matrix, steps=self.steps, interval=self.interval, record=record, name=name
            )
        plain = dense_of(synapses)
        if matrix.recurrent:
            return SampleDense(num_message_bits=0, name=name, **plain, **self._clock(matrix.layer))
        return Dense(num_message_bits=0 if matrix.layer else self.setup.net.input.bits, name=name, **plain)

    def _teach(self, targets: npt.NDArray[Any], readout: ErrorReadout, synapses: Any, hidden: dict[int, Any]) -> None:
        """Tell the readout its targets, and route its error to the hidden layers that learn."""
        late = len(self.setup.plasticity)  # the layers that a sample goes through before the readout meets its target
        self.teach(np.pad(self.in_a_row(targets), ((late, 0), (0, 0))), readout)
        for layer, neurons in hidden.items():
            if self.setup.feedback == "symmetric" and isinstance(synapses, PlasticDense):
                self._mirror(readout, synapses, layer, neurons)
            else:
                self.feed_back(readout, layer, neurons)

    def _mirror(self, readout: ErrorReadout, synapses: PlasticDense, layer: int, neurons: Any) -> None:
        """Route the readout's error back through the weights by which it was reached."""
        sizes = {"outputs": self.setup.net.outputs, "size": self.setup.net.layers[layer].size}
        feedback = MirrorDense(interval=self.interval, name=f"feedback {layer}", **sizes)
        synapses.weights_out.connect(feedback.weights_in)
        readout.error_out.connect(feedback.s_in)
        feedback.a_out.connect(neurons.third_factor_in)
