"""Lava processes of the `native` and `prefiltered` networks: every synapse that learns is Lava's LearningDense.

A step of the network is one epoch of the engine, four steps of the chip (`onchip.engine.program`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.learning.learning_rule import Loihi3FLearningRule
from lava.magma.core.learning.random import ConnVarRandom, TraceRandom
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.dense.models import PyLearningDenseModelBitApproximate
from lava.proc.dense.process import LearningDense

from tclif_neuro.fixed.reference import coefficients
from tclif_neuro.lava.recording import write_arrays
from tclif_neuro.onchip.engine.arithmetic import generators
from tclif_neuro.onchip.engine.program import HIDDEN, PHASES, READOUT, SEND, TEACH, hidden_step, payload, readout_step
from tclif_neuro.onchip.rule import equations as rule
from tclif_neuro.onchip.rule.connection import Coefficients
from tclif_neuro.onchip.rule.posting import Posting, post_error
from tclif_neuro.onchip.rule.setup import LearningSetup

Array = npt.NDArray[Any]


class Clock:
    """The chip's steps as those of the network: `interval` steps of the network a sample."""

    def __init__(self, interval: int) -> None:
        self.interval = interval

    def at(self, time_step: int) -> tuple[int, int, int]:
        """The phase, the step within the sample, and the sample, at the chip's step `time_step` (from 1)."""
        step, phase = divmod(time_step - 1, PHASES)
        sample, now = divmod(step, self.interval)
        return phase, now, sample


@dataclass(frozen=True, kw_only=True)
class EngineRecord:
    """A request to record a layer: what to keep, and where to write it.

    The arrays are as in `LayerTrace`, but the sample first, [S, T, N].

    interval: the steps of the network that a sample of `steps` steps takes. every_step: keep spikes and what is posted
    too, not just the states.
    """

    path: Path
    steps: int
    samples: int
    interval: int
    every_step: bool

    def arrays(self, size: int) -> dict[str, Array]:
        """Room for all of it."""
        steps, samples = self.steps, self.samples
        kept = samples if self.every_step else 0
        return {
            "states": np.zeros((2, samples, steps, size), np.int32),
            "spikes": np.zeros((kept, steps, size), np.uint8),
            "posted": np.zeros((2, kept, steps, size), np.int16),
        }


class SeededDense(LearningDense):
    """Lava's `LearningDense` with random numbers and first traces of its own, which writes what it has learnt.

    randoms: the arguments of `onchip.engine.arithmetic.generators`. traces: x1 and x2 at the start, [2, M]. written:
    `path`, the file for `weight`, after each sample [S, N, M], or with `record` False after the last one [1, N, M], and
    for `trace`, x1 and x2 in the end [2, M]; `every`: the chip's steps of a sample; `samples`.
    """

    def __init__(self, *, randoms: dict[str, int], traces: Array, written: dict[str, Any], **dense: Any) -> None:
        super().__init__(**dense)
        self.proc_params["randoms"], self.proc_params["written"] = randoms, written
        self.x1, self.x2 = (Var(shape=trace.shape, init=trace) for trace in traces)


class PySeededDense(PyLearningDenseModelBitApproximate):
    """Lava's model; the arithmetic is all its own."""

    implements_process = SeededDense

    def __init__(self, proc_params: Any) -> None:
        self.randoms = proc_params["randoms"]
        super().__init__(proc_params)
        self.weights_set = True  # or Lava would round what was learnt to even mantissas, where learning goes on
        self.history: list[Array] = []

    def _init_randoms(self) -> None:
        """Lava's own are seeded alike in all connections, those that round the weights in all runs too."""
        weight, x, x_impulse, y, y_impulse = generators(**self.randoms)
        self._x_random = TraceRandom(seed_trace_decay=x, seed_impulse_addition=x_impulse)
        self._y_random = TraceRandom(seed_trace_decay=y, seed_impulse_addition=y_impulse)
        self._conn_var_random = ConnVarRandom(seed_stochastic_rounding=weight)

    def run_spk(self) -> None:
        """Do as Lava's model does; when a sample is learnt, keep the weights, and when all are, write them."""
        written = self.proc_params["written"]
        sample, rest = divmod(self.time_step, written["every"])
        last = sample == written["samples"]
        if rest == 0 and (last or written["record"]):
            self.history.append(self.weights.astype(np.int64))
        super().run_spk()

    def run_lrn(self) -> None:
        """Do as Lava's model does; after the last epoch, write what was learnt."""
        super().run_lrn()
        written = self.proc_params["written"]
        if self.time_step == written["every"] * written["samples"]:
            traces = np.stack([self.x1, self.x2]).astype(np.int64)
            write_arrays(written["path"], {"weight": np.stack(self.history), "trace": traces})


