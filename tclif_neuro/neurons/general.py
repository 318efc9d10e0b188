"""The two ends of the two-compartment map: the LIF with a synaptic current, and the neuron of any coefficients."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.layer import TwoCompartment
from tclif_neuro.neurons.parts import add_coupling, add_decay, decay, held
from tclif_neuro.neurons.step import LIFReset, Reset, ResetGrad
from tclif_neuro.neurons.surrogate import Surrogate, SurrogateName


class CUBALIF(TwoCompartment):
    """The current-based LIF: a synaptic current U with a decay of its own, and the potential V that it drives.

        U[t] = alpha U[t-1] + I[t];    V[t] = beta V[t-1] + U[t] - Vth S[t-1];    S[t] = V[t] >= Vth

    This is the two-compartment neuron whose dendrite is the current: a1 = alpha, a2 = beta, b1 = gamma = 0, b2 = 1.

    alpha, beta: decays in [0, 1], fixed, or with learn_decays in (0, 1) and learnt (per_neuron: one pair per neuron).
    reset: "delayed", "immediate" or "zero", as of `LIF`. "zero" exports as the stock LIF of Lava and Loihi 2, which
    adds a bias to the potential and not to the current: `quantize` refuses one there, so the `Linear` has none.

        neurons = tn.CUBALIF(128, alpha=0.8, beta=0.95, reset="zero")
        model = torch.nn.Sequential(torch.nn.Linear(8, 128, bias=False), neurons, tn.Readout(128, 10))
    """

    resets: ClassVar[tuple[str, ...]] = ("delayed", "immediate", "zero")

    def __init__(  # noqa: PLR0913 (a neuron's constants are its arguments)
        self,
        size: int,
        *,
        alpha: float = 0.8,
        beta: float = 0.9,
        learn_decays: bool = False,
        per_neuron: bool = False,
        recurrent: bool = False,
        reset: LIFReset = "delayed",
        vth: float = 1.0,
        surrogate: Surrogate | SurrogateName = "triangle",
        reset_grad: ResetGrad = "keep",
    ) -> None:
        super().__init__(
            size, recurrent=recurrent, reset=reset, vth=vth, gamma=0.0, surrogate=surrogate, reset_grad=reset_grad
        )
        for name, value in (("alpha", alpha), ("beta", beta)):
            add_decay(self, name, value, size if per_neuron else 1, learn_decays)

    def coefficients(self, steps: int, start: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """a1 = alpha, a2 = beta, b1 = 0, b2 = 1."""
        alpha, beta = decay(self, "alpha"), decay(self, "beta")
        return alpha[None], beta[None], torch.zeros_like(beta), torch.ones_like(beta)


class GeneralizedTCLIF(TwoCompartment):
    """The generalized two-compartment neuron [Zhang et al. 2024, eqs. 7-9]: all four coefficients free.

    a1, a2: decays in (0, 1); learn_decays: their logits are learnt. b1, b2: couplings in [-1, 1], of any sign;
    learn_couplings: they are learnt, and clipped to [-1, 1]. per_neuron: what is learnt is learnt per neuron, not per
    layer. Other arguments: see `TwoCompartment`.

        neurons = tn.GeneralizedTCLIF(128, a1=0.9, a2=0.95, b1=0.2, b2=-0.7)
        model = torch.nn.Sequential(torch.nn.Linear(8, 128), neurons, tn.Readout(128, 10))
    """

    def __init__(  # noqa: PLR0913 (a neuron's constants are its arguments)
        self,
        size: int,
        *,
        a1: float = 0.95,
        a2: float = 0.95,
        b1: float = -0.5,
        b2: float = 0.5,
        learn_decays: bool = True,
        learn_couplings: bool = True,
        per_neuron: bool = False,
        recurrent: bool = False,
        reset: Reset = "delayed",
        vth: float = 1.0,
        gamma: float = 0.5,
        surrogate: Surrogate | SurrogateName = "triangle",
        reset_grad: ResetGrad = "keep",
    ) -> None:
        super().__init__(
            size, recurrent=recurrent, reset=reset, vth=vth, gamma=gamma, surrogate=surrogate, reset_grad=reset_grad
        )
        n = size if per_neuron else 1
        for name, value in (("a1", a1), ("a2", a2)):
            add_decay(self, name, value, n, learn_decays)
            if not 0 < value < 1:
                raise TclifError(f"GeneralizedTCLIF: {name} {value} is outside (0, 1)")
        for name, value in (("b1", b1), ("b2", b2)):
            add_coupling(self, name, value, n, learn_couplings)
            if not -1 <= value <= 1:
                raise TclifError(f"GeneralizedTCLIF: coupling {name} = {value} is outside [-1, 1]")
        self.b1: Tensor
        self.b2: Tensor

    def coefficients(self, steps: int, start: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The two decays, and the two couplings clipped to [-1, 1]."""
        return decay(self, "a1")[None], decay(self, "a2")[None], held(self.b1, -1, 1), held(self.b2, -1, 1)
