"""Lava processes of the `exact` learning network: plastic synapses, neurons with a third factor, error neurons.

Each of them computes with the functions of `tclif_neuro.onchip`. A sample takes `interval` steps of the run, the last
of them silent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import PyLifResetModelBitAcc
from lava.proc.lif.process import LIFReset

from tclif_neuro.lava.learning.record import ConnectionRecord
from tclif_neuro.lava.processes.lif import bias_of, lif_of
from tclif_neuro.lava.processes.tclif import TCLIF, PyTCLIFFixed
from tclif_neuro.lava.recording import RecordingRequest, sample_step
from tclif_neuro.network import TCLIFNeuron
from tclif_neuro.onchip.rule.connection import LearningConnection
from tclif_neuro.onchip.rule.matrices import Matrix, synapses_of
from tclif_neuro.onchip.rule.posting import Posting, post_error
from tclif_neuro.onchip.rule.setup import LearningSetup

Array = npt.NDArray[Any]


class PlasticDense(AbstractProcess):
    """Synapses that learn by the `exact` rule: a Lava `Dense`, one step late, around a `LearningConnection`.

    Ports: `s_in` [M], `a_out` [N], as a Dense has them; `y1_in`, `y2_in` [N], what the neurons post; `weights_out`
    [N M], the weights at the beginning of each step, for a mirror (`MirrorDense`).
    Vars: `weights` [N, M], mantissas; `d`, `e` [M], the eligibility traces, in state units.

    setup, matrix: which synapses of which network. steps, interval: a sample's steps with input, and all of
    its steps. record: what to keep and where to write the weights at the end.
    """

    def __init__(
        self,
        *,
        setup: LearningSetup,
        matrix: Matrix,
        steps: int,
        interval: int,
        record: ConnectionRecord,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name, setup=setup, matrix=matrix, steps=steps, interval=interval, record=record)
        synapses = synapses_of(setup.net, matrix)
        n, m = synapses.weight.shape
        self.s_in, self.a_out = InPort(shape=(m,)), OutPort(shape=(n,))
        self.y1_in, self.y2_in = InPort(shape=(n,)), InPort(shape=(n,))
        self.weights_out = OutPort(shape=(n * m,))
        self.weights = Var(shape=(n, m), init=synapses.weight)
        self.d, self.e = Var(shape=(m,), init=0), Var(shape=(m,), init=0)


@implements(proc=PlasticDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyPlasticDense(PyLoihiProcessModel):
    """Deliver what was received a step ago, receive, remember, learn."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=9)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64, precision=24)
    y1_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=7)
    y2_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=7)
    weights_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64, precision=9)
    weights: Array = LavaPyType(np.ndarray, np.int64, precision=9)
    d: Array = LavaPyType(np.ndarray, np.int64, precision=24)
    e: Array = LavaPyType(np.ndarray, np.int64, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.setup: LearningSetup = proc_params["setup"]
        layer, self.recurrent = proc_params["matrix"]
        self.connection = LearningConnection(self.setup, proc_params["matrix"])
        self.steps, self.interval, self.offset = proc_params["steps"], proc_params["interval"], layer + 1
        self.delay = self.setup.delay(layer)
        self.buffer = np.zeros(len(self.connection.weight), np.int64)
        self.record = proc_params["record"].start(self.connection.weight.shape)

    def run_spk(self) -> None:
        """One step; the Vars show what the connection holds after it."""
        self.a_out.send(self.buffer)
        self.weights_out.send(self.connection.weight.ravel())
        now = sample_step(self.time_step, self.interval, self.offset)
        number = (self.time_step - self.offset) // self.interval
        x = self.s_in.recv()
        if now == 0:
            self.connection.start()
            x = np.zeros_like(x) if self.recurrent else x  # the last sample's spikes
        self.buffer = self.connection.deliver(x)
        self.connection.remember(x, now)
        self._learn(now - 1 - self.delay, number)
        if now < self.steps:
            self.record.remember(number, now, self.connection.d, self.connection.e)
        self.weights, self.d, self.e = self.connection.weight, self.connection.d, self.connection.e

    def _learn(self, step: int, number: int) -> None:
        y1, y2 = self.y1_in.recv(), self.y2_in.recv()
        if not 0 <= step < self.steps or number < 0:
            return
        last = step == self.steps - 1
        self.connection.learn(y1, y2, step, sample=self.setup.learnt + number, last=last)
        self.record.learn(number, step, y1, y2, self.connection.weight)


class MirrorDense(AbstractProcess):
    """Feedback by the weights of a `PlasticDense` in the other direction, copied at the start of each sample.

    Ports: `s_in` [outputs], `a_out` [N], a step late; `weights_in` [outputs N]. The copy is what no neuron core can do:
    on a chip an embedded processor would write it between two samples.
    """

    def __init__(self, *, outputs: int, size: int, interval: int, name: str | None = None) -> None:
        super().__init__(name=name, outputs=outputs, size=size, interval=interval)
        self.s_in, self.a_out = InPort(shape=(outputs,)), OutPort(shape=(size,))
        self.weights_in = InPort(shape=(outputs * size,))


@implements(proc=MirrorDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyMirrorDense(PyLoihiProcessModel):
    """A Dense whose weights come through a port."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=8)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64, precision=24)
    weights_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=9)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.interval = proc_params["interval"]
        self.weight = np.zeros((proc_params["outputs"], proc_params["size"]), np.int64)
        self.buffer = np.zeros(proc_params["size"], np.int64)

    def run_spk(self) -> None:
        """One step; in a sample's first step the weights are copied."""
        self.a_out.send(self.buffer)
        weights = self.weights_in.recv()
        if sample_step(self.time_step, self.interval, 1) == 0:
            self.weight = weights.reshape(self.weight.shape)
        self.buffer = self.s_in.recv() @ self.weight


class LearningTCLIF(TCLIF):
    """TC-LIF neurons (also Adaptive ones) that post the traces of e-prop: a `TCLIF` with a third factor.

    Ports: those of `TCLIF`; `third_factor_in` [N], the learning signal L about the step D steps ago; `y1_out`, `y2_out`
    [N], in every step relu(psi L) and relu(-psi L), psi being that of the step that L is about.

    setup, layer: which neurons of which network. Other arguments as `TCLIF` has them.
    """

    def __init__(self, *, setup: LearningSetup, layer: int, **tclif: Any) -> None:
        described = setup.net.layers[layer]
        assert isinstance(described.neuron, TCLIFNeuron)
        shape = (described.size,)
        super().__init__(shape=shape, neuron=described.neuron, **bias_of(described), **tclif)
        self.proc_params["setup"], self.proc_params["layer"] = setup, layer
        self.third_factor_in = InPort(shape=shape)
        self.y1_out, self.y2_out = OutPort(shape=shape), OutPort(shape=shape)


class PyLearningTCLIF(PyTCLIFFixed):
    """The integer neuron, and what it posts."""

    implements_process = LearningTCLIF

    third_factor_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=24)
    y1_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64, precision=7)
    y2_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64, precision=7)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        setup, layer = proc_params["setup"], proc_params["layer"]
        self.posting, self.delay = Posting(setup, layer), setup.delay(layer)

    def run_spk(self) -> None:
        """Do as the neuron does, then post what the learning signal makes of the surrogate of D steps ago."""
        super().run_spk()
        now = sample_step(self.time_step, self.interval, self.offset)
        self.posting.remember(self.before, now)
        y1, y2 = self.posting.post(self.third_factor_in.recv(), now - self.delay)
        self.y1_out.send(y1)
        self.y2_out.send(y2)


