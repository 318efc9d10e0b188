"""The fast simulator: the network of integers, compiled, event-driven, on all cores; bit-equal to the reference.

    run = simulate(net, x)                     # a batch of whole samples
    chip = Simulator(net); chip.step(x_t)      # a stream, one step at a time, with the state carried on

Time is cut into chunks and each layer runs a chunk for the whole batch before the next layer does, so that memory does
not grow with T (unless spikes and states are recorded) and a layer's weights stay in the cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.fixed.kernel import DELAYED, IMMEDIATE, STOCK, Memory, Program, advance
from tclif_neuro.fixed.run import InputError, LayerRun, Run, check_input
from tclif_neuro.network import DECAY_ONE, InputCoding, Layer, LIFNeuron, QuantizedNetwork, Synapses
from tclif_neuro.threads import in_parts

CHUNK = 64  # steps that a layer runs before the next one does
PARTS = 16  # into how many tasks a large batch is cut

Array = npt.NDArray[Any]


def _stored(synapses: Synapses) -> tuple[Array, float]:
    """The weights as [M, N], and their scale 2^exponent. Even weights are halved, since they then fit in 8 bits."""
    weight, exponent = synapses.weight.T, synapses.exponent
    if not (weight & 1).any():
        weight, exponent = weight >> 1, exponent + 1
    return weight, 2.0**exponent


def _largest_sum(weight: Array, input_max: int) -> int:
    """The largest magnitude of any partial sum of rows of `weight` [M, N] times inputs up to `input_max`."""
    wide = weight.astype(np.int64)
    return int(max(np.maximum(wide, 0).sum(axis=0).max(), np.maximum(-wide, 0).sum(axis=0).max())) * input_max


def _narrow(weight: Array, input_max: int) -> bool:
    """Whether 8 bits hold the weights and 16 bits every sum of them (else 16 and 32 bits)."""
    return weight.size == 0 or (
        weight.min() >= -128 and weight.max() <= 127 and _largest_sum(weight, input_max) < 2**15
    )


def _filled(values: Array, shape: tuple[int, ...]) -> Array:
    """`values` repeated to `shape`: a writable C-ordered copy, so that one compiled kernel serves all."""
    return np.array(np.broadcast_to(values, shape), order="C")


def _program(layer: Layer, coding: InputCoding | None) -> Program:
    """The constants of `layer`; `coding` is the network's input coding if this is its first layer."""
    neuron, n = layer.neuron, layer.size
    weight, scale = _stored(layer.synapses)
    recurrent, recurrent_scale = (weight[:0], 1.0) if layer.recurrent is None else _stored(layer.recurrent)
    input_max = 1 if coding is None else max(abs(v) for v in coding.range)
    kind = np.int8 if _narrow(weight, input_max) and _narrow(recurrent, 1) else np.int16
    if isinstance(neuron, LIFNeuron):
        code, gamma = STOCK, 0
        a1, a2 = (np.array([[DECAY_ONE - k]]) for k in (neuron.i_decay, neuron.v_decay))
        b1 = b2 = np.zeros(1)
    else:
        code, gamma = (DELAYED if neuron.reset == "delayed" else IMMEDIATE), neuron.gamma
        a1, a2, b1, b2 = neuron.a1, neuron.a2, neuron.b1, neuron.b2
    return Program(
        kind=code,
        graded=coding is not None and coding.bits > 0,
        weight=np.array(weight, kind, order="C"),
        scale=scale,
        recurrent=np.array(recurrent, kind, order="C"),
        recurrent_scale=recurrent_scale,
        a1=_filled(a1 / DECAY_ONE, (len(a1), n)),
        a2=_filled(a2 / DECAY_ONE, (len(a2), n)),
        b1=_filled(b1 / DECAY_ONE, (n,)),
        b2=_filled(b2 / DECAY_ONE, (n,)),
        bias=layer.bias.astype(np.float64),
        gamma=float(gamma),
        vth=float(neuron.vth),
    )


