"""The passes of e-prop over a chunk of K steps: compiled where scans are (see `neurons.scan`), else in torch.

Shapes: K steps, B samples, N neurons, I inputs. What a pass carries to the next chunk (states, traces, gradients) it
changes in place. Compiled, and on every device but the CPU, the sums over a chunk are reordered as `eprop_kernels`
says; plain, they are the equations.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tclif_neuro.errors import TclifError
from tclif_neuro.learning.eprop import kernels as eprop_kernels
from tclif_neuro.learning.eprop import products
from tclif_neuro.learning.eprop.equations import (
    Coefficients,
    Slopes,
    Spiked,
    Trace,
    at,
    neuron_step,
    trace_step,
    transition,
)
from tclif_neuro.neurons import kernels
from tclif_neuro.neurons.entries import expect
from tclif_neuro.neurons.parts import widest
from tclif_neuro.neurons.scan import compiled, for_kernels
from tclif_neuro.neurons.spikes import DENSE_ABOVE, Spikes
from tclif_neuro.neurons.step import TCLIFState
from tclif_neuro.threads import in_parts

PARTS, TASK = 8, 2**14  # the samples of a chunk are cut into at most so many tasks, of at least so many values
GROUP = 4096  # synapses of a task
WIDTH = 128  # neurons whose gradients a task adds up
MANY = 256  # rows of a chunk from which finding events pays

Events = tuple[Tensor, Tensor]  # the indices of the inputs that spiked, and where each row's begin


class Constants(NamedTuple):
    """A layer's coefficients for some steps, and the same as the kernels want them; None: run in torch.

    reordered: whether the sums over a chunk are.
    """

    c: Coefficients
    wide: kernels.Neurons | None
    reordered: bool

    @classmethod
    def of(cls, c: Coefficients, recurrent: Tensor | None, state: Tensor) -> Constants:
        """recurrent: R [N, N] or None; state: [3, B, N], which says whether to run compiled."""
        wide = _wide(c, recurrent, state) if compiled(state) else None
        return cls(c, wide, wide is not None or reorders(state))

    def check(self, x: Tensor) -> None:
        """Raise `TclifError` unless these are the constants of x [K, B, N], and of its type."""
        if self.wide is not None and (self.wide.a1.shape[-1], str(self.wide.a1.dtype)) != (x.shape[-1], _name(x)):
            found = f"{self.wide.a1.shape[-1]} neurons of {self.wide.a1.dtype}"
            raise TclifError(f"e-prop: a layer of {found}, with {x.shape[-1]} currents of {_name(x)}")

    def rows(self, start: int, steps: int) -> Constants:
        """Those of `steps` of the steps."""
        a1, a2 = (a if len(a) == 1 else a[start : start + steps] for a in (self.c.a1, self.c.a2))
        wide = self.wide
        if wide is not None and len(wide.a1) > 1:
            wide = wide._replace(a1=wide.a1[start : start + steps], a2=wide.a2[start : start + steps])
        return Constants(replace(self.c, a1=a1, a2=a2), wide, self.reordered)


class Chunk(NamedTuple):
    """A layer's activity in K steps.

    spiked: each [K, B, N]; its soma is empty unless the reset needs it. Empty unless asked for: before, UD and US
    before each step [2, K, B, N], and dendrite, UD before a reset of the same step [K, B, N].
    """

    spiked: Spiked
    before: Tensor
    dendrite: Tensor


class Moved(NamedTuple):
    """`transition`'s couple and decay, [K or 1, B or 1, N]."""

    couple: Tensor
    decay: Tensor


class Sums(NamedTuple):
    """Sums over a chunk as sums of what entered the traces, see `eprop_kernels.adjoint`: of factor e, and for traces of
    synapses also d and e after the chunk. entered: their derivatives by D[t], [1 or 3, K, B, N]; carried: by (d, e)
    before the chunk, [1 or 3, 2, B, N]."""

    entered: Tensor
    carried: Tensor


def advance(current: Tensor, state: Tensor, k: Constants, recurrent: Tensor | None, wants_states: bool) -> Chunk:
    """K steps of a layer from `state` [3, B, N] (UD, US, S), which becomes that after them.

    current: [K, B, N]; recurrent: R [N, N] or None.
    """
    steps, batch, size = current.shape
    expect("e-prop: states (UD, US, S)", state, (3, batch, size), current)
    k.check(current)
    kept, soma_kept = steps if wants_states else 0, steps if k.c.reset == "zero" else 0
    chunk = Chunk(
        Spiked(torch.empty_like(current), torch.empty_like(current), current.new_empty(soma_kept, batch, size)),
        current.new_empty(2, kept, batch, size),
        current.new_empty(kept, batch, size),
    )
    if k.wide is not None:
        psi, spike, soma = chunk.spiked
        arrays = _arrays(current.contiguous(), state, spike, psi, soma, chunk.before, chunk.dendrite)
        in_parts(eprop_kernels.advance, *_samples(current), k.wide, *arrays)
    else:
        _advance_plainly(current, state, k.c, recurrent, chunk)
    return chunk


