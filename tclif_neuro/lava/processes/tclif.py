"""TC-LIF as a Lava process, with a fixed-point and a floating-point ProcessModel."""

from __future__ import annotations

from collections.abc import Callable
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

from tclif_neuro.compiled import rebind
from tclif_neuro.fixed import step
from tclif_neuro.lava.recording import RecordingRequest, sample_step
from tclif_neuro.network import ACT_SHIFT, BIAS_EXP, BIAS_MANT, DECAY_ONE, FormatError, TCLIFNeuron, check_range

Array = npt.NDArray[Any]


class TCLIF(AbstractProcess):
    """Two-compartment leaky integrate-and-fire neurons (`fixed.step`), in integers.

    Ports: `a_in` [N], what a Dense delivers; `s_out` [N], spikes in {0, 1}.
    Vars: `dendrite`, `soma` [N], the compartments, in state units; `fired` [N], the last step's spikes; `a1`, `a2`
    [K, n], `b1`, `b2` [n], `vth_mant`, `gamma_mant` [1], as in `TCLIFNeuron`; `bias_mant`, `bias_exp` [N].

    Both ProcessModels read the same integers: "fixed_pt" computes as the chip would, "floating_pt" takes them for the
    real numbers that they stand for (k / 4096) and neither rounds nor saturates. (Under "floating_pt" Lava's own Dense
    ignores its weight exponent.)

    shape: (N,). neuron: its coefficients. bias_mant, bias_exp: added in every step as `bias_mant << bias_exp`.
    reset_interval: the steps of a sample, or None: never reset. reset_offset: the step of the run, counted from 1 and
    modulo the interval, in which a sample begins; there the state is cleared and a schedule of decays restarts.
    recording: what to keep and where to write it, or None.

    Raises `FormatError` where a number does not fit.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        neuron: TCLIFNeuron,
        bias_mant: npt.ArrayLike = 0,
        bias_exp: int = 0,
        reset_interval: int | None = None,
        reset_offset: int = 0,
        recording: RecordingRequest | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            name=name,
            shape=shape,
            reset=neuron.reset,
            reset_interval=reset_interval,
            reset_offset=reset_offset,
            recording=recording,
        )
        _check(shape, neuron, bias_mant, bias_exp, reset_interval)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.dendrite = Var(shape=shape, init=0)
        self.soma = Var(shape=shape, init=0)
        self.fired = Var(shape=shape, init=0)
        for coefficient in ("a1", "a2", "b1", "b2"):
            value = getattr(neuron, coefficient)
            setattr(self, coefficient, Var(shape=value.shape, init=value))
        self.vth_mant = Var(shape=(1,), init=neuron.vth_mant)
        self.gamma_mant = Var(shape=(1,), init=neuron.gamma_mant)
        self.bias_mant = Var(shape=shape, init=bias_mant)
        self.bias_exp = Var(shape=shape, init=bias_exp)


def _check(
    shape: tuple[int, ...], neuron: TCLIFNeuron, bias_mant: npt.ArrayLike, bias_exp: int, reset_interval: int | None
) -> None:
    """Raise `FormatError` unless the arguments of `TCLIF` fit each other and their formats."""
    if len(shape) != 1 or shape[0] < 1:
        raise FormatError(f"shape: (neurons,) expected, got {shape}")
    for name in ("a1", "a2", "b1", "b2"):
        width = getattr(neuron, name).shape[-1]
        if width not in (1, *shape):
            raise FormatError(f"{name}: {width} coefficients for {shape[0]} neurons; give 1 or {shape[0]}")
    if np.shape(bias_mant) not in ((), shape):
        raise FormatError(f"bias_mant: shape {list(shape)} expected, got {list(np.shape(bias_mant))}")
    check_range("bias_mant", np.asarray(bias_mant), *BIAS_MANT)
    check_range("bias_exp", bias_exp, *BIAS_EXP)
    if reset_interval is not None and reset_interval < 1:
        raise FormatError(f"reset_interval: {reset_interval} steps; a sample has at least 1")


# Over the real numbers nothing is rounded, saturated or wrapped around.
_REAL = step.bind(rebind, lambda x, k: x * k / DECAY_ONE, lambda x: x, lambda x: x)


class _Model(PyLoihiProcessModel):
    """The common part of the two models: the time within the sample, the reset, and one call of the step."""

    STEPS: dict[str, Callable[..., Any]]  # by kind of reset

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)
    fired: Array = LavaPyType(np.ndarray, np.int64, precision=1)
    a1: Array = LavaPyType(np.ndarray, np.int64, precision=13)
    a2: Array = LavaPyType(np.ndarray, np.int64, precision=13)
    b1: Array = LavaPyType(np.ndarray, np.int64, precision=14)
    b2: Array = LavaPyType(np.ndarray, np.int64, precision=13)
    vth_mant: Array = LavaPyType(np.ndarray, np.int64, precision=17)
    gamma_mant: Array = LavaPyType(np.ndarray, np.int64, precision=17)
    bias_mant: Array = LavaPyType(np.ndarray, np.int64, precision=13)
    bias_exp: Array = LavaPyType(np.ndarray, np.int64, precision=3)
    dendrite: Array
    soma: Array

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.advance = self.STEPS[proc_params["reset"]]
        self.interval, self.offset = proc_params["reset_interval"], proc_params["reset_offset"]
        request = proc_params["recording"]
        self.recording = request and request.start(proc_params["shape"][0])

    def run_spk(self) -> None:
        """Receive, advance one step, send."""
        act = self.a_in.recv() * 2**ACT_SHIFT + (self.bias_mant << self.bias_exp)
        now = sample_step(self.time_step, self.interval, self.offset)
        if now == 0 and self.interval is not None:
            self.dendrite, self.soma, self.fired = (np.zeros_like(x) for x in (self.dendrite, self.soma, self.fired))
        row = min(now, len(self.a1) - 1)
        coefficients = self.a1[row], self.a2[row], self.b1, self.b2
        gamma, vth = self.gamma_mant << ACT_SHIFT, self.vth_mant << ACT_SHIFT
        new = self.advance(self.dendrite, self.soma, self.fired, act, *coefficients, gamma, vth)
        self.dendrite, self.soma, self.fired, saturated, self.before = new
        self.s_out.send(self.fired)
        if self.recording:
            self.recording.add(self.time_step, self.dendrite, self.soma, self.fired, saturated)


@implements(proc=TCLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyTCLIFFixed(_Model):
    """The integer neuron: calls `fixed.step` on int64 arrays."""

    STEPS = {"delayed": step.tclif_delayed, "immediate": step.tclif_immediate}  # noqa: RUF012

    dendrite: Array = LavaPyType(np.ndarray, np.int64, precision=24)
    soma: Array = LavaPyType(np.ndarray, np.int64, precision=24)


@implements(proc=TCLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyTCLIFFloat(_Model):
    """The same equations over the real numbers: no rounding, no saturation."""

    STEPS = {"delayed": _REAL.tclif_delayed, "immediate": _REAL.tclif_immediate}  # noqa: RUF012

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    dendrite: Array = LavaPyType(np.ndarray, float)
    soma: Array = LavaPyType(np.ndarray, float)