class ErrorReadout(LIFReset):
    """The readout's integrators, which are the error neurons too: each knows its potential and is told its target.

    Ports: `a_in`, `s_out` [K], those of Lava's LIF; `target_in` [K], the potential that they should have; `error_out`
    [K], the narrowed difference as a signed graded spike; `y1_out`, `y2_out` [K], its positive and its negative part.
    Outside of the sample's `steps` steps there is no error.

    setup: the network, whose last layer this is. recording: what to keep of the potentials.
    """

    def __init__(self, *, setup: LearningSetup, steps: int, recording: RecordingRequest, **reset: Any) -> None:
        layer = setup.net.layers[-1]
        super().__init__(**lif_of(layer), **reset)
        self.proc_params["setup"], self.proc_params["steps"] = setup, steps
        self.proc_params["recording"] = recording
        self.target_in = InPort(shape=(layer.size,))
        self.error_out, self.y1_out, self.y2_out = (OutPort(shape=(layer.size,)) for _ in range(3))


class PyErrorReadout(PyLifResetModelBitAcc):
    """Lava's bit-accurate LIF, and its error."""

    implements_process = ErrorReadout

    target_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=24)
    error_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64, precision=8)
    y1_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64, precision=7)
    y2_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64, precision=7)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.setup, self.steps = proc_params["setup"], proc_params["steps"]
        self.request = proc_params["recording"]
        self.recording = self.request.start(proc_params["shape"][0])
        self.nobody = np.zeros(proc_params["shape"], np.int64)

    def run_spk(self) -> None:
        """Do as Lava's model does, then compare and send."""
        super().run_spk()
        target = self.target_in.recv()
        now = sample_step(self.time_step, self.request.steps, self.request.first_step)
        error = self.setup.error(self.v.astype(np.int64), target) if now < self.steps else self.nobody
        self.error_out.send(error)
        y1, y2 = post_error(error)
        self.y1_out.send(y1)
        self.y2_out.send(y2)
        self.recording.add(self.time_step, self.u, self.v, self.nobody, None)
