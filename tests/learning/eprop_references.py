"""What e-prop is held against: networks under autograd whose paths it leaves out are cut."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from tclif_neuro.neurons.general import CUBALIF, GeneralizedTCLIF
from tclif_neuro.neurons.layer import SpikingLayer
from tclif_neuro.neurons.modules import LIF, TCLIF, AdaptiveTCLIF, Readout, RelaxedTCLIF
from tclif_neuro.neurons.surrogate import Surrogate

KINDS = [
    (TCLIF, "delayed"), (TCLIF, "immediate"), (RelaxedTCLIF, "delayed"), (RelaxedTCLIF, "immediate"),
    (AdaptiveTCLIF, "delayed"), (AdaptiveTCLIF, "immediate"), (LIF, "delayed"), (LIF, "immediate"), (LIF, "zero"),
    (GeneralizedTCLIF, "delayed"), (GeneralizedTCLIF, "immediate"), (CUBALIF, "delayed"), (CUBALIF, "zero"),
]  # fmt: skip


@st.composite
def neurons(draw: st.DrawFn, size: int) -> SpikingLayer:
    """A layer of any kind: reset, surrogate, gradient through the reset, coefficients shared or not, recurrence."""
    kind, reset = draw(st.sampled_from(KINDS))
    arguments = {
        "reset": reset,
        "recurrent": draw(st.booleans()),
        "per_neuron": draw(st.booleans()),
        "reset_grad": draw(st.sampled_from(["keep", "detach"])),
        "vth": draw(st.sampled_from([0.7, 1.0])),
        "surrogate": Surrogate(draw(st.sampled_from(["triangle", "arctan", "fast_sigmoid"])), 0.8),
    }
    if kind is LIF:
        arguments["learn_beta"] = draw(st.booleans())
    if kind is CUBALIF:
        arguments["learn_decays"] = draw(st.booleans())
    if issubclass(kind, RelaxedTCLIF):
        arguments["learn_couplings"] = draw(st.booleans())
    return kind(size, **arguments)


@st.composite
def models(draw: st.DrawFn, layers: int = 1) -> nn.Sequential:
    """A network in float64 with `layers` hidden layers, every parameter of it random, and a Readout of any decay."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=layers + 1, max_size=layers + 1))
    modules: list[nn.Module] = []
    for inputs, size in pairwise(sizes):
        modules += [nn.Linear(inputs, size, bias=draw(st.booleans())), draw(neurons(size))]
    decay = draw(st.sampled_from([0.0, 0.8, 1.0]))
    model = nn.Sequential(*modules, Readout(sizes[-1], 3, bias=draw(st.booleans()), decay=decay)).double()
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(0.7 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return model


def spikes_of(layer: SpikingLayer, current: Tensor, *, through_time: bool = True) -> Tensor:
    """Step by step with the recurrent input detached; without `through_time` the whole state before each step too."""
    recurrent, state, out = layer.recurrent, layer.rest(current.shape[1], current), []
    layer.recurrent = None
    try:
        for t, row in enumerate(current):
            if not through_time:
                state = type(state)(*(s.detach() for s in state))
            if recurrent is not None:
                row = row + recurrent(state.spike.detach())
            spike, state = layer.step(row, state, t)
            out.append(spike)
    finally:
        layer.recurrent = recurrent
    return torch.stack(out)


def gradients(loss: Tensor, parameters: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]


def eprop_gradients(
    model: nn.Sequential, x: Tensor, losses: Callable[[Tensor, Tensor], Tensor], feedback: list[Tensor] | None = None
) -> dict[str, Tensor]:
    """The gradient that e-prop is defined to have, by autograd.

    A hidden layer's: of the loss in which the layers above it forget their state at every step (with `feedback`, of
    errors times a fixed matrix instead), and V[t] is a function of the spikes of step t alone. The readout's: of the
    loss itself. losses: (V [T, B, C], W x + b [T, B, C]) -> the loss.
    """
    names = {id(p): name for name, p in model.named_parameters()}
    readout, found = model[-1], {}
    for own in range(0, len(model) - 1, 2):
        s = x
        for i in range(0, len(model) - 1, 2):
            s = spikes_of(model[i + 1], model[i](s), through_time=i == own)
            if i == own:
                own_spikes = s
        current = nn.functional.linear(s, readout.weight, readout.bias)
        potential = forgetful(current, readout.decay)
        loss = losses(potential, current)
        if feedback is not None:
            errors = torch.autograd.grad(loss, potential, retain_graph=True, allow_unused=True)[0]
            if errors is None:
                errors = torch.autograd.grad(loss, current, retain_graph=True)[0]
            loss = ((errors @ feedback[own // 2]).detach() * own_spikes).sum()
        parameters = [*model[own].parameters(), *model[own + 1].parameters()]
        found |= {names[id(p)]: g for p, g in zip(parameters, gradients(loss, parameters), strict=True)}
    exact = losses(readout.sequence(s.detach()), nn.functional.linear(s.detach(), readout.weight, readout.bias))
    found |= {
        names[id(p)]: g for p, g in zip(readout.parameters(), gradients(exact, list(readout.parameters())), strict=True)
    }
    return found


def forgetful(current: Tensor, decay: float) -> Tensor:
    """V[t] = decay V[t-1] + I[t] with no gradient to V[t-1]."""
    potential, out = torch.zeros_like(current[0]), []
    for row in current:
        potential = decay * potential.detach() + row
        out.append(potential)
    return torch.stack(out)
