"""The float neurons, one step each: `dynamics` over tensors, with a surrogate gradient.

[T] Zhang et al., TC-LIF, AAAI 2024. [O] Yin et al., Efficient Online Learning for Networks of Two-Compartment Spiking
Neurons, 2024. All quantities are dimensionless; one step is one dt. Shapes: B samples, N neurons.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from torch import Tensor

from tclif_neuro import dynamics
from tclif_neuro.compiled import rebind
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
    reset: LIFReset = "delayed"
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
    US[t] -= Vth S[t], so that the reset then decays and couples. The two are different neurons. reset="zero": US[t] is
    0 where it fired, as Loihi's LIF resets its potential, and UD[t] stays.

    current: I[t], [B, N]. Returns the new state.
    """
    delayed = p.reset == "delayed"
    drop = _taken(state.spike, p) if delayed else 0.0
    dendrite, soma, *_ = dynamics.integrate(
        state.dendrite, state.soma, current, p.gamma * drop, p.vth * drop, p.a1, p.a2, p.b1, p.b2
    )
    spike = p.surrogate(soma - p.vth)
    if p.reset == "zero":
        soma = dynamics.reset_to_zero(soma, _taken(spike, p))
    elif not delayed:
        dendrite, soma, _ = dynamics.reset(dendrite, soma, _taken(spike, p), p.gamma, p.vth)
    return TCLIFState(dendrite, soma, spike)


def _taken(spike: Tensor, p: TCLIFParams | LIFParams) -> Tensor:
    """The spikes as a reset takes them off."""
    return spike.detach() if p.reset_grad == "detach" else spike


def _times(x: Tensor | float, k: Tensor | float) -> Tensor | float:
    """A state times a coefficient; times a plain 0 or 1, those of a passive dendrite, without an operation."""
    return x * k if isinstance(k, Tensor) else x if k else 0.0


_integrate_lif = rebind(dynamics.integrate, mul=_times)


def lif_step(state: LIFState, current: Tensor, p: LIFParams) -> LIFState:
    """One step of the leaky integrate-and-fire neuron [T 1-3], whose dendrite is passive: a1 = b1 = gamma = 0, b2 = 1.

        U[t] = beta U[t-1] + I[t] - Vth S[t-1];    S[t] = U[t] >= Vth

    reset="immediate" takes Vth off in the same step; reset="zero" then sets U[t] to 0, as Loihi's LIF does.

    current: I[t], [B, N]. Returns the new state.
    """
    drop = p.vth * _taken(state.spike, p) if p.reset == "delayed" else 0.0
    _, potential, *_ = _integrate_lif(0.0, state.potential, current, 0.0, drop, 0.0, p.beta, 0.0, 1.0)
    spike = p.surrogate(potential - p.vth)
    if p.reset == "immediate":
        _, potential, _ = dynamics.reset(0.0, potential, _taken(spike, p), 0.0, p.vth)
    elif p.reset == "zero":
        potential = dynamics.reset_to_zero(potential, _taken(spike, p))
    return LIFState(potential, spike)
