"""One hidden layer under e-prop: its states and eligibility traces, and the gradients they add up to."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tclif_neuro.learning.eprop import chunks as passes
from tclif_neuro.learning.eprop.equations import Coefficients, Slopes, Spiked, coefficient_slopes
from tclif_neuro.learning.eprop.signal import add, put
from tclif_neuro.neurons.grid import behind
from tclif_neuro.neurons.layer import TwoCompartment
from tclif_neuro.neurons.modules import LIF
from tclif_neuro.neurons.parts import widest

AHEAD = 64  # steps for which a layer's coefficients are made at once


class Afferents:
    """The synapses from one source to all N neurons of a layer: W, R, or the bias (from a source that is always 1).

    trace: d and e, [2, B, n, I], for I inputs; n is 1 if `per_input`, all neurons sharing them, else N. grad: [N, I].
    owner, name: the module that has the weight.
    """

    def __init__(self, owner: nn.Module, name: str, per_input: bool) -> None:
        self.owner, self.name, self.weight = owner, name, behind(owner, name)
        size, inputs = len(self.weight), self.weight[0].numel()
        self.grad, self.shape = self.weight.new_zeros(0), (1 if per_input else size, inputs)
        self.zero_grad()

    def zero_grad(self) -> None:
        """Nothing accumulated. The kernels that share traces add to the rows of an input, the others to a neuron's."""
        n, inputs = self.shape
        zeros = torch.zeros(inputs, len(self.weight), dtype=self.weight.dtype, device=self.weight.device)
        self.grad = zeros.T if n == 1 else zeros.view(len(self.weight), inputs)

    def take(self, steps: float) -> None:
        """Add the gradient of the mean loss of `steps` steps to .grad, and begin anew."""
        put(self.owner, self.name, self.grad / steps)
        self.zero_grad()

    def reset(self, batch: int) -> None:
        """Begin a sample."""
        self.trace = self.grad.new_zeros(2, batch, *self.shape)
        self.zero_grad()


class EligibleLayer:
    """A `Linear` and the neurons it drives.

    If nothing in the traces' equations belongs to one neuron alone (`per_input`), they are kept once for all neurons,
    one pair per input and sample; else one per synapse and sample. The layer's own parameters have traces [2, B,
    N].
    """

    def __init__(self, linear: nn.Linear, neurons: TwoCompartment | LIF) -> None:
        self.linear, self.neurons = linear, neurons
        self.per_input = Coefficients.of(neurons, 1, 0).per_input
        self.afferents = [
            Afferents(owner, name, self.per_input)
            for owner, name in ((linear, "weight"), (neurons.recurrent, "weight"), (linear, "bias"))
            if owner is not None and getattr(owner, name) is not None
        ]
        self.own = [p for p in neurons.parameters(recurse=False) if p.requires_grad]
        self.own_grads = [torch.zeros(neurons.size, dtype=widest(p), device=p.device) for p in self.own]

    def reset(self, batch: int) -> None:
        """Begin a sample: states, traces and gradients are zero."""
        n, zeros = self.neurons.size, self.afferents[0].grad.new_zeros
        self.t = self._start = 0
        self._table: tuple[passes.Constants, list[Slopes | None]] | None = None
        self.state = zeros(3, batch, n)
        self.last = Spiked(*zeros(3, 1, batch, n))
        self.own_traces = [zeros(2, batch, n) for _ in self.own]
        for afferents in self.afferents:
            afferents.reset(batch)
        for grad in self.own_grads:
            grad.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """K steps of input [K, B, M] -> spikes [K, B, N]. What `learn` needs of them is kept until it is called."""
        self._k, self._slopes = self._constants(len(x))
        self._x, self._before = x, self.state[2].clone()
        current = nn.functional.linear(x, self.linear.weight, self.linear.bias)
        self._chunk = passes.advance(current, self.state, self._k, self.neurons.recurrent_weight, bool(self.own))
        self.t += len(x)
        return passes.mark(self._chunk.spiked.spike)

    def _constants(self, steps: int) -> tuple[passes.Constants, list[Slopes | None]]:
        """The coefficients of the next steps, and their derivatives by the layer's own parameters.

        They are made for `AHEAD` steps, and again after an update.
        """
        if self._table is None or self.t + steps > self._start + AHEAD:
            self._start = self.t
            with torch.enable_grad():
                c = Coefficients.of(self.neurons, max(steps, AHEAD), self.t)
                slopes = [coefficient_slopes(c, p) for p in self.own]
            self._table = passes.Constants.of(c.detach(), self.neurons.recurrent_weight, self.state), slopes
        first, (constants, slopes) = self.t - self._start, self._table
        return constants.rows(first, steps), [None if s is None else passes.rows(s, first, steps) for s in slopes]

    def learn(self, signal: Tensor | None) -> Tensor:
        """Advance the traces over the chunk; with a learning signal L = dE/dS [K, B, N], add to the gradients.

        Returns L psi [K, B, N], zeros without a signal.
        """
        psi = self._chunk.spiked.psi
        factor = torch.zeros_like(psi) if signal is None else signal * psi
        moved, self.last = passes.movement(self._chunk, self.last, self._k.c)
        found = passes.sums(factor, self._k, moved) if self._k.reordered else None
        for afferents, x in zip(self.afferents, self._sources(), strict=True):
            if found is not None:
                passes.learn_reordered(x, afferents.trace, afferents.grad, self._k, found)
            else:
                passes.learn_plainly(x, factor, afferents.trace, afferents.grad, self._k.c, moved)
        for slopes, trace, grad in zip(self._slopes, self.own_traces, self.own_grads, strict=True):
            if slopes is not None:
                grad += passes.coefficient_gradient(self._chunk, slopes, factor, trace, self._k, moved)
        return factor

    def back(self, factor: Tensor) -> Tensor:
        """The learning signal of the layer below at the same step [O 34]: W^T (L psi dUS/dI), and dUS/dI = b2."""
        return (factor * self._k.c.b2) @ self.linear.weight

    def _sources(self) -> list[Tensor]:
        """Return the signals of the afferents, D [K, B, I] each: x[t], S[t-1], 1."""
        sources = [self._x]
        if self.neurons.recurrent is not None:
            sources.append(passes.mark(torch.cat([self._before[None], self._chunk.spiked.spike[:-1]])))
        if self.linear.bias is not None:
            sources.append(self._x.new_ones(*self._x.shape[:-1], 1))
        return sources

    def take(self, steps: float) -> None:
        """Add the gradients of the mean loss of `steps` steps to .grad, and begin anew."""
        self._table = None
        for afferents in self.afferents:
            afferents.take(steps)
        for parameter, grad in zip(self.own, self.own_grads, strict=True):
            add(parameter, (grad / steps).sum_to_size(parameter.shape))
            grad.zero_()
