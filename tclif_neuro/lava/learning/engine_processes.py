"""Lava processes of the `native` and `prefiltered` networks: every synapse that learns is a stock LearningDense.

A step of the network is one epoch of the engine, four steps of the chip (`onchip.engine.program`).
"""

from __future__ import annotations

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
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.dense.models import PyLearningDenseModelBitApproximate
from lava.proc.dense.process import LearningDense

from tclif_neuro.fixed import step as neurons
from tclif_neuro.fixed.reference import coefficients
from tclif_neuro.network import ACT_SHIFT, TCLIFNeuron
from tclif_neuro.onchip.engine.arithmetic import generators
from tclif_neuro.onchip.engine.program import HIDDEN, PHASES, READOUT, SEND, TEACH, payload
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


class SeededDense(LearningDense):
    """A stock `LearningDense` with random numbers of its own, which writes the weights that it has learnt.

    randoms: the arguments of `onchip.engine.arithmetic.generators`. written: `path`, the file for the weights after
    each sample, [S, N, M], or with `record` False after the last one, [1, N, M]; `every`: the chip's steps of a
    sample; `samples`.
    """

    def __init__(self, *, randoms: dict[str, int], written: dict[str, Any], **dense: Any) -> None:
        super().__init__(**dense)
        self.proc_params["randoms"], self.proc_params["written"] = randoms, written


class PySeededDense(PyLearningDenseModelBitApproximate):
    """Lava's model; the arithmetic is all its own."""

    implements_process = SeededDense

    def __init__(self, proc_params: Any) -> None:
        self.randoms = proc_params["randoms"]
        super().__init__(proc_params)
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
        if rest == 0 and last:
            np.save(written["path"], np.stack(self.history))
        super().run_spk()


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


class StockNeurons(AbstractProcess):
    """The hidden neurons beside stock learning synapses; they advance in phase `HIDDEN` of each step of the network.

    Ports: `a_in`, `third_factor_in` [N]; `s_out` [N], the spikes, in phase `HIDDEN`; `late_out` [N], the same in phase
    `SEND` of the next step, for recurrent synapses; `s_out_bap`, `s_out_y1`, `s_out_y2`, `s_out_y3` [N], as Lava's
    learning neurons have them. It writes each sample's spikes, [S, T, N], to `path`.
    """

    def __init__(self, *, setup: LearningSetup, layer: int, **params: Any) -> None:
        shape = (setup.net.layers[layer].size,)
        super().__init__(setup=setup, layer=layer, **params)
        self.a_in, self.third_factor_in = InPort(shape=shape), InPort(shape=shape)
        for port in ("s_out", "late_out", "s_out_bap", "s_out_y1", "s_out_y2", "s_out_y3"):
            setattr(self, port, OutPort(shape=shape))