class Filter(AbstractProcess):
    """Neurons that send the eligibility of their input as graded spikes of 8 bits, once a step of the network.

    Ports: `x_in` [M], read in phase `takes`. `s_out` [halves M], sent in phase `sends`: `e / 2^shift` clipped to 254,
    and with two halves, after the positive parts, the negative parts: a payload has no sign. Recurrent synapses take in
    phase `HIDDEN` and send in phase `SEND` of the next step, the readout's do both in `HIDDEN`.
    """

    def __init__(self, *, shape: tuple[int, ...], halves: int, shift: int, **params: Any) -> None:
        super().__init__(shape=shape, halves=halves, shift=shift, **params)
        self.x_in, self.s_out = InPort(shape=shape), OutPort(shape=(halves * shape[0],))


@implements(proc=Filter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFilter(PyLoihiProcessModel):
    """The arithmetic of the neuron's own two compartments."""

    x_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=9)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64, precision=8)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.clock, self.coefficients = Clock(proc_params["interval"]), proc_params["coefficients"]
        self.takes, self.sends = proc_params["takes"], proc_params["sends"]
        self.halves, self.shift = proc_params["halves"], proc_params["shift"]
        self.x, self.d, self.e = np.zeros((3, *proc_params["shape"]), np.int64)

    def run_spk(self) -> None:
        """Take the input in its phase; advance and send in another."""
        x = self.x_in.recv()
        phase, now, _ = self.clock.at(self.time_step)
        if phase == SEND and now == 0:
            self.x, self.d, self.e = (np.zeros_like(v) for v in (self.x, self.d, self.e))
        if phase == self.takes:
            self.x = x
        sent = np.zeros(self.halves * len(self.x), np.int64)
        if phase == self.sends:
            self.d, self.e = rule.eligibility(self.d, self.e, self.x, *self.coefficients.at(now))
            value = payload(self.e, self.shift)
            sent = np.concatenate([np.maximum(0, value), np.maximum(0, -value)][: self.halves])
        self.s_out.send(sent)


class EngineNeurons(AbstractProcess):
    """The hidden neurons beside Lava's learning synapses; they advance in phase `HIDDEN` of each step of the network.

    Ports: `a_in`, `third_factor_in` [N]; `s_out` [N], the spikes, in phase `HIDDEN`; `late_out` [N], the same in phase
    `SEND` of the next step, for recurrent synapses; `s_out_bap`, `s_out_y1`, `s_out_y2`, `s_out_y3` [N], as Lava's
    learning neurons have them. It writes `record`.
    """

    def __init__(self, *, setup: LearningSetup, layer: int, record: EngineRecord, name: str) -> None:
        shape = (setup.net.layers[layer].size,)
        super().__init__(setup=setup, layer=layer, record=record, name=name)
        self.a_in, self.third_factor_in = InPort(shape=shape), InPort(shape=shape)
        for port in ("s_out", "late_out", "s_out_bap", "s_out_y1", "s_out_y2", "s_out_y3"):
            setattr(self, port, OutPort(shape=shape))


