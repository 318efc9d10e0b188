"""The float neurons, one step each: a line of code for a line of the equation.

[T] Zhang et al., TC-LIF, AAAI 2024. [O] Yin et al., Efficient Online Learning for Networks of Two-Compartment Spiking
Neurons, 2024. All quantities are dimensionless; one step is one dt. Shapes: B samples, N neurons.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from torch import Tensor

from tclif_neuro.neurons.surrogate import Surrogate

Reset = Literal["delayed", "immediate"]
LIFReset = Literal["delayed", "immediate", "zero"]
ResetGrad = Literal["keep", "detach"]


class TCLIFState(NamedTuple):
    """Dendrite UD, soma US and spikes S after a step, each [B, N]."""

    dendrite: Tensor
    soma: Tensor
    spike: Tensor


class LIFState(NamedTuple):
    """Membrane potential U and spikes S after a step, each [B, N]."""

    potential: Tensor
    spike: Tensor


@dataclass(frozen=True, kw_only=True)
class TCLIFParams:
    """The coefficients of one step.

    a1, a2: decays of dendrite and soma. b1, b2: couplings, soma to dendrite (negative) and dendrite to soma. Each [1]
    or [N]. gamma, vth: what a spike takes from the dendrite, and the threshold. reset_grad: "detach" for no
    gradient through the reset.
    """

    a1: Tensor
    a2: Tensor
    b1: Tensor
    b2: Tensor
    gamma: float = 0.5
    vth: float = 1.0
    reset: Reset = "delayed"
    reset_grad: ResetGrad = "keep"
    surrogate: Surrogate = field(default_factory=Surrogate)


@dataclass(frozen=True, kw_only=True)
class LIFParams:
    """The coefficients of one step of LIF: the decay `beta`, [1] or [N], the threshold, and the reset."""

    beta: Tensor
    vth: float = 1.0
    reset: LIFReset = "delayed"
    reset_grad: ResetGrad = "keep"
    surrogate: Surrogate = field(default_factory=Surrogate)


def tclif_step(state: TCLIFState, current: Tensor, p: TCLIFParams) -> TCLIFState:
    """One step of TC-LIF [T 10-12].

        UD[t] = a1 UD[t-1] + b1 US[t-1] + I[t] - gamma S[t-1]
        US[t] = a2 US[t-1] + b2 UD[t]          - Vth   S[t-1]
         S[t] = US[t] >= Vth

    With reset="immediate", the authors' released code: no S[t-1] terms; after S[t], UD[t] -= gamma S[t] and
    US[t] -= Vth S[t], so that the reset then decays and couples. The two are different neurons.

    current: I[t], [B, N]. Returns the new state.
    """
    if p.reset == "immediate":
        return _tclif_immediate(state, current, p)
    reset = state.spike.detach() if p.reset_grad == "detach" else state.spike
    dendrite = p.a1 * state.dendrite + p.b1 * state.soma + current - p.gamma * reset
    soma = p.a2 * state.soma + p.b2 * dendrite - p.vth * reset
    return TCLIFState(dendrite, soma, p.surrogate(soma - p.vth))


def _tclif_immediate(state: TCLIFState, current: Tensor, p: TCLIFParams) -> TCLIFState:
    dendrite = p.a1 * state.dendrite + p.b1 * state.soma + current
    soma = p.a2 * state.soma + p.b2 * dendrite
    spike = p.surrogate(soma - p.vth)
    reset = spike.detach() if p.reset_grad == "detach" else spike
    return TCLIFState(dendrite - p.gamma * reset, soma - p.vth * reset, spike)


def lif_step(state: LIFState, current: Tensor, p: LIFParams) -> LIFState:
    """One step of the leaky integrate-and-fire neuron [T 1-3].

        U[t] = beta U[t-1] - Vth S[t-1] + I[t];    S[t] = U[t] >= Vth

    reset="immediate" takes Vth off in the same step; reset="zero" then sets U[t] to 0, as Loihi's LIF does.

    current: I[t], [B, N]. Returns the new state.
    """
    if p.reset == "delayed":
        reset = state.spike.detach() if p.reset_grad == "detach" else state.spike
        potential = p.beta * state.potential - p.vth * reset + current
        return LIFState(potential, p.surrogate(potential - p.vth))
    potential = p.beta * state.potential + current
    spike = p.surrogate(potential - p.vth)
    reset = spike.detach() if p.reset_grad == "detach" else spike
    after = potential - p.vth * reset if p.reset == "immediate" else potential * (1 - reset)
    return LIFState(after, spike)
