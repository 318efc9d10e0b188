"""The equations of e-prop for two compartments, in plain torch: any dtype, any device.

[O] Yin et al., Efficient Online Learning for Networks of Two-Compartment Spiking Neurons, 2024. A LIF is a
two-compartment neuron with a passive dendrite (a1 = b1 = gamma = 0, b2 = 1).

An eligibility trace is the derivative of a neuron's two states by one of its parameters w, carried forward in time:
d = dUD/dw and e = dUS/dw, both before a reset of the same step. With psi the surrogate, dS/dw = psi e, and the gradient
of a loss whose learning signal is L[t] = dE/dS[t] is the sum over time of L[t] psi[t] e[t].
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from tclif_neuro import dynamics
from tclif_neuro.neurons.layer import TwoCompartment
from tclif_neuro.neurons.modules import LIF
from tclif_neuro.neurons.step import LIFReset, TCLIFState
from tclif_neuro.neurons.surrogate import Surrogate


@dataclass(frozen=True, kw_only=True, eq=False)
class Coefficients:
    """The coefficients a layer computes with during a chunk of K steps.

    a1, a2: [K, n], or [1, n] if constant; b1, b2: [n]; n is 1 (shared by the layer) or N. keep: whether the gradient
    passes through the reset.
    """

    a1: Tensor
    a2: Tensor
    b1: Tensor
    b2: Tensor
    gamma: float
    vth: float
    reset: LIFReset
    keep: bool
    surrogate: Surrogate

    @classmethod
    def of(cls, layer: TwoCompartment | LIF, steps: int, start: int) -> Coefficients:
        """Those of `layer` for `steps` steps from step `start` of the sample; differentiable by its parameters."""
        a1, a2, b1, b2 = layer.coefficients(steps, start)
        return cls(
            a1=a1,
            a2=a2,
            b1=b1,
            b2=b2,
            gamma=layer.gamma,
            vth=layer.vth,
            reset=layer.reset,
            keep=layer.reset_grad == "keep",
            surrogate=layer.surrogate,
        )

    def detach(self) -> Coefficients:
        """The same, without their gradient."""
        return replace(self, a1=self.a1.detach(), a2=self.a2.detach(), b1=self.b1.detach(), b2=self.b2.detach())

    @property
    def per_input(self) -> bool:
        """True if e_ji is the same for every neuron j: nothing in its equation then belongs to one neuron alone.

        So it is with a detached reset and coefficients shared by the layer. A reset to zero multiplies US by 1 - S,
        detached or not, so its traces always belong to a synapse.
        """
        shared = all(c.shape[-1] == 1 for c in (self.a1, self.a2, self.b1, self.b2))
        return shared and not self.keep and self.reset != "zero"


class Spiked(NamedTuple):
    """A neuron's activity at a step: psi = dS/dUS, the spikes S and the soma US before a reset of that step."""

    psi: Tensor
    spike: Tensor
    soma: Tensor


class Trace(NamedTuple):
    """Eligibilities d = dUD/dw and e = dUS/dw."""

    dendrite: Tensor
    soma: Tensor


def neuron_step(state: TCLIFState, current: Tensor, t: int, c: Coefficients) -> tuple[TCLIFState, TCLIFState]:
    """The t-th step of a chunk: the states before a reset of the same step, and those that the next step sees."""
    drop = state.spike if c.reset == "delayed" else 0.0
    dendrite, soma, *_ = dynamics.integrate(
        state.dendrite, state.soma, current, c.gamma * drop, c.vth * drop, at(c.a1, t), at(c.a2, t), c.b1, c.b2
    )
    spike = c.surrogate(soma - c.vth)
    before = TCLIFState(dendrite, soma, spike)
    if c.reset == "immediate":
        dendrite, soma, _ = dynamics.reset(dendrite, soma, spike, c.gamma, c.vth)
    elif c.reset == "zero":
        soma = dynamics.reset_to_zero(soma, spike)
    return before, TCLIFState(dendrite, soma, spike)


def at(c: Tensor, t: int) -> Tensor:
    """Row t of a coefficient [K, n], or its only row."""
    return c[min(t, len(c) - 1)]


def transition(c: Coefficients, last: Spiked) -> tuple[Tensor, Tensor]:
    """Return the factors of e[t-1] in d[t] and e[t], `couple` and `decay`, from the neurons' activity at step t-1.

        delayed:    couple = b1 - gamma psi                            decay = a2 - Vth psi
        immediate:  couple = b1 (1 - Vth psi) - a1 gamma psi           decay = a2 (1 - Vth psi)
        zero:       couple = b1 (1 - S - US psi)                       decay = a2 (1 - S - US psi)
        detached:   the same without psi

    last: [K, B, N], of the K steps before those of `c`. Returns two tensors that broadcast to [K, B, N].
    """
    a1, a2 = c.a1[:, None], c.a2[:, None]
    if not c.keep and c.reset != "zero":
        return c.b1.expand(1, 1, -1), a2
    psi = last.psi if c.keep else torch.zeros_like(last.psi)
    if c.reset == "delayed":
        return c.b1 - c.gamma * psi, a2 - c.vth * psi
    if c.reset == "immediate":
        kept = 1 - c.vth * psi
        return c.b1 * kept - a1 * c.gamma * psi, a2 * kept
    kept = 1 - last.spike - last.soma * psi
    return c.b1 * kept, a2 * kept


def trace_step(
    trace: Trace, a1: Tensor, b2: Tensor, moved: tuple[Tensor, Tensor], direct: tuple[Tensor, Tensor | float]
) -> Trace:
    """One step of an eligibility [O 17-22], the derivative of the neuron's step: `dynamics.integrate` again.

        d[t] = a1 d[t-1] + couple e[t-1] + D[t]
        e[t] = decay e[t-1] + b2 d[t]    + E[t]

    moved: couple and decay, see `transition`. direct: D and E, the derivatives of the right-hand sides by the parameter
    itself: x_i[t] and 0 for W_ji, S_i[t-1] and 0 for R_ji, 1 and 0 for the bias.
    """
    (couple, decay), (to_dendrite, to_soma) = moved, direct
    d, e, *_ = dynamics.integrate(trace.dendrite, trace.soma, to_dendrite, 0.0, -to_soma, a1, decay, couple, b2)
    return Trace(d, e)


Slopes = tuple[Tensor, Tensor, Tensor, Tensor]


def coefficient_slopes(c: Coefficients, parameter: Tensor) -> Slopes | None:
    """da1/dp, da2/dp [K, n] and db1/dp, db2/dp [n] of one of the layer's own parameters; None if it enters none.

    Each coefficient of a neuron depends on that neuron's entry of p alone (or on the only one), so the slopes are those
    of the vector-Jacobian product v -> v da/dp by v.
    """
    coefficients = (c.a1, c.a2, c.b1, c.b2)
    found = [_slope(x, parameter) for x in coefficients]
    if all(slope is None for slope in found):
        return None
    a1, a2, b1, b2 = (torch.zeros_like(x) if s is None else s for s, x in zip(found, coefficients, strict=True))
    return a1, a2, b1, b2


def _slope(coefficient: Tensor, parameter: Tensor) -> Tensor | None:
    if not coefficient.requires_grad:
        return None
    v = torch.ones_like(coefficient, requires_grad=True)
    (product,) = torch.autograd.grad(coefficient, parameter, v, create_graph=True, allow_unused=True)
    return None if product is None else torch.autograd.grad(product.sum(), v, retain_graph=True)[0]
