"""Spiking layers as `torch.nn` modules: time-first [T, B, N], stateless between calls, `step` for streams.

A module takes the current its `Linear` makes and returns spikes; put both into a `torch.nn.Sequential`.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.constants import Constants, outside_graphs, plain_number
from tclif_neuro.neurons.entries import check_state
from tclif_neuro.neurons.hooks import make_weights
from tclif_neuro.neurons.layer import SpikingLayer, TwoCompartment
from tclif_neuro.neurons.parts import add_coupling, held, logit, squashed
from tclif_neuro.neurons.scan import lif_scan, passive
from tclif_neuro.neurons.schedule import Schedule
from tclif_neuro.neurons.step import (
    LIFParams,
    LIFReset,
    LIFState,
    Reset,
    ResetGrad,
    lif_step,
)
from tclif_neuro.neurons.surrogate import Surrogate, SurrogateName
from tclif_neuro.neurons.within import own_steps, scan_within, within

LATTICE = 16  # couplings that are whole sixteenths have a product that an 8-bit weight over 256 holds


class TCLIF(TwoCompartment):
    """TC-LIF [Zhang et al. 2024, eqs. 10-12]: a1 = a2 = 1, learnable couplings b1 = -sigmoid(c1), b2 = sigmoid(c2).

    c1, c2: initial values (0: b1 = -0.5, b2 = 0.5). per_neuron: one pair per neuron instead of one per layer.
    learn_couplings: False keeps c1 and c2 as they are. lattice: round b1 and b2 to sixteenths (`on_lattice`), so
    that b1 b2 is a multiple of 1/256 and the neuron can be built from stock Loihi 2 neurons.
    Other arguments: see `TwoCompartment`; gamma is what a spike takes from the dendrite.

        model = torch.nn.Sequential(torch.nn.Linear(8, 128), tn.TCLIF(128, recurrent=True), tn.Readout(128, 10))
    """

    constants: ClassVar[tuple[str, ...]] = (*TwoCompartment.constants, "lattice")

    def __init__(  # noqa: PLR0913 (a neuron's constants are its arguments)
        self,
        size: int,
        *,
        c1: float = 0.0,
        c2: float = 0.0,
        per_neuron: bool = False,
        learn_couplings: bool = True,
        lattice: bool = False,
        recurrent: bool = False,
        reset: Reset = "delayed",
        vth: float = 1.0,
        gamma: float = 0.5,
        surrogate: Surrogate | SurrogateName = "triangle",
        reset_grad: ResetGrad = "keep",
    ) -> None:
        super().__init__(
            size,
            recurrent=recurrent,
            reset=reset,
            vth=vth,
            gamma=gamma,
            surrogate=surrogate,
            reset_grad=reset_grad,
        )
        plain_number("TCLIF", "c1", c1)
        plain_number("TCLIF", "c2", c2)
        n = size if per_neuron else 1
        self.lattice = lattice
        self.c1 = nn.Parameter(torch.full((n,), float(c1)), requires_grad=learn_couplings)
        self.c2 = nn.Parameter(torch.full((n,), float(c2)), requires_grad=learn_couplings)

    def coefficients(self, steps: int, start: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """a1 = a2 = 1; b1 = -sigmoid(c1), b2 = sigmoid(c2), on the lattice if that was asked for."""
        one = torch.ones(1, 1, dtype=self.c1.dtype, device=self.c1.device)
        b1, b2 = squashed(self.c1), squashed(self.c2)
        return (one, one, -on_lattice(b1), on_lattice(b2)) if self.lattice else (one, one, -b1, b2)


def on_lattice(coupling: Tensor) -> Tensor:
    """The nearest of 1/16, 2/16, ..., 15/16, with the gradient of `coupling` itself (straight-through).

    >>> on_lattice(torch.tensor([0.01, 0.47]))
    tensor([0.0625, 0.5000])
    """
    nearest = (coupling.detach() * LATTICE).round().clamp(1, LATTICE - 1) / LATTICE
    return nearest + (coupling - coupling.detach())


class RelaxedTCLIF(TwoCompartment):
    """Relaxed TC-LIF [Yin et al. 2024, eqs. 23-26]: learnable decays a1, a2 in (0, 1), fixed couplings.

    a1, a2: initial decays; the parameters are their logits. b1 in [-1, 0], b2 in [0, 1]. learn_couplings: True learns
    b1 and b2 too, clipped to these ranges. per_neuron: what is learnt is learnt per neuron, not per layer.

        model = torch.nn.Sequential(torch.nn.Linear(8, 128), tn.RelaxedTCLIF(128, a1=0.9), tn.Readout(128, 10))
    """

    def __init__(  # noqa: PLR0913 (a neuron's constants are its arguments)
        self,
        size: int,
        *,
        a1: float = 0.95,
        a2: float = 0.95,
        b1: float = -0.5,
        b2: float = 1.0,
        learn_couplings: bool = False,
        per_neuron: bool = False,
        recurrent: bool = False,
        reset: Reset = "delayed",
        vth: float = 1.0,
        gamma: float = 0.5,
        surrogate: Surrogate | SurrogateName = "triangle",
        reset_grad: ResetGrad = "keep",
    ) -> None:
        super().__init__(
            size,
            recurrent=recurrent,
            reset=reset,
            vth=vth,
            gamma=gamma,
            surrogate=surrogate,
            reset_grad=reset_grad,
        )
        for name, value in (("a1", a1), ("a2", a2), ("b1", b1), ("b2", b2)):
            plain_number(type(self).__name__, name, value)
        if not (-1 <= b1 <= 0 and 0 <= b2 <= 1):
            raise TclifError(f"{type(self).__name__}: couplings b1 = {b1}, b2 = {b2}; b1 in [-1, 0], b2 in [0, 1]")
        n = size if per_neuron else 1
        self.raw_a1 = nn.Parameter(torch.full((n,), logit(a1, "a1")))
        self.raw_a2 = nn.Parameter(torch.full((n,), logit(a2, "a2")))
        add_coupling(self, "b1", b1, n, learn_couplings)
        add_coupling(self, "b2", b2, n, learn_couplings)
        self.b1: Tensor
        self.b2: Tensor

    def coefficients(self, steps: int, start: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """a1, a2 = the sigmoids of the parameters; b1, b2 in their ranges."""
        a1, a2 = squashed(self.raw_a1)[None], squashed(self.raw_a2)[None]
        return a1, a2, held(self.b1, -1, 0), held(self.b2, 0, 1)


class AdaptiveTCLIF(RelaxedTCLIF):
    """Adaptive TC-LIF [Yin et al. 2024, eqs. 29-32]: decays that fall within the sample towards learnable minima.

        a[t] = a_min + (1 - a_min) g(t)

    a1, a2: the initial a_min of dendrite and soma. schedule: g(t), which restarts with every sample (see `Schedule`:
    its form is a reconstruction). learn_couplings: see `RelaxedTCLIF`.

        neurons = tn.AdaptiveTCLIF(128, schedule=tn.Schedule(theta=steps / 4))
        model = torch.nn.Sequential(torch.nn.Linear(8, 128), neurons, tn.Readout(128, 10))
    """

    constants: ClassVar[tuple[str, ...]] = (*RelaxedTCLIF.constants, "schedule")

    def __init__(  # noqa: PLR0913 (a neuron's constants are its arguments)
        self,
        size: int,
        *,
        schedule: Schedule | None = None,
        a1: float = 0.9,
        a2: float = 0.9,
        b1: float = -0.5,
        b2: float = 1.0,
        learn_couplings: bool = False,
        per_neuron: bool = False,
        recurrent: bool = False,
        reset: Reset = "delayed",
        vth: float = 1.0,
        gamma: float = 0.5,
        surrogate: Surrogate | SurrogateName = "triangle",
        reset_grad: ResetGrad = "keep",
    ) -> None:
        super().__init__(
            size,
            a1=a1,
            a2=a2,
            b1=b1,
            b2=b2,
            learn_couplings=learn_couplings,
            per_neuron=per_neuron,
            recurrent=recurrent,
            reset=reset,
            vth=vth,
            gamma=gamma,
            surrogate=surrogate,
            reset_grad=reset_grad,
        )
        self.schedule = Schedule() if schedule is None else schedule

    def coefficients(self, steps: int, start: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """a1, a2 on the schedule, [steps, n]; b1, b2 fixed."""
        a1, a2, b1, b2 = super().coefficients(1)
        g = self.schedule.on(a1, steps, start)[:, None]
        return a1 + (1 - a1) * g, a2 + (1 - a2) * g, b1, b2

    def table(self, tolerance: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The decays until g is within `tolerance` of 0, and their minima as the last row; b1, b2.

        Raises `TclifError` for a schedule that falls too slowly.
        """
        a1, a2, b1, b2 = self.coefficients(self.schedule.length(tolerance))
        limits = super().coefficients(1)[:2]
        return torch.cat([a1, limits[0]]), torch.cat([a2, limits[1]]), b1, b2


