"""The fast simulator: the network of integers, compiled, event-driven, on all cores; bit-equal to the reference.

    run = simulate(net, x)                     # a batch of whole samples
    chip = Simulator(net); chip.step(x_t)      # a stream, one step at a time, with the state carried on

Time is cut into chunks, and each layer of a sample runs a chunk before the next layer does: memory does not grow with T
(unless spikes and states are recorded), and a layer's weights stay in the cache. docs/simulator.md says more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.kernel import CHUNK, State, Workspace, advance
from tclif_neuro.fixed.program import Program, compile_network
from tclif_neuro.fixed.run import InputError, LayerRun, Run, check_input
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.threads import in_parts

PARTS = 16  # into how many tasks a large batch is cut
SEGMENT = 2**17  # input values that are encoded, and run, at a time

Array = npt.NDArray[Any]


def _state(program: Program, batch: int) -> State:
    """A batch at rest."""
    real, n = program.bias.dtype, program.bias.size
    return State(
        first=np.zeros((batch, n), real),
        second=np.zeros((batch, n), real),
        fired=np.zeros((batch, n), real),
        counts=np.zeros((batch, n), np.int64),
        saturations=np.zeros((batch, len(program.layers)), np.int64),
    )


def _workspace(program: Program, parts: int) -> Workspace:
    width = int(program.layers["width"].max())
    widest = max(width, int(program.layers["inputs"].max()))
    return Workspace(
        events=np.zeros((parts, 2, CHUNK * widest), np.int32),
        limits=np.zeros((parts, 2, CHUNK + 1), np.int64),
        last=np.zeros((parts, width), np.int32),
        last_limits=np.zeros((parts, 2), np.int64),
        act=np.zeros((parts, CHUNK * width), program.bias.dtype),
        sum16=np.zeros((parts, width), np.int16),
        sum32=np.zeros((parts, width), np.int32),
    )


class Simulator:
    """A network ready to run: its constants compiled once, its state carried from call to call.

    net: the network. batch: how many samples run side by side, on all cores; a batch of one runs on one.
    """

    def __init__(self, net: QuantizedNetwork, batch: int = 1) -> None:
        if batch < 1:
            raise InputError(f"batch: {batch}; at least 1 is needed")
        self.net = net
        self.batch = batch
        self._parts = min(batch, PARTS)
        self._program = compile_network(net)
        self._workspace = _workspace(self._program, self._parts)
        self.reset()

    def reset(self) -> None:
        """Back to rest, at step 0 of a sample."""
        self._state = _state(self._program, self.batch)
        self._step = 0

    def step(self, x: npt.ArrayLike) -> Array:
        """One step of a stream: float input [B, M] -> the last layer's spikes, or a readout's potential, [B, N]."""
        self._run(check_input(self.net, np.asarray(x)[None]), record=False)
        readout, last = self.net.layers[-1].readout, self._neurons(len(self.net.layers) - 1)
        return self._state.second[:, last].astype(np.int32) if readout else self._state.fired[:, last].astype(np.uint8)

    def run(self, x: npt.ArrayLike, *, record: bool = False) -> Run:
        """Continue with the float input `x` [T, B, M]; `record` keeps spikes and states of every step.

        Counts and saturations are those since the last reset. Raises `InputError` if `x` does not fit.
        """
        encoded, spikes, states = self._run(check_input(self.net, x), record=record)
        ends = np.cumsum([layer.size for layer in self.net.layers])
        columns = [slice(end - layer.size, end) for end, layer in zip(ends, self.net.layers, strict=True)]
        runs = tuple(
            self._layer_run(i, spikes[..., c] if record else None, states[..., c] if record else None)
            for i, c in enumerate(columns)
        )
        return Run(input=encoded, layers=runs, readout=self.net.layers[-1].readout)

    def _run(self, x: Array, *, record: bool) -> tuple[Array, Array, Array]:
        """The encoded input, and the recorded spikes and states of all layers side by side."""
        if x.shape[1] != self.batch:
            raise InputError(f"input: {x.shape[1]} samples, the simulator was made for {self.batch}")
        shape = (len(x) if record else 0, self.batch, sum(layer.size for layer in self.net.layers))
        spikes, states = np.zeros(shape, np.uint8), np.zeros((2, *shape), np.int32)
        encoded = np.empty(x.shape, np.int16)
        length = max(1, SEGMENT // x[0].size // CHUNK) * CHUNK
        for t in range(0, len(x), length):
            now = slice(t, t + length)
            encoded[now] = self.net.input.encode(x[now])
            streams = self._step, encoded[now], t, spikes, states
            in_parts(advance, self._parts, self._parts, self._program, self._state, self._workspace, *streams)
            self._step += len(encoded[now])
        return encoded, spikes, states

    def _neurons(self, i: int) -> slice:
        """Where the neurons of layer `i` are in the state."""
        layer = self._program.layers[i]
        return slice(layer["first"], layer["first"] + layer["size"])

    def _layer_run(self, i: int, spikes: Array | None, states: Array | None) -> LayerRun:
        state, here = self._state, self._neurons(i)
        return LayerRun(
            spikes=spikes,
            states=states,
            final=np.stack([state.first[:, here], state.second[:, here]]).astype(np.int32),
            counts=state.counts[:, here].copy(),
            saturations=int(state.saturations[:, i].sum()),
        )


def simulate(net: QuantizedNetwork, x: npt.ArrayLike, *, record: bool = False) -> Run:
    """Run `net` on the float input `x` [T, B, M] from rest, compiled and on all cores.

    record: keep every step's spikes and states (memory then grows with T). Raises `InputError` if `x` does not fit.
    """
    x = check_input(net, x)
    return Simulator(net, x.shape[1]).run(x, record=record)
