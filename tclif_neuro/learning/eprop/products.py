"""The sums of e-prop over a chunk as products of matrices, in plain torch: for devices that have no compiled passes.

They are those of `eprop.kernels`, which says why: only the neurons are walked step by step, [B, N] numbers at a time;
the synapses see one product per chunk. What is carried to the next chunk is changed in place.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tclif_neuro import dynamics
from tclif_neuro.learning.eprop.equations import Coefficients, Trace, at, trace_step


def adjoint(entered: Tensor, carried: Tensor, c: Coefficients, couple: Tensor, decay: Tensor) -> None:
    """`kernels.adjoint` of several sums at once: entered [S, K, B, N], carried [S, 2, B, N], both changed in place.

    couple, decay: [K or 1, B or 1, N], see `transition`.
    """
    d, e = carried.unbind(1)
    for t in range(entered.shape[1] - 1, -1, -1):
        moved = at(c.a1, t), at(decay, t), at(couple, t), c.b2
        entered[:, t], _, d, e = dynamics.integrate_back(d, e + entered[:, t], *moved)
    carried.copy_(torch.stack((d, e), dim=1))


def synapses(x: Tensor, entered: Tensor, carried: Tensor, trace: Tensor, grad: Tensor) -> None:
    """`kernels.synapses`: the traces [2, B, N, I] of all synapses over a chunk x [K, B, I], and their gradient [N, I].

    entered [3, K, B, N], carried [3, 2, B, N]: by `adjoint`, of the gradient and of d and e after the chunk.
    """
    grad.addmm_(entered[0].flatten(0, 1).T, x.flatten(0, 1))
    before = trace.clone()
    grad += (carried[0, ..., None] * before).sum((0, 1))
    by_sample = x.transpose(0, 1)
    for kept, ahead, sums in zip(trace, carried[1:], entered[1:], strict=True):
        torch.baddbmm((ahead[..., None] * before).sum(0), sums.permute(1, 2, 0), by_sample, out=kept)


def input_traces(x: Tensor, trace: Tensor, c: Coefficients) -> None:
    """`kernels.input_traces`: those that all neurons share, [2, B, I], over a chunk x [K, B, I]."""
    now = Trace(*trace)
    for t, row in enumerate(x):
        now = trace_step(now, at(c.a1, t), c.b2, (c.b1, at(c.a2, t)), (row, 0.0))
    trace.copy_(torch.stack(now))