def _memory(program: Program, batch: int) -> Memory:
    """A batch at rest."""
    n = program.weight.shape[1]
    kind = np.int16 if program.weight.dtype == np.int8 else np.int32
    return Memory(
        first=np.zeros((batch, n)),
        second=np.zeros((batch, n)),
        fired=np.zeros((batch, n)),
        last=np.zeros((batch, n), np.int32),
        n_last=np.zeros(batch, np.int64),
        counts=np.zeros((batch, n), np.int64),
        saturations=np.zeros(batch, np.int64),
        sum=np.zeros((batch, n), kind),
        recurrent_sum=np.zeros((batch, n), kind),
        act=np.zeros((batch, n)),
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
        self._programs = [_program(layer, None if i else net.input) for i, layer in enumerate(net.layers)]
        self.reset()

    def reset(self) -> None:
        """Back to rest, at step 0 of a sample."""
        self._memories = [_memory(p, self.batch) for p in self._programs]
        self._step = 0

    def step(self, x: npt.ArrayLike) -> Array:
        """One step of a stream: float input [B, M] -> the last layer's spikes, or a readout's potential, [B, N]."""
        self.run(np.asarray(x)[None])
        last = self._memories[-1]
        return last.second.astype(np.int32) if self.net.layers[-1].readout else last.fired.astype(np.uint8)

    def run(self, x: npt.ArrayLike, *, record: bool = False) -> Run:
        """Continue with the float input `x` [T, B, M]; `record` keeps spikes and states of every step.

        Counts and saturations are those since the last reset. Raises `InputError` if `x` does not fit.
        """
        x = check_input(self.net, x)
        if x.shape[1] != self.batch:
            raise InputError(f"input: {x.shape[1]} samples, the simulator was made for {self.batch}")
        encoded = self.net.input.encode(x)
        records = [_records(len(x), self.batch, layer.size, record) for layer in self.net.layers]
        for start in range(0, len(x), CHUNK):
            self._chunk(encoded[start : start + CHUNK], start, records)
        runs = (self._layer_run(m, r, record) for m, r in zip(self._memories, records, strict=True))
        return Run(input=encoded, layers=tuple(runs), readout=self.net.layers[-1].readout)

    def _chunk(self, encoded: npt.NDArray[np.int16], start: int, records: list[tuple[Array, Array]]) -> None:
        values = np.ascontiguousarray(encoded.transpose(1, 0, 2))
        events, n_events = _events(values)
        for program, memory, (spikes, states) in zip(self._programs, self._memories, records, strict=True):
            out = np.empty((self.batch, len(encoded), memory.first.shape[1]), np.int32)
            n_out = np.empty(out.shape[:2], np.int64)
            streams = (values, events, n_events, out, n_out)
            in_parts(advance, self._parts, self._parts, program, memory, self._step, *streams, start, spikes, states)
            events, n_events = out, n_out
        self._step += len(encoded)

    @staticmethod
    def _layer_run(memory: Memory, records: tuple[Array, Array], record: bool) -> LayerRun:
        return LayerRun(
            spikes=records[0] if record else None,
            states=records[1] if record else None,
            final=np.stack([memory.first, memory.second]).astype(np.int32),
            counts=memory.counts.copy(),
            saturations=int(memory.saturations.sum()),
        )


def _records(steps: int, batch: int, size: int, record: bool) -> tuple[Array, Array]:
    """Room for a layer's spikes [T, B, N] and states [2, T, B, N]; of length 0 if they are not recorded."""
    steps = steps if record else 0
    return np.zeros((steps, batch, size), np.uint8), np.zeros((2, steps, batch, size), np.int32)


def _events(values: npt.NDArray[np.int16]) -> tuple[Array, Array]:
    """The indices of the non-zero inputs of [B, C, M], first in each row, and how many there are."""
    active = values != 0
    return np.argsort(~active, axis=2, kind="stable").astype(np.int32), active.sum(axis=2)


def simulate(net: QuantizedNetwork, x: npt.ArrayLike, *, record: bool = False) -> Run:
    """Run `net` on the float input `x` [T, B, M] from rest, compiled and on all cores.

    record: keep every step's spikes and states (memory then grows with T). Raises `InputError` if `x` does not fit.
    """
    x = check_input(net, x)
    return Simulator(net, x.shape[1]).run(x, record=record)
