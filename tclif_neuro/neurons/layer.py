"""The base of all layers of spiking neurons, and that of the layers of two compartments."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.constants import Constants, outside_graphs
from tclif_neuro.neurons.entries import check_current, check_state, say_not_finite
from tclif_neuro.neurons.hooks import make_weights
from tclif_neuro.neurons.scan import tclif_scan
from tclif_neuro.neurons.step import LIFReset, ResetGrad, TCLIFParams, TCLIFState, tclif_step
from tclif_neuro.neurons.surrogate import Surrogate, SurrogateName
from tclif_neuro.neurons.within import scan_within, within


class SpikingLayer(Constants, nn.Module):
    """The base of all layers: N neurons, a threshold, a surrogate, the gradient through the reset, recurrent weights.

    recurrent: all-to-all from the last step's spikes, `I[t] = x[t] + R S[t-1]`, no bias (the `Linear` before has one).
    float32 on the CPU runs compiled, and on NVIDIA cards by Triton where `TCLIF_SCAN=triton` asks for it; other types,
    as under autocast to bfloat16, and other devices take the plain loop over time, several times as slow. torch.compile
    leaves a layer as it is, with a break in the graph around it.

    lengths, of `forward` and `scan`: [B], the steps of each sample that are its own (None: all); after them there are
    no spikes, and the state is that after the last of them.
    """

    constants: ClassVar[tuple[str, ...]] = ("vth", "surrogate", "reset_grad")

    def __init__(
        self, size: int, recurrent: bool, vth: float, surrogate: Surrogate | SurrogateName, reset_grad: ResetGrad
    ) -> None:
        super().__init__()
        if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
            raise TclifError(f"{type(self).__name__}: {size!r} neurons; a whole number, at least 1, is needed")
        if not isinstance(recurrent, bool | np.bool_):
            raise TclifError(f"{type(self).__name__}: recurrent {recurrent!r} is neither True nor False")
        self.vth = vth
        if not (math.isfinite(vth) and vth > 0):
            raise TclifError(f"{type(self).__name__}: vth {vth} is not positive")
        if reset_grad not in ("keep", "detach"):
            raise TclifError(f"{type(self).__name__}: reset_grad {reset_grad!r} is neither 'keep' nor 'detach'")
        self.size = int(size)
        self.surrogate = surrogate if isinstance(surrogate, Surrogate) else Surrogate(surrogate)
        self.reset_grad: ResetGrad = reset_grad
        self.recurrent = nn.Linear(size, size, bias=False) if recurrent else None

    def extra_repr(self) -> str:
        """The arguments it was made with, besides what it has learnt."""
        return f"{self.size}, " + ("recurrent=True, " if self.recurrent is not None else "") + super().extra_repr()

    def _check(self, current: Tensor, ndim: int) -> None:
        check_current(type(self).__name__, current, ndim, self.size)

    def _look(self, potential: Tensor) -> None:
        say_not_finite(type(self).__name__, potential)

    @property
    def recurrent_weight(self) -> Tensor | None:
        """R [N, N], or None in a feed-forward layer."""
        if self.recurrent is None:
            return None
        make_weights(self.recurrent)
        return self.recurrent.weight

    def step(self, current: Tensor, state: Any = None, t: int = 0) -> tuple[Tensor, Any]:
        """One step of a stream: I[t], [B, N], and the state before it -> spikes [B, N] and the state after."""
        raise NotImplementedError

    def spikes_within(self, current: Tensor, lengths: Tensor | None) -> Tensor:
        """Spikes [T, B, N] for the currents [T, B, N], from rest, within the samples' lengths."""
        if lengths is None:
            return self.scan(current)[0]
        return within(self.scan(within(current, lengths))[0], lengths)

    def scan(self, current: Tensor, state: Any = None, t: int = 0, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        """T steps of a stream: I [T, B, N] and the state before -> spikes [T, B, N] and the state after; as `step`."""
        if lengths is not None:
            return scan_within(self, current, lengths, state, t)
        self._check(current, 3)
        spikes = []
        for i, row in enumerate(current):
            spike, state = self.step(row, state, t + i)
            spikes.append(spike)
        return torch.stack(spikes) if spikes else torch.empty_like(current), state

    def _zeros(self, batch: int, like: Tensor) -> Tensor:
        return torch.zeros(batch, self.size, dtype=like.dtype, device=like.device)

    def _with_recurrence(self, current: Tensor, spike: Tensor) -> Tensor:
        return current if self.recurrent is None else current + self.recurrent(spike)


class TwoCompartment(SpikingLayer):
    """A layer of two-compartment neurons; its kinds differ only in `coefficients`."""

    constants: ClassVar[tuple[str, ...]] = (*SpikingLayer.constants, "reset", "gamma")
    resets: ClassVar[tuple[str, ...]] = ("delayed", "immediate")

    def __init__(
        self,
        size: int,
        *,
        recurrent: bool = False,
        reset: LIFReset = "delayed",
        vth: float = 1.0,
        gamma: float = 0.5,
        surrogate: Surrogate | SurrogateName = "triangle",
        reset_grad: ResetGrad = "keep",
    ) -> None:
        super().__init__(size, recurrent, vth, surrogate, reset_grad)
        if reset not in self.resets:
            raise TclifError(f"{type(self).__name__}: reset {reset!r} is none of {', '.join(map(repr, self.resets))}")
        self.reset: LIFReset = reset
        self.gamma = gamma
        if not (math.isfinite(gamma) and gamma >= 0):
            raise TclifError(f"{type(self).__name__}: gamma {gamma} is negative")

    def coefficients(self, steps: int, start: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """a1, a2 (each [1, n], or [steps, n] on a schedule) and b1, b2 ([n]); n is 1 or N."""
        raise NotImplementedError

    def table(self, tolerance: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The coefficients as integers hold them: a1, a2 [K, n], of which the last row is that of all later steps.

        tolerance: how far a decay may be from its limit there. Raises `TclifError` for decays that change within a
        sample, unless their class has a `table` of its own.
        """
        a1, a2, b1, b2 = self.coefficients(2)
        if len(a1) > 1 or len(a2) > 1:
            raise TclifError("its decays change within a sample: its class needs a method `table`, see AdaptiveTCLIF")
        return a1, a2, b1, b2

    def params(self, steps: int = 1, start: int = 0) -> TCLIFParams:
        """The coefficients of `steps` steps from step `start` of the sample, with the layer's constants."""
        a1, a2, b1, b2 = self.coefficients(steps, start)
        return TCLIFParams(
            a1=a1,
            a2=a2,
            b1=b1,
            b2=b2,
            gamma=self.gamma,
            vth=self.vth,
            reset=self.reset,
            reset_grad=self.reset_grad,
            surrogate=self.surrogate,
        )

    @outside_graphs
    def forward(self, current: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Spikes [T, B, N] for the currents [T, B, N], from rest. lengths: see `SpikingLayer`."""
        return self.spikes_within(current, lengths)

    def scan(
        self, current: Tensor, state: TCLIFState | None = None, t: int = 0, lengths: Tensor | None = None
    ) -> tuple[Tensor, TCLIFState]:
        """T steps of a stream: I [T, B, N] and the state before -> spikes [T, B, N] and the state after; as `step`.

        lengths: see `SpikingLayer`.
        """
        if lengths is not None:
            return scan_within(self, current, lengths, state, t)
        self._check(current, 3)
        spikes, state = tclif_scan(current, self.params(max(1, len(current)), t), self.recurrent_weight, state)
        self._look(state.soma)
        return spikes, state

    def rest(self, batch: int, like: Tensor | None = None) -> TCLIFState:
        """The state of a batch at rest: zeros, [B, N]."""
        zero = self._zeros(batch, self.coefficients(1)[0] if like is None else like)
        return TCLIFState(zero, zero, zero)

    def step(self, current: Tensor, state: TCLIFState | None = None, t: int = 0) -> tuple[Tensor, TCLIFState]:
        """One step of a stream: I[t], [B, N], and the state before it -> spikes [B, N] and the state after.

        t: the step within the sample (only a schedule depends on it). No state: from rest.
        """
        self._check(current, 2)
        state = self.rest(len(current), current) if state is None else state
        check_state(type(self).__name__, state, TCLIFState, current)
        p = self.params(1, t)
        state = tclif_step(state, self._with_recurrence(current, state.spike), p)
        self._look(state.soma)
        return state.spike, state