class _Posts(PyLoihiProcessModel):
    """The common part of both populations: the ports to Lava's learning synapses, and the record."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=24)
    s_out_bap: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, bool, precision=1)
    s_out_y1: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=7)
    s_out_y2: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=7)
    s_out_y3: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=7)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.setup: LearningSetup = proc_params["setup"]
        self.record: EngineRecord = proc_params["record"]
        self.clock, self.steps = Clock(self.record.interval), self.record.steps
        self.layer = self.setup.net.layers[proc_params["layer"]]
        self.bias, self.arrays = self.layer.bias.astype(np.int64), self.record.arrays(self.layer.size)

    def keep(self, dendrite: Array, soma: Array, spikes: Array) -> None:
        """Keep what the neurons did in this step of the network."""
        _, now, sample = self.clock.at(self.time_step)
        self.arrays["states"][:, sample, now] = dendrite, soma
        if self.record.every_step:
            self.arrays["spikes"][sample, now] = spikes

    def post(self, y1: Array, y2: Array) -> None:
        """Send y1 and y2, and that nothing else happened; keep them, and after the last ones write the record."""
        phase, now, sample = self.clock.at(self.time_step)
        if phase == TEACH and now < self.steps:
            if self.record.every_step:
                self.arrays["posted"][:, sample, now] = y1, y2
            if (sample, now) == (self.record.samples - 1, self.steps - 1):
                write_arrays(self.record.path, self.arrays)
        nothing = np.zeros_like(y1)
        self.s_out_bap.send(nothing.astype(bool))
        for port, value in ((self.s_out_y1, y1), (self.s_out_y2, y2), (self.s_out_y3, nothing)):
            port.send(value)


@implements(proc=EngineNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyEngineNeurons(_Posts):
    """`native`: the integer neuron. `prefiltered`: its response to spikes came filtered; only the reset is its own."""

    third_factor_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)
    late_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.posting = Posting(self.setup, proc_params["layer"])
        self.posting.depth, self.posting.psi = 1, self.posting.psi[:1]  # the signal comes within the step
        self.act, self.dendrite, self.soma, self.potential, self.fired = np.zeros((5, self.layer.size), np.int64)

    def run_spk(self) -> None:
        """One step of the chip."""
        phase, now, _ = self.clock.at(self.time_step)
        nothing = np.zeros_like(self.fired)
        if phase == SEND and now == 0:
            self.act, self.dendrite, self.soma, self.fired = (nothing.copy() for _ in range(4))
        self.late_out.send(self.fired if phase == SEND else nothing)
        self.act = self.act + self.a_in.recv()
        signal = self.third_factor_in.recv()
        if phase == HIDDEN:
            self._advance(now)
            if now < self.steps:
                self.keep(self.dendrite, self.potential, self.fired)
        self.s_out.send(self.fired if phase == HIDDEN else nothing)
        self.post(*(self.posting.post(signal, 0) if phase == TEACH else (nothing, nothing)))

    def _advance(self, now: int) -> None:
        values = coefficients(self.posting.neuron, now)
        states = self.dendrite, self.soma, self.fired
        found = hidden_step(states, self.act, self.bias, values, self.setup.variant == "prefiltered")
        self.dendrite, self.soma, self.potential, self.fired = found
        self.posting.remember(self.potential, 0)
        self.act = np.zeros_like(self.act)


class EngineReadout(AbstractProcess):
    """The readout beside Lava's learning synapses: it advances in phase `READOUT`, compares and sends its error.

    Ports: `a_in`, `target_in` [K]; `error_out` [K], in phase `READOUT`; and those of Lava's learning neurons. It writes
    `record`.
    """

    def __init__(self, *, setup: LearningSetup, record: EngineRecord, name: str) -> None:
        super().__init__(setup=setup, layer=len(setup.net.layers) - 1, record=record, name=name)
        shape = (setup.net.outputs,)
        self.a_in, self.target_in = InPort(shape=shape), InPort(shape=shape)
        for port in ("error_out", "s_out_bap", "s_out_y1", "s_out_y2", "s_out_y3"):
            setattr(self, port, OutPort(shape=shape))


@implements(proc=EngineReadout, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyEngineReadout(_Posts):
    """`native`: an integrator. `prefiltered`: what comes is integrated already."""

    target_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=24)
    error_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64, precision=8)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.potential, self.error = np.zeros((2, self.layer.size), np.int64)

    def run_spk(self) -> None:
        """One step of the chip."""
        act, target = self.a_in.recv(), self.target_in.recv()
        phase, now, _ = self.clock.at(self.time_step)
        nothing = np.zeros_like(self.error)
        if phase == SEND:
            self.error = nothing
            self.potential = nothing if now == 0 else self.potential
        if phase == READOUT:
            self._advance(act)
            if now < self.steps:
                self.error = self.setup.error(self.potential, target)
                self.keep(nothing, self.potential, nothing)
        self.error_out.send(self.error if phase == READOUT else nothing)
        self.post(*post_error(self.error if phase == TEACH else nothing))

    def _advance(self, act: Array) -> None:
        decay = int(Coefficients.of(self.layer).a2[0])
        self.potential = readout_step(self.potential, act, self.bias, decay, self.setup.variant == "prefiltered")


def three_factor(products: str, **traces: Any) -> Loihi3FLearningRule:
    """Lava's rule with one epoch per step of the network."""
    return Loihi3FLearningRule(dw=products, t_epoch=PHASES, **traces)