class _Posts(PyLoihiProcessModel):
    """What both populations share: the ports to stock learning synapses."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=24)
    s_out_bap: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, bool, precision=1)
    s_out_y1: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=7)
    s_out_y2: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=7)
    s_out_y3: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=7)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.setup: LearningSetup = proc_params["setup"]
        self.clock = Clock(proc_params["interval"])
        self.path, self.steps, samples = (proc_params[name] for name in ("path", "steps", "samples"))
        size = self.setup.net.layers[proc_params["layer"]].size
        self.kept = np.zeros((samples, self.steps, size), np.int64)

    def keep(self, value: Array, sample: int, now: int) -> None:
        """Keep what is of interest, [N], of step `now` of a sample; after the last one write it all to the file."""
        self.kept[sample, now] = value
        if sample == len(self.kept) - 1 and now == self.steps - 1:
            np.save(self.path, self.kept)

    def post(self, y1: Array, y2: Array) -> None:
        """Send y1 and y2, and that nothing else happened."""
        nothing = np.zeros_like(y1)
        self.s_out_bap.send(nothing.astype(bool))
        for port, value in ((self.s_out_y1, y1), (self.s_out_y2, y2), (self.s_out_y3, nothing)):
            port.send(value)


@implements(proc=StockNeurons, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyStockNeurons(_Posts):
    """`native`: the integer neuron. `prefiltered`: its response to spikes came filtered; only the reset is its own."""

    third_factor_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)
    late_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        layer = proc_params["layer"]
        self.layer, self.posting = self.setup.net.layers[layer], Posting(self.setup, layer)
        self.posting.depth, self.posting.psi = 1, self.posting.psi[:1]  # the signal comes within the step
        self.act, self.dendrite, self.soma, self.fired, self.signal = np.zeros((5, self.layer.size), np.int64)

    def run_spk(self) -> None:
        """One step of the chip."""
        phase, now, sample = self.clock.at(self.time_step)
        nothing = np.zeros_like(self.fired)
        if phase == SEND and now == 0:
            self.act, self.dendrite, self.soma, self.fired = (nothing.copy() for _ in range(4))
        self.late_out.send(self.fired if phase == SEND else nothing)
        self.act = self.act + self.a_in.recv()
        signal = self.third_factor_in.recv()
        if phase == HIDDEN:
            self._advance(now)
            if now < self.steps:
                self.keep(self.fired, sample, now)
        self.s_out.send(self.fired if phase == HIDDEN else nothing)
        self.post(*(self.posting.post(signal, 0) if phase == TEACH else (nothing, nothing)))

    def _advance(self, now: int) -> None:
        neuron = self.layer.neuron
        assert isinstance(neuron, TCLIFNeuron)
        values = coefficients(neuron, now)
        filtered = self.setup.variant == "prefiltered"
        act = np.zeros_like(self.act) if filtered else (self.act << ACT_SHIFT) + self.layer.bias.astype(np.int64)
        dendrite, soma, _, _ = neurons.tclif_delayed(self.dendrite, self.soma, self.fired, act, *values)
        self.dendrite, self.soma = dendrite, soma
        potential = neurons.sat(soma + self.act) if filtered else soma
        self.fired = (potential >= neuron.vth) * 1
        self.posting.remember(potential, self.fired, 0)
        self.act = np.zeros_like(self.act)


class StockReadout(AbstractProcess):
    """The readout beside stock learning synapses: it advances in phase `READOUT`, compares and sends its error.

    Ports: `a_in`, `target_in` [K]; `error_out` [K], in phase `READOUT`; and those of Lava's learning neurons. It writes
    each sample's potentials, [S, T, K], to `path`.
    """

    def __init__(self, *, setup: LearningSetup, **params: Any) -> None:
        super().__init__(setup=setup, layer=len(setup.net.layers) - 1, **params)
        shape = (setup.net.outputs,)
        self.a_in, self.target_in = InPort(shape=shape), InPort(shape=shape)
        for port in ("error_out", "s_out_bap", "s_out_y1", "s_out_y2", "s_out_y3"):
            setattr(self, port, OutPort(shape=shape))


@implements(proc=StockReadout, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyStockReadout(_Posts):
    """`native`: an integrator. `prefiltered`: what comes is integrated already."""

    target_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=24)
    error_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64, precision=8)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.layer = self.setup.net.layers[-1]
        self.potential, self.error = np.zeros((2, self.layer.size), np.int64)

    def run_spk(self) -> None:
        """One step of the chip."""
        act, target = self.a_in.recv(), self.target_in.recv()
        phase, now, sample = self.clock.at(self.time_step)
        nothing = np.zeros_like(self.error)
        if phase == SEND:
            self.error = nothing
            self.potential = nothing if now == 0 else self.potential
        if phase == READOUT:
            self._advance(act)
            if now < self.steps:
                self.error = self.setup.error(self.potential, target)
                self.keep(self.potential, sample, now)
        self.error_out.send(self.error if phase == READOUT else nothing)
        self.post(*post_error(self.error if phase == TEACH else nothing))

    def _advance(self, act: Array) -> None:
        if self.setup.variant == "prefiltered":
            self.potential = act
        else:
            keep = int(Coefficients.of(self.layer).a2[0])
            bias = self.layer.bias.astype(np.int64)
            self.potential = neurons.sat(neurons.mul(self.potential, keep) + (act << ACT_SHIFT) + bias)


def three_factor(products: str, **traces: Any) -> Loihi3FLearningRule:
    """The stock rule with one epoch a step of the network."""
    return Loihi3FLearningRule(dw=products, t_epoch=PHASES, **traces)