class LIF(SpikingLayer):
    """The leaky integrate-and-fire baseline [Zhang et al. 2024, eqs. 1-3].

    beta: decay in [0, 1], fixed, or with learn_beta in (0, 1) and learnt (its logit is the parameter; per_neuron: one
    per neuron). reset: "delayed", "immediate" (subtract the threshold in the next or the same step) or "zero" (Loihi's:
    exports as a stock LIF).

        model = torch.nn.Sequential(torch.nn.Linear(8, 128), tn.LIF(128, beta=0.95), tn.Readout(128, 10))
    """

    constants: ClassVar[tuple[str, ...]] = (*SpikingLayer.constants, "reset")
    gamma: ClassVar[float] = 0.0

    def __init__(  # noqa: PLR0913 (a neuron's constants are its arguments)
        self,
        size: int,
        *,
        beta: float = 0.9,
        learn_beta: bool = False,
        per_neuron: bool = False,
        recurrent: bool = False,
        reset: LIFReset = "delayed",
        vth: float = 1.0,
        surrogate: Surrogate | SurrogateName = "triangle",
        reset_grad: ResetGrad = "keep",
    ) -> None:
        super().__init__(size, recurrent, vth, surrogate, reset_grad)
        if reset not in ("delayed", "immediate", "zero"):
            raise TclifError(f"LIF: reset {reset!r} is none of 'delayed', 'immediate', 'zero'")
        plain_number("LIF", "beta", beta)
        if not 0 <= beta <= 1:
            raise TclifError(f"LIF: beta {beta} is outside [0, 1]")
        self.reset: LIFReset = reset
        n = size if per_neuron else 1
        self.raw_beta = nn.Parameter(torch.full((n,), logit(beta, "beta"))) if learn_beta else None
        self.register_buffer("fixed_beta", torch.full((n,), float(beta)))
        self.fixed_beta: Tensor

    @property
    def beta(self) -> Tensor:
        """The decay, [1] or [N]."""
        return self.fixed_beta if self.raw_beta is None else squashed(self.raw_beta)

    def coefficients(self, steps: int, start: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The coefficients as two compartments, of which the dendrite is passive: 0, beta, 0, 1."""
        return passive(self.beta)

    def table(self, tolerance: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`coefficients`, which are those of every step."""
        return self.coefficients(1)

    def params(self) -> LIFParams:
        """The decay with the layer's constants."""
        return LIFParams(
            beta=self.beta,
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
        self, current: Tensor, state: LIFState | None = None, t: int = 0, lengths: Tensor | None = None
    ) -> tuple[Tensor, LIFState]:
        """T steps of a stream: I [T, B, N] and the state before -> spikes [T, B, N] and the state after; as `step`.

        lengths: see `SpikingLayer`.
        """
        if lengths is not None:
            return scan_within(self, current, lengths, state, t)
        self._check(current, 3)
        spikes, state = lif_scan(current, self.params(), self.recurrent_weight, state)
        self._look(state.potential)
        return spikes, state

    def rest(self, batch: int, like: Tensor | None = None) -> LIFState:
        """The state of a batch at rest: zeros, [B, N]."""
        zero = self._zeros(batch, self.fixed_beta if like is None else like)
        return LIFState(zero, zero)

    def step(self, current: Tensor, state: LIFState | None = None, t: int = 0) -> tuple[Tensor, LIFState]:
        """One step of a stream: I[t], [B, N], and the state before it -> spikes [B, N] and the state after."""
        self._check(current, 2)
        state = self.rest(len(current), current) if state is None else state
        check_state(type(self).__name__, state, LIFState, current)
        state = lif_step(state, self._with_recurrence(current, state.spike), self.params())
        self._look(state.potential)
        return state.spike, state


class Readout(Constants, nn.Linear):
    """The output layer: a non-spiking integrator, read at the end of the sample.

        V[t] = decay V[t-1] + W x[t] + b

    Returns V[T-1], [B, out]: with decay = 1, the logits summed over time.

        model = torch.nn.Sequential(torch.nn.Linear(8, 128), tn.TCLIF(128), tn.Readout(128, 10))
        logits = model(x)    # x [T, B, 8] -> [B, 10]
    """

    constants: ClassVar[tuple[str, ...]] = ("decay",)

    def __init__(self, in_features: int, out_features: int, *, bias: bool = True, decay: float = 1.0) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self.decay = decay
        if not 0 <= decay <= 1:
            raise TclifError(f"Readout: decay {decay} is outside [0, 1]")

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[T, B, in] -> [B, out]. The weighted sum over time is taken first: one product, whatever T is.

        lengths: [B], the steps of each sample that are its own; V is read after the last of them (None: all are).
        """
        if lengths is not None:
            return self._at_own_end(x, lengths)
        age = torch.arange(len(x) - 1, -1, -1, dtype=x.dtype, device=x.device)
        weight = self.decay**age
        total = torch.einsum("t,tbn->bn", weight, x)
        logits = nn.functional.linear(total, self.weight)
        return logits if self.bias is None else logits + weight.sum() * self.bias

    def _at_own_end(self, x: Tensor, lengths: Tensor) -> Tensor:
        """V[lengths - 1], [B, out]."""
        lengths = lengths.to(x.device)
        own = own_steps(lengths, *x.shape[:2])
        age = (lengths - 1 - torch.arange(len(x), device=x.device)[:, None]).clamp(min=0).to(x.dtype)
        weight = own * self.decay**age
        total = torch.einsum("tb,tbn->bn", weight, within(x, lengths))
        logits = nn.functional.linear(total, self.weight)
        return logits if self.bias is None else logits + weight.sum(0)[:, None] * self.bias

    def scan(
        self, x: Tensor, potential: Tensor | None = None, t: int = 0, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """T steps of a stream: x [T, B, in] and V before them -> V after them, twice (output and state).

        lengths: as of `forward`.
        """
        if lengths is not None:
            return scan_within(self, x, lengths, potential, t)
        total = self(x)
        after = total if potential is None else self.decay ** len(x) * potential + total
        return after, after

    def sequence(self, x: Tensor, potential: Tensor | None = None) -> Tensor:
        """x [T, B, in], and V before it (None: 0) -> the potential after each step, [T, B, out]."""
        make_weights(self)
        current, out = super().forward(x), []
        potential = current.new_zeros(current.shape[1:]) if potential is None else potential
        for row in current:
            potential = self.decay * potential + row
            out.append(potential)
        return torch.stack(out) if out else current

    def step(self, x: Tensor, potential: Tensor | None = None, t: int = 0) -> tuple[Tensor, Tensor]:
        """One step of a stream: x[t], [B, in], and V before it -> V after it, twice (output and state)."""
        make_weights(self)
        current = super().forward(x)
        potential = current if potential is None else self.decay * potential + current
        return potential, potential
