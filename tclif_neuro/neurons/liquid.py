"""The liquid time-constant spiking neuron: how fast it leaks depends on its input and its state.

[F] Yin, Corradi and Bohte, Accurate online training of dynamical spiking neural networks through Forward Propagation
Through Time, 2023. What is simplified is in docs/fptt.md.
"""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.constants import outside_graphs
from tclif_neuro.neurons.entries import check_state
from tclif_neuro.neurons.layer import SpikingLayer
from tclif_neuro.neurons.step import ResetGrad
from tclif_neuro.neurons.surrogate import Surrogate, SurrogateName


class LiquidState(NamedTuple):
    """Potential U, threshold adaptation b and spikes S after a step, each [B, N]."""

    potential: Tensor
    adaptation: Tensor
    spike: Tensor


class LiquidLIF(SpikingLayer):
    """Liquid time-constant leaky integrate-and-fire [F], with an adapting threshold.

        b[t]   = rho_b[t] b[t-1] + (1 - rho_b[t]) S[t-1],    rho_b[t] = sigmoid(A_b [I[t]; b[t-1]] + a_b)
        U[t]   = U[t-1] + rho[t] (I[t] - U[t-1]),            rho[t]   = sigmoid(A [I[t]; U[t-1]] + a)
        S[t]   = U[t] >= Vth + adaptation b[t]
        U[t]  <- (1 - S[t]) U[t]

    I[t] is what the `Linear` before gives, plus R S[t-1] in a recurrent layer; A and A_b are [N, 2N], learnable.
    vth: the threshold at rest; U cannot exceed the largest current, so it is lower than that of an integrator.
    adaptation: how much lasting spiking raises it; 0 leaves it fixed, and there is no A_b. reset_grad: for the last
    line. Inputs, outputs and `step` are those of every layer; no integers are defined for it: `quantize` refuses it.

        model = torch.nn.Sequential(torch.nn.Linear(8, 128), tn.LiquidLIF(128), tn.Readout(128, 10))
    """

    constants: ClassVar[tuple[str, ...]] = (*SpikingLayer.constants, "adaptation")

    def __init__(
        self,
        size: int,
        *,
        recurrent: bool = False,
        vth: float = 0.1,
        adaptation: float = 1.8,
        surrogate: Surrogate | SurrogateName = "triangle",
        reset_grad: ResetGrad = "keep",
    ) -> None:
        super().__init__(size, recurrent, vth, surrogate, reset_grad)
        self.adaptation = adaptation
        if not (math.isfinite(adaptation) and adaptation >= 0):
            raise TclifError(f"LiquidLIF: adaptation {adaptation} is negative or not finite")
        self.potential_gate = nn.Linear(2 * size, size)
        self.adaptation_gate = nn.Linear(2 * size, size) if adaptation else None

    @outside_graphs
    def forward(self, current: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Spikes [T, B, N] for the currents [T, B, N], from rest. lengths: see `SpikingLayer`."""
        if lengths is not None:
            return self.spikes_within(current, lengths)
        self._check(current, 3)
        state, spikes = self.rest(current.shape[1], current), []
        for row in current:
            spike, state = self.step(row, state)
            spikes.append(spike)
        return torch.stack(spikes) if spikes else torch.zeros_like(current)

    def rest(self, batch: int, like: Tensor | None = None) -> LiquidState:
        """The state of a batch at rest: zeros, [B, N]."""
        zero = self._zeros(batch, self.potential_gate.weight if like is None else like)
        return LiquidState(zero, zero, zero)

    def step(self, current: Tensor, state: LiquidState | None = None, t: int = 0) -> tuple[Tensor, LiquidState]:
        """One step of a stream: I[t], [B, N], and the state before it -> spikes [B, N] and the state after."""
        self._check(current, 2)
        state = self.rest(len(current), current) if state is None else state
        check_state(type(self).__name__, state, LiquidState, current)
        current = self._with_recurrence(current, state.spike)
        adaptation = self._adapted(current, state)
        rho = _gate(self.potential_gate, current, state.potential)
        potential = state.potential + rho * (current - state.potential)
        spike = self.surrogate(potential - self.vth - self.adaptation * adaptation)
        reset = spike.detach() if self.reset_grad == "detach" else spike
        state = LiquidState((1 - reset) * potential, adaptation, spike)
        self._look(state.potential)
        return spike, state

    def _adapted(self, current: Tensor, state: LiquidState) -> Tensor:
        if self.adaptation_gate is None:
            return state.adaptation
        rho = _gate(self.adaptation_gate, current, state.adaptation)
        return rho * state.adaptation + (1 - rho) * state.spike


def _gate(gate: nn.Linear, current: Tensor, state: Tensor) -> Tensor:
    """`sigmoid(A [I; state] + a)`, in (0, 1)."""
    return torch.sigmoid(gate(torch.cat((current, state), dim=-1)))