def _advance_plainly(current: Tensor, state: Tensor, c: Coefficients, recurrent: Tensor | None, chunk: Chunk) -> None:
    for t, row in enumerate(current):
        if len(chunk.dendrite):
            chunk.before[:, t] = state[:2]
        row = row if recurrent is None else row + state[2] @ recurrent.T
        reached, after = neuron_step(TCLIFState(*state), row, t, c)
        chunk.spiked.psi[t] = c.surrogate.psi(reached.soma - c.vth)
        chunk.spiked.spike[t] = reached.spike
        if len(chunk.spiked.soma):
            chunk.spiked.soma[t] = reached.soma
        if len(chunk.dendrite):
            chunk.dendrite[t] = reached.dendrite
        state.copy_(torch.stack(after))


def reorders(state: Tensor) -> bool:
    """Return whether a layer that does not run compiled takes the sums of a chunk as products: a launch each, where the
    equations take several per step."""
    return state.device.type != "cpu"


def movement(chunk: Chunk, last: Spiked, c: Coefficients) -> tuple[Moved, Spiked]:
    """Return how the traces move in the chunk, and its last step; last: the step before it, each [1, B, N]."""
    if not c.keep and c.reset != "zero":
        moved = transition(c, last)
    else:
        earlier = [torch.cat([a, b[:-1]]) if len(b) else a for a, b in zip(last, chunk.spiked, strict=True)]
        moved = transition(c, Spiked(*earlier))
        last = Spiked(*(b[-1:].clone() if len(b) else a for a, b in zip(last, chunk.spiked, strict=True)))
    size = chunk.spiked.psi.shape[-1]
    return Moved(*(m.expand(*m.shape[:-1], size).contiguous() for m in moved)), last


def sums(factor: Tensor, k: Constants, moved: Moved) -> Sums:
    """The reordered sums of a chunk; factor: L psi [K, B, N]."""
    steps, batch, size = factor.shape
    for moving in moved:
        at_most = (min(len(moving), steps), min(moving.shape[1], batch), size)
        expect("e-prop: how traces move", moving, at_most, factor)
    k.check(factor)
    parts = 1 if k.c.per_input else 3
    entered = factor.new_zeros(parts, steps, batch, size)
    carried = factor.new_zeros(parts, 2, batch, size)
    entered[0] = factor
    for part in range(1, parts):
        carried[part, part - 1] = 1
    if k.wide is None:
        products.adjoint(entered, carried, k.c, *moved)
        return Sums(entered, carried)
    for e, end in zip(entered, carried, strict=True):
        in_parts(eprop_kernels.adjoint, *_samples(factor), k.wide, *_arrays(*moved, e, end))
    return Sums(entered, carried)


def learn_reordered(x: Tensor, trace: Tensor, grad: Tensor, k: Constants, found: Sums) -> None:
    """`learn_plainly`, by the sums of `eprop_kernels`."""
    (steps, batch, inputs), size = x.shape, len(grad)
    parts = 1 if k.c.per_input else 3
    expect("e-prop: sums", found.entered, (parts, steps, batch, size), x)
    expect("e-prop: sums carried", found.carried, (parts, 2, batch, size), x)
    expect("e-prop: eligibilities", trace, (2, batch, 1 if k.c.per_input else size, inputs), x)
    expect("e-prop: gradient", grad, (size, inputs), x)
    learn = _learn_shared if k.c.per_input else _learn_each
    events = None if k.wide is None else _events(x)
    learn(x.as_subclass(Tensor).contiguous(), events, trace, grad, k, found)


