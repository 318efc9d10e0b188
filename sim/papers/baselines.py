"""The neurons that TC-LIF is compared with, and networks of them of equal parameters: ALIF, GLIF and an LSTM.

They are for float comparisons alone, plain loops over time: no integers, no e-prop. Every network here is
inputs-n-n-outputs with a `Readout`; all but the LSTM have the same matrices, and a few numbers per neuron besides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

import tclif_neuro as tn
from tclif_neuro.neurons.parts import logit
from tclif_neuro.neurons.surrogate import Surrogate

SPIKE = Surrogate("triangle")


class Looped(nn.Module):
    """N neurons, one step after the other: currents [T, B, N] -> spikes [T, B, N], from rest; `recurrent` as elsewhere.

    A kind gives `steps`: a generator that is sent I[t] [B, N] and yields S[t].
    """

    def __init__(self, size: int, recurrent: bool) -> None:
        super().__init__()
        self.size = size
        self.recurrent = nn.Linear(size, size, bias=False) if recurrent else None

    def learnt(self, **values: float) -> None:
        """A parameter of N numbers per name, all of them that value at the start."""
        for name, value in values.items():
            self.register_parameter(name, nn.Parameter(torch.full((self.size,), value)))

    def steps(self, rest: Tensor) -> Iterator[Tensor]:
        """See the class. rest: zeros [B, N]."""
        raise NotImplementedError

    def forward(self, current: Tensor) -> Tensor:
        """Spikes [T, B, N]."""
        neurons: Any = self.steps(torch.zeros_like(current[0]))
        spike, spikes = next(neurons), []
        for row in current:
            spike = neurons.send(row if self.recurrent is None else row + self.recurrent(spike))
            spikes.append(spike)
        return torch.stack(spikes)


class ALIF(Looped):
    """The LIF with an adaptive threshold [Bellec et al. 2018; Yin et al. 2021], soft reset in the next step.

        h[t] = rho h[t-1] + (1 - rho) S[t-1];    theta[t] = base + 1.8 h[t]
        U[t] = alpha U[t-1] + I[t] - theta[t] S[t-1];    S[t] = U[t] >= theta[t]

    alpha, rho: where the decays begin; both are learnt, one per neuron. normalised: (1 - alpha) I[t] instead of I[t].
    """

    def __init__(
        self,
        size: int,
        *,
        recurrent: bool = False,
        alpha: float = 0.9,
        rho: float = 0.98,
        base: float = 1.0,
        normalised: bool = False,
    ) -> None:
        super().__init__(size, recurrent)
        self.base, self.normalised = base, normalised
        self.learnt(raw_alpha=logit(alpha, "alpha"), raw_rho=logit(rho, "rho"))

    def steps(self, rest: Tensor) -> Iterator[Tensor]:
        """See `Looped`."""
        alpha, rho = self.raw_alpha.sigmoid(), self.raw_rho.sigmoid()
        gain = 1 - alpha if self.normalised else torch.ones_like(alpha)
        potential = adaptation = spike = rest
        while True:
            current = yield spike
            adaptation = rho * adaptation + (1 - rho) * spike
            threshold = self.base + 1.8 * adaptation
            potential = alpha * potential + gain * current - threshold * spike
            spike = SPIKE(potential - threshold)


class GLIF(Looped):
    """The gated LIF [Yao et al. 2022]: three gates, each learnt per neuron, mix leaks, inputs and resets.

        U[t] = (1 - p (1 - tau)) U[t-1] (1 - q S[t-1]) - (1 - p) leak + (1 - r (1 - g)) I[t] - (1 - q) reset S[t-1]
        S[t] = U[t] >= vth

    p, r, q: the gates of leak, input and reset; tau, g in (0, 1), leak, reset and vth are learnt per neuron, too. The
    gates begin as in the authors' code. g is one number per neuron and not one per step, and tau and leak begin slower
    than theirs, which are for 4 steps.
    """

    def __init__(self, size: int, *, recurrent: bool = False, tau: float = 0.9, leak: float = 0.01) -> None:
        super().__init__(size, recurrent)
        for name, start in {"p": 0.55, "r": 0.65, "q": 0.55, "tau": tau, "g": 0.5}.items():
            self.learnt(**{f"raw_{name}": logit(start, name)})
        self.learnt(leak=leak, reset=1.0, vth=1.0)

    def steps(self, rest: Tensor) -> Iterator[Tensor]:
        """See `Looped`."""
        p, r, q, tau, g = (getattr(self, f"raw_{name}").sigmoid() for name in ("p", "r", "q", "tau", "g"))
        decay, leak, gain, reset = 1 - p * (1 - tau), (1 - p) * self.leak, 1 - r * (1 - g), (1 - q) * self.reset
        potential = spike = rest
        while True:
            current = yield spike
            potential = decay * potential * (1 - q * spike) - leak + gain * current - reset * spike
            spike = SPIKE(potential - self.vth)


class LSTM(nn.Module):
    """Two layers of LSTM cells, [T, B, M] -> [T, B, N], whose forget gates begin with a bias of 1, as is usual."""

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.cells = nn.LSTM(inputs, size, num_layers=2)
        with torch.no_grad():
            for layer in range(2):
                getattr(self.cells, f"bias_ih_l{layer}")[size : 2 * size] = 1.0

    def forward(self, x: Tensor) -> Tensor:
        """The hidden states of the second layer."""
        hidden: Tensor = self.cells(x)[0]
        return hidden


def tclif(size: int, *, recurrent: bool) -> nn.Module:
    """TC-LIF from the couplings of the paper's S-MNIST networks: (-0.5, 0.5), recurrent ones (-0.82, 0.38)."""
    return tn.TCLIF(size, recurrent=recurrent, c1=1.5 if recurrent else 0.0, c2=-0.5 if recurrent else 0.0)


NEURONS: dict[str, Callable[..., nn.Module]] = {
    "LIF": tn.LIF,
    "LIF, learnt leak": lambda size, recurrent: tn.LIF(size, recurrent=recurrent, learn_beta=True, per_neuron=True),
    "ALIF": ALIF,
    "GLIF": GLIF,
    "TC-LIF": tclif,
}


def network(name: str, size: int, outputs: int, *, inputs: int = 1, recurrent: bool = False) -> nn.Sequential:
    """The network of the neurons `name`, or the LSTM whose parameters are as many as those of TC-LIF there."""
    if name == "LSTM":
        wanted = parameters(network("TC-LIF", size, outputs, inputs=inputs, recurrent=recurrent))
        return min((lstm(inputs, n, outputs) for n in range(2, 2 * size)), key=lambda m: abs(parameters(m) - wanted))
    layers: list[nn.Module] = []
    for m in (inputs, size):
        layers += [nn.Linear(m, size), NEURONS[name](size, recurrent=recurrent)]
    return nn.Sequential(*layers, tn.Readout(size, outputs))


def lstm(inputs: int, size: int, outputs: int) -> nn.Sequential:
    """LSTM cells and a readout of the last step alone; of one that sums over time, as of spikes, they learn less."""
    return nn.Sequential(LSTM(inputs, size), tn.Readout(size, outputs, decay=0.0))


def parameters(model: nn.Module) -> int:
    """How many numbers are learnt."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
