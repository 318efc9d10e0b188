"""The fast simulator: the network of integers, compiled, event-driven, on all cores; bit-equal to the reference.

    run = simulate(net, x)                     # a batch of whole samples
    chip = Simulator(net); chip.step(x_t)      # a stream, one step at a time, with the state carried on

Time is cut into chunks, and each layer of a sample runs a chunk before the next layer does: memory does not grow with T
(unless spikes and states are recorded), and a layer's weights stay in the cache. docs/simulator.md says more.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.concerns import Sayer, warn
from tclif_neuro.fixed.kernel import BURST, CHUNK, advance
from tclif_neuro.fixed.program import Program, aligned, compile_network
from tclif_neuro.fixed.run import (
    Encoded,
    InputError,
    LayerRun,
    Run,
    Sequences,
    check_input,
    check_lengths,
    encode_steps,
    hold,
    numbers,
)
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.threads import in_parts

PARTS = 16  # into how many tasks a large batch is cut

Array = npt.NDArray[Any]


class State(NamedTuple):
    """The neurons of a batch, and what was counted since the last reset.

    first, second, fired: [B, W], dendrite and soma (or current and potential) and the last spikes. counts: [B, W],
    spikes. saturations: [B, L].
    """

    first: Array
    second: Array
    fired: Array
    counts: Array
    saturations: Array


class Workspace(NamedTuple):
    """Room for the chunk at hand, for each of P parts of the batch.

    events: [P, 2, (CHUNK + 1) x widest + BURST], what fired: a layer's input and the layer, by turns; first in the step
    before the chunk. The events of step c of the chunk are those from limits[c + 1] to limits[c + 2].
    limits: [P, 2, CHUNK + 2]. act: [P, 2, widest], synaptic input of one step: so little stays in the nearest cache.
    sum16, sum32: [P, widest].
    """

    events: Array
    limits: Array
    act: Array
    sum16: Array
    sum32: Array


def _state(program: Program, batch: int) -> State:
    """A batch at rest."""
    real, n = program.bias.dtype, program.bias.size
    state = State(
        first=np.zeros((batch, n), real),
        second=np.zeros((batch, n), real),
        fired=np.zeros((batch, n), real),
        counts=np.zeros((batch, n), np.int64),
        saturations=np.zeros((batch, len(program.layers)), np.int64),
    )
    return State(*map(aligned, state))


def _workspace(program: Program, parts: int) -> Workspace:
    width = int(program.layers["width"].max())
    widest = max(width, int(program.layers["inputs"].max()))
    workspace = Workspace(
        events=np.zeros((parts, 2, (CHUNK + 1) * widest + BURST), np.uint32),
        limits=np.zeros((parts, 2, CHUNK + 2), np.int64),
        act=np.zeros((parts, 2, width), program.bias.dtype),
        sum16=np.zeros((parts, width), np.int16),
        sum32=np.zeros((parts, width), np.int32),
    )
    return Workspace(*map(aligned, workspace))


class Simulator:
    """A network ready to run: its constants compiled once, its state carried from call to call.

    net: the network. batch: how many samples run side by side, on all cores; a batch of one runs on one.

    A network that was made for samples of T steps takes no more than T from one `reset` to the next. For a stream
    without an end use `dataclasses.replace(net, steps=0)`. What `fixed.concerns` names is said once per reset.

    >>> chip = Simulator(net)
    >>> for frame in stream:  # [inputs]
    ...     potential = chip.step(frame[None])  # [1, outputs]
    """

    def __init__(self, net: QuantizedNetwork, batch: int = 1) -> None:
        if not isinstance(batch, int | np.integer) or isinstance(batch, bool) or batch < 1:
            raise InputError(f"batch: {batch!r}; at least 1 is needed, a whole number")
        batch = int(batch)
        self.net = net
        self._batch = batch
        self._parts = min(batch, PARTS)
        self._program = compile_network(net)
        self._workspace = _workspace(self._program, self._parts)
        layers = self._program.layers
        self._neurons = [
            slice(first, first + size) for first, size in zip(layers["first"], layers["size"], strict=True)
        ]
        self._columns = [
            slice(begin, begin + size) for begin, size in zip(layers["column"], layers["size"], strict=True)
        ]
        self._nothing = self._room(0)
        self._ends = np.zeros(batch, np.int64)
        self.reset()

    @property
    def batch(self) -> int:
        """The number of samples that run side by side; the simulator's state has room for these and no others."""
        return self._batch

    def reset(self) -> None:
        """Back to rest, at step 0 of a sample."""
        self._state = _state(self._program, self.batch)
        self._step = 0
        self._sayer = Sayer(self.net)

    def step(self, x: npt.ArrayLike) -> Array:
        """One step of a stream: float input [B, M] -> the last layer's spikes, or a readout's potential, [B, N]."""
        row = numbers(x)
        if row.ndim != 2:
            raise InputError(f"input: one step, [batch, {self.net.inputs}], expected, got shape {list(row.shape)}")
        encoded, _ = self._run(row[None], record=False)
        saturated = self._state.saturations
        saturations = saturated.sum(axis=0).tolist() if np.count_nonzero(saturated) else ()
        self._sayer.hear(encoded.outside, saturations, self._step * self._batch)
        readout, last = self.net.layers[-1].readout, self._neurons[-1]
        return self._state.second[:, last].astype(np.int32) if readout else self._state.fired[:, last].astype(np.uint8)

    def run(self, x: npt.ArrayLike, *, record: bool = False) -> Run:
        """Continue with the float input `x` [T, B, M]; `record` keeps spikes and states of every step.

        Counts and saturations are those since the last reset. Raises `InputError` if `x` does not fit.
        """
        run = self._continue(x, record=record)
        self._sayer.hear(run.outside, [layer.saturations for layer in run.layers], self._step * self._batch)
        return run

    def _continue(self, x: npt.ArrayLike, lengths: Array | None = None, *, record: bool) -> Run:
        """`run`, without a word; of each sample the first steps alone, where `lengths` says how many."""
        encoded, (spikes, states) = self._run(x, lengths, record=record)
        final = np.array([self._state.first, self._state.second]).astype(np.int32)
        counts, saturations = self._state.counts.copy(), self._state.saturations.sum(axis=0).tolist()
        runs = tuple(
            LayerRun(
                recorded=Sequences(spikes[..., columns], states[..., columns]) if record else None,
                final=final[..., neurons],
                counts=counts[:, neurons],
                saturations=saturated,
            )
            for neurons, columns, saturated in zip(self._neurons, self._columns, saturations, strict=True)
        )
        return Run.of(self.net, encoded, runs)

    def _run(self, given: npt.ArrayLike, lengths: Array | None = None, *, record: bool) -> tuple[Encoded, Sequences]:
        """The encoded input, and the recorded spikes and states of all layers side by side."""
        x, limit = check_input(self.net, given, stream=True), self.net.steps
        if limit and self._step + len(x) > limit and lengths is None:
            raise InputError(
                f"input: step {self._step + len(x)} of a sample, the network was made for {limit}; reset() begins the "
                "next sample, and dataclasses.replace(net, steps=0) is a network for streams without an end"
            )
        if x.shape[1] != self._batch:
            raise InputError(f"input: {x.shape[1]} samples, the simulator was made for {self._batch}")
        recorded = self._room(len(x)) if record else self._nothing
        encoded = encode_steps(self.net.input, x, lengths)
        self._ends[:] = len(x) if lengths is None else lengths
        streams = self._step, encoded.values, self._ends, 0, *recorded
        in_parts(advance, self._parts, self._parts, self._program, self._state, self._workspace, *streams)
        if record:
            hold(recorded.states, lengths)
        self._step += len(x)
        return encoded, recorded

    def _room(self, steps: int) -> Sequences:
        """For the spikes and states of so many steps."""
        shape = (steps, self._batch, self._columns[-1].stop)
        return Sequences(np.zeros(shape, np.uint8), np.zeros((2, *shape), np.int32))


def simulate(
    net: QuantizedNetwork, x: npt.ArrayLike, *, lengths: npt.ArrayLike | None = None, record: bool = False
) -> Run:
    """Run `net` on the float input `x` [T, B, M] from rest, compiled and on all cores.

    lengths: [B], the steps of each sample that are its own; the others are neither read nor run (None: all are).
    record: keep every step's spikes and states (memory then grows with T). Raises `InputError` if `x` does not fit;
    warns of what `fixed.concerns` names.
    """
    x = check_input(net, x, stream=lengths is not None)
    own = None if lengths is None else check_lengths(net, lengths, x)
    return warn(net, Simulator(net, x.shape[1])._continue(x, own, record=record))
