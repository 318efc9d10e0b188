"""The same network in every library: Linear and spiking layers alternate, and a linear readout summed over time.

A model maps [T, B, in] to logits [B, out]; its last module is the readout. Each library is used as its own tutorial
does. Libraries are imported when their model is built: no environment has them all.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Sizes = Sequence[int]
DECAY = 0.9


class StepByStep(nn.Module):
    """A Python loop over time; a layer maps (input, state) to (spikes, state)."""

    def __init__(self, layers: Iterable[nn.Module], readout: nn.Module) -> None:
        super().__init__()
        self.layers, self.readout = nn.ModuleList(layers), readout

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, in] -> [B, out]."""
        states: list[Any] = [None] * len(self.layers)
        logits = torch.zeros(())
        for row in x:
            for i, layer in enumerate(self.layers):
                row, states[i] = layer(row, states[i])
            logits = logits + self.readout(row)
        return logits


class _Triangle(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grads[0] * (1 - x.abs()).clamp(min=0)


class StepwiseTCLIF(nn.Module):
    """TC-LIF [Zhang et al. 2024] one step at a time in plain PyTorch, with the immediate reset of the released code."""

    def __init__(self, m: int, n: int, recurrent: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(m, n)
        self.recurrent = nn.Linear(n, n, bias=False) if recurrent else None
        self.c1, self.c2 = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor, Tensor] | None) -> tuple[Tensor, Any]:
        """Spikes [B, N] and the state: dendrite, soma and spikes."""
        current = self.linear(x)
        dendrite, soma, spike = state or (torch.zeros_like(current),) * 3
        if self.recurrent is not None:
            current = current + self.recurrent(spike)
        dendrite = dendrite - torch.sigmoid(self.c1) * soma + current
        soma = soma + torch.sigmoid(self.c2) * dendrite
        spike = _Triangle.apply(soma - 1.0)
        return spike, (dendrite - 0.5 * spike, soma - spike, spike)


class WithLinear(nn.Module):
    """A library's neuron behind a Linear; `step` calls it, whatever its interface."""

    def __init__(self, m: int, neuron: nn.Module, n: int, step: Callable[..., tuple[Tensor, Any]]) -> None:
        super().__init__()
        self.linear, self.neuron, self.step = nn.Linear(m, n), neuron, step

    def forward(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Spikes [B, N] and the state."""
        return self.step(self.neuron, self.linear(x), state)


def _stepwise(sizes: Sizes, recurrent: bool) -> nn.Module:
    layers = (StepwiseTCLIF(m, n, recurrent) for m, n in itertools.pairwise(sizes[:-1]))
    return StepByStep(layers, nn.Linear(*sizes[-2:]))


def _ours(neuron: str, **options: Any) -> Callable[[Sizes, bool], nn.Module]:
    def build(sizes: Sizes, recurrent: bool) -> nn.Module:
        import tclif_neuro as tn

        pairs = itertools.pairwise(sizes[:-1])
        layers = ((nn.Linear(m, n), getattr(tn, neuron)(n, recurrent=recurrent, **options)) for m, n in pairs)
        return nn.Sequential(*itertools.chain.from_iterable(layers), tn.Readout(*sizes[-2:]))

    return build


def _snntorch(sizes: Sizes, recurrent: bool) -> nn.Module:
    import snntorch as snn

    def step(neuron: nn.Module, current: Tensor, state: Any) -> tuple[Tensor, Any]:
        zero = torch.zeros_like(current)
        if recurrent:
            state = neuron(current, *(state or (zero, zero)))
            return state[0], state
        return neuron(current, zero if state is None else state)

    def neuron(n: int) -> nn.Module:
        return snn.RLeaky(beta=DECAY, linear_features=n) if recurrent else snn.Leaky(beta=DECAY)

    layers = (WithLinear(m, neuron(n), n, step) for m, n in itertools.pairwise(sizes[:-1]))
    return StepByStep(layers, nn.Linear(*sizes[-2:]))


class _SpikingJelly(nn.Module):
    def __init__(self, sizes: Sizes, recurrent: bool, mode: str) -> None:
        super().__init__()
        from spikingjelly.activation_based import functional, layer, neuron

        def spiking(n: int) -> nn.Module:
            node = neuron.LIFNode(tau=1 / (1 - DECAY), decay_input=False, step_mode="s" if recurrent else mode)
            return layer.LinearRecurrentContainer(node, n, n, step_mode=mode) if recurrent else node

        layers = ((nn.Linear(m, n), spiking(n)) for m, n in itertools.pairwise(sizes[:-1]))
        self.reset, self.mode = functional.reset_net, mode
        self.body = nn.Sequential(*itertools.chain.from_iterable(layers))
        self.readout = nn.Linear(*sizes[-2:])

    def forward(self, x: Tensor) -> Tensor:
        self.reset(self.body)
        if self.mode == "m":
            return self.readout(self.body(x)).sum(0)
        logits = torch.zeros(())
        for row in x:
            logits = logits + self.readout(self.body(row))
        return logits


def _norse(sizes: Sizes, recurrent: bool) -> nn.Module:
    from norse.torch import LIFCell, LIFRecurrentCell

    pairs = itertools.pairwise(sizes[:-1])
    if recurrent:  # a cell of Norse's with both weights, its own
        layers: list[nn.Module] = [LIFRecurrentCell(m, n) for m, n in pairs]
    else:
        layers = [WithLinear(m, LIFCell(), n, lambda cell, current, state: cell(current, state)) for m, n in pairs]
    return StepByStep(layers, nn.Linear(*sizes[-2:]))


class _LavaDL(nn.Module):
    def __init__(self, sizes: Sizes, recurrent: bool) -> None:
        super().__init__()
        from lava.lib.dl import slayer

        block = slayer.block.cuba.Recurrent if recurrent else slayer.block.cuba.Dense
        neuron = {"threshold": 1.0, "current_decay": 0.25, "voltage_decay": 1 - DECAY}
        self.body = nn.Sequential(*(block(dict(neuron), m, n) for m, n in itertools.pairwise(sizes[:-1])))
        self.readout = nn.Linear(*sizes[-2:])

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.body(x.permute(1, 2, 0)).permute(2, 0, 1)).sum(0)


class _RNN(nn.Module):
    """torch's own recurrent layers, on a card by cuDNN: no neurons, but a bound on the time that neurons take."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.RNN(m, n) for m, n in itertools.pairwise(sizes[:-1]))
        self.readout = nn.Linear(*sizes[-2:])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x, _ = layer(x)
        return self.readout(x).sum(0)


class _Checkpointed(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        import tclif_neuro as tn

        return tn.checkpointed(nn.Sequential(*self), x)


BUILD: dict[str, Callable[[Sizes, bool], nn.Module]] = {
    "tclif": _ours("TCLIF", reset="immediate"),  # the neuron that "stepwise" is, with the same weights
    "detached": _ours("TCLIF", reset="immediate", reset_grad="detach"),
    "checkpointed": lambda sizes, recurrent: _Checkpointed(*BUILD["tclif"](sizes, recurrent).children()),
    "lif": _ours("LIF", beta=DECAY),
    "stepwise": _stepwise,
    "snntorch": _snntorch,
    "spikingjelly": lambda sizes, recurrent: _SpikingJelly(sizes, recurrent, "s"),
    "spikingjelly-multi": lambda sizes, recurrent: _SpikingJelly(sizes, recurrent, "m"),
    "norse": _norse,
    "lava-dl": _LavaDL,
    "rnn": lambda sizes, recurrent: _RNN(sizes),
}