def _learn_each(x: Tensor, events: Events | None, trace: Tensor, grad: Tensor, k: Constants, found: Sums) -> None:
    """Every synapse has a trace of its own."""
    if k.wide is None:
        products.synapses(x, *found, trace, grad)
        return
    group = max(1, GROUP // x.shape[2])
    index, start = events or (torch.empty(0, dtype=torch.int16), torch.empty(0, dtype=torch.int64))
    in_parts(eprop_kernels.synapses, -(-len(grad) // group), group, *_arrays(x, index, start, *found, trace, grad))


def _learn_shared(x: Tensor, events: Events | None, trace: Tensor, grad: Tensor, k: Constants, found: Sums) -> None:
    """The synapses of an input share its trace, so that the sums over a chunk are products of matrices."""
    (_, batch, inputs), size = x.shape, len(grad)
    by_input, entered = grad.T, found.entered[0].flatten(0, 1)
    if events is None:
        by_input.addmm_(x.flatten(0, 1).T, entered)
    else:
        in_parts(eprop_kernels.scatter, -(-size // WIDTH), WIDTH, *_arrays(*events, entered, by_input))
    by_input.addmm_(trace.view(2 * batch, inputs).T, found.carried[0].flatten(0, 1))
    if k.wide is None:
        products.input_traces(x, trace.view(2, batch, inputs), k.c)
    else:
        in_parts(eprop_kernels.input_traces, *_samples(x), k.wide, *_arrays(x, trace.view(2, batch, inputs)))


def _events(x: Tensor) -> Events | None:
    """The events of spikes, if they are sparse."""
    if not isinstance(x, Spikes) or x.events().density > DENSE_ABOVE:
        return None
    return x.events().index, x.events().start


def mark(spikes: Tensor) -> Tensor:
    """Spikes [K, B, N] as `Spikes`, if they are many and run compiled: what follows is then event-driven."""
    return Spikes.mark(spikes) if compiled(spikes) and spikes.shape[0] * spikes.shape[1] >= MANY else spikes


def learn_plainly(x: Tensor, factor: Tensor, trace: Tensor, grad: Tensor, c: Coefficients, moved: Moved) -> None:
    """grad [N, I] += the sum of factor e over the chunk, the traces of the synapses from `x` [K, B, I] moving along.

    factor: L psi [K, B, N]; trace: [2, B, n, I], n = 1 if all neurons share it, else N.
    """
    n = trace.shape[2]
    for t, row in enumerate(x):
        at_t = at(moved.couple, t)[:, :n, None], at(moved.decay, t)[:, :n, None]
        step = trace_step(Trace(*trace), at(c.a1, t)[:, None], c.b2[:, None], at_t, (row[:, None], 0.0))
        grad += (factor[t][..., None] * _store(trace, step)).sum(0)


def coefficient_gradient(
    chunk: Chunk, slopes: Slopes, factor: Tensor, trace: Tensor, k: Constants, moved: Moved
) -> Tensor:
    """The gradient [N], `widest`, of one of the layer's own parameters.

    slopes: see `coefficient_slopes`; factor: L psi [K, B, N]; trace: [2, B, N].
    """
    size = factor.shape[2]
    expect("e-prop: states before each step", chunk.before, (2, *factor.shape), factor)
    expect("e-prop: dendrites", chunk.dendrite, factor.shape, factor)
    expect("e-prop: eligibilities of a coefficient", trace, (2, *factor.shape[1:]), factor)
    k.check(factor)
    if k.wide is not None:
        parts, group = _samples(factor)
        grad = torch.zeros(parts, size, dtype=torch.float64)
        wide = tuple(s.expand(*s.shape[:-1], size).contiguous().numpy() for s in _same_length(slopes))
        arrays = _arrays(*moved, factor, chunk.before, chunk.dendrite, trace, grad)
        in_parts(eprop_kernels.coefficient_gradient, parts, group, k.wide, wide, *arrays)
        return grad.sum(0)
    grad = factor.new_zeros(size, dtype=widest(factor))
    by_a1, by_a2, by_b1, by_b2 = slopes
    for t, row in enumerate(factor):
        (dendrite, soma), now = chunk.before[:, t], chunk.dendrite[t]
        direct = at(by_a1, t) * dendrite + by_b1 * soma, at(by_a2, t) * soma + by_b2 * now
        at_t = at(moved.couple, t), at(moved.decay, t)
        grad += (row * _store(trace, trace_step(Trace(*trace), at(k.c.a1, t), k.c.b2, at_t, direct))).sum(0)
    return grad


def _samples(x: Tensor) -> tuple[int, int]:
    """Return the number of tasks that the samples of x [K, B, N] are cut into, and the number of samples per task."""
    batch = x.shape[1]
    group = -(-batch // max(1, min(PARTS, x.numel() // TASK)))
    return -(-batch // group), group


def rows(slopes: Slopes, start: int, steps: int) -> Slopes:
    """Those of `steps` of the steps they were made for."""
    a1, a2, b1, b2 = slopes
    a1, a2 = (s if len(s) == 1 else s[start : start + steps] for s in (a1, a2))
    return a1, a2, b1, b2


def _store(trace: Tensor, step: Trace) -> Tensor:
    """Put `step` where `trace` [2, ...] is kept; returns its e."""
    trace.copy_(torch.stack(step))
    return step.soma


def _same_length(slopes: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """da1 and da2 with as many rows, as the kernels read them."""
    rows = max(len(slopes[0]), len(slopes[1]))
    return tuple(s.expand(rows, -1) for s in slopes[:2]) + slopes[2:]


def _name(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


def _arrays(*tensors: Tensor) -> list[Any]:
    return [x.numpy() for x in tensors]


def _wide(c: Coefficients, recurrent: Tensor | None, state: Tensor) -> kernels.Neurons:
    """The layer as the kernels want it."""
    weight = state.new_empty(0, state.shape[2]) if recurrent is None else recurrent.detach().T.contiguous()
    a1, a2, b1, b2 = _same_length((c.a1, c.a2, c.b1, c.b2))
    shared: dict[str, Any] = {"vth": c.vth, "reset": c.reset, "surrogate": c.surrogate, "keep": c.keep}
    return for_kernels((a1, a2, b1, b2), weight, gamma=c.gamma, **shared)
