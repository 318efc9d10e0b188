"""One hidden layer under e-prop: its states and eligibility traces, and the gradients they add up to."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tclif_neuro.learning import eprop_passes as passes
from tclif_neuro.learning.eprop_equations import Coefficients, Spiked, coefficient_slopes, transition
from tclif_neuro.neurons.modules import LIF, TwoCompartment
from tclif_neuro.neurons.scan import compiled
from tclif_neuro.neurons.spikes import Spikes


class EligibleLayer:
    """A `Linear` and the neurons it drives.

    A neuron has I inputs: x, the layer's own last spikes if it is recurrent, and a constant 1 for the bias. If nothing
    in the traces' equations belongs to one neuron alone (`per_input`), they are kept once for all neurons, [2, B, I];
    else for every synapse, [2, B, N, I]. The layer's own parameters have traces [2, B, N] each.
    """

    def __init__(self, linear: nn.Linear, neurons: TwoCompartment | LIF) -> None:
        self.linear, self.neurons = linear, neurons
        self.own = [p for p in neurons.parameters(recurse=False) if p.requires_grad]
        self.inputs = linear.in_features + (neurons.size if neurons.recurrent is not None else 0) + 1
        self.per_input = Coefficients.of(neurons, 1, 0).per_input
        self.grad = linear.weight.new_zeros(neurons.size, self.inputs, requires_grad=False)
        self.own_grads = [torch.zeros(neurons.size, dtype=torch.float64, device=p.device) for p in self.own]

    def reset(self, batch: int) -> None:
        """Begin a sample: states, traces and gradients are zero."""
        n, zeros = self.neurons.size, self.grad.new_zeros
        self.t = 0
        self.state = zeros(3, batch, n)
        self.last = Spiked(*zeros(3, 1, batch, n))
        self.trace = zeros(2, batch, self.inputs) if self.per_input else zeros(2, batch, n, self.inputs)
        self.own_traces = [zeros(2, batch, n) for _ in self.own]
        self.grad.zero_()
        for grad in self.own_grads:
            grad.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """K steps of input [K, B, M] -> spikes [K, B, N]. What `learn` needs of them is kept until it is called."""
        with torch.enable_grad():
            c = Coefficients.of(self.neurons, len(x), self.t)
            self._slopes = [coefficient_slopes(c, p) for p in self.own]
        self._c, self._x, self._before = c, x, self.state[2].clone()
        current = nn.functional.linear(x, self.linear.weight, self.linear.bias)
        self._chunk = passes.advance(current, self.state, c, self.neurons.recurrent_weight, bool(self.own))
        self.t += len(x)
        spikes = self._chunk.spiked.spike
        return Spikes.mark(spikes) if compiled(spikes) else spikes

    def back(self, signal: Tensor) -> Tensor:
        """The learning signal of the layer below at the same step [O 34]: W^T (L psi dUS/dI), and dUS/dI = b2."""
        return (signal * self._chunk.spiked.psi * self._c.b2) @ self.linear.weight

    def learn(self, signal: Tensor | None) -> None:
        """Advance the traces over the chunk; with a learning signal L = dE/dS [K, B, N], add to the gradients."""
        psi = self._chunk.spiked.psi
        factor = torch.zeros_like(psi) if signal is None else signal * psi
        moved = self._moved()
        direct = self._direct()
        if self.per_input:
            traces = passes.input_traces(direct, self.trace, self._c)
            if signal is not None:
                self.grad.addmm_(factor.flatten(0, 1).T, traces.flatten(0, 1))
        else:
            passes.synapse_gradient(direct, factor, self.trace, self.grad, self._c, moved)
        for slopes, trace, grad in zip(self._slopes, self.own_traces, self.own_grads, strict=True):
            if slopes is not None:
                grad += passes.coefficient_gradient(self._chunk, slopes, factor, trace, self._c, moved)

    def _moved(self) -> passes.Moved:
        now = self._chunk.spiked
        last = Spiked(*(torch.cat([a, b[:-1]]) for a, b in zip(self.last, now, strict=True)))
        self.last = Spiked(*(a[-1:].clone() for a in now))
        return passes.Moved(*transition(self._c, last))

    def _direct(self) -> Tensor:
        """D [K, B, I]: x[t], S[t-1] if recurrent, 1."""
        parts = [self._x.as_subclass(Tensor)]
        if self.neurons.recurrent is not None:
            parts.append(torch.cat([self._before[None], self._chunk.spiked.spike[:-1]]))
        return torch.cat([*parts, self._x.new_ones(*self._x.shape[:-1], 1)], -1)

    def take(self, steps: int) -> None:
        """Put the gradients of the mean loss of `steps` steps into .grad, and begin anew."""
        mean, inputs = self.grad / steps, self.linear.in_features
        _put(self.linear.weight, mean[:, :inputs])
        _put(self.linear.bias, mean[:, -1])
        _put(self.neurons.recurrent_weight, mean[:, inputs:-1])
        for parameter, grad in zip(self.own, self.own_grads, strict=True):
            _put(parameter, (grad / steps).sum_to_size(parameter.shape))
            grad.zero_()
        self.grad.zero_()


def _put(parameter: Tensor | None, grad: Tensor) -> None:
    if parameter is not None and parameter.requires_grad:
        parameter.grad = grad.to(parameter.dtype).contiguous()
