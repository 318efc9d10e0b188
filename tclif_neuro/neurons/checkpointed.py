"""Long sequences in little memory: the states of every K-th step are kept, and what lies between is computed twice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils._pytree import tree_flatten, tree_unflatten

from tclif_neuro.errors import TclifError
from tclif_neuro.neurons import generators
from tclif_neuro.neurons.chain import links
from tclif_neuro.neurons.entries import check_tensor
from tclif_neuro.neurons.modules import Readout

# Layers that act on each step alone, so that a sequence can be cut between any two steps.
_STEPWISE = (nn.Linear, nn.Identity, nn.Dropout, nn.ReLU, nn.Tanh, nn.Sigmoid)


class Stage(NamedTuple):
    """A layer of the network; `streams`: it has a state, and its `scan` carries that on.

    every_step: of a readout, whether its potential after every step is its output.
    """

    layer: Any
    streams: bool
    every_step: bool = False

    def advance(self, x: Tensor, state: Any, start: int) -> tuple[Tensor, Any]:
        """The layer's output for a part of the sequence, and its state after it."""
        if self.every_step:
            x = self.layer.sequence(x, state)
            return x, x[-1]
        return self.layer.scan(x, state, start) if self.streams else (self.layer(x), ())


def checkpointed(model: nn.Sequential, x: Tensor, *, every: int | None = None, every_step: bool = False) -> Tensor:
    """`model(x)` for x [T, B, in], whose gradient needs memory for T / every + every steps instead of T.

    The sequence runs in parts of `every` steps (default: the square root of T, which needs least). Only each layer's
    states between the parts are kept; `backward` runs a part once more before it goes back through it. That costs one
    more forward pass and changes nothing else: spikes and gradients are those of `model(x)`, up to the order of sums.
    every_step: return the readout's potential after every step, [T, B, out], see `outputs`. A Dropout draws other masks
    than it would for the sequence in one piece, and the same ones again in backward.

    Raises `TclifError` for `every_step` of a model without a readout, and for whatever acts on a part otherwise than on
    the whole: batch normalisation by the batch's own statistics (`.eval()` it), a `Readout` that is not the last layer,
    layers with hooks, and a layer that is none of the library's and not known to treat each step by itself. One of your
    own can take part: give it `scan(x [T, ...], state, t) -> (output [T, ...], state)`, called with None and then with
    the tensors it returned.
    """
    stages = stages_of(model)
    check_tensor("checkpointed", x)
    if every_step:
        if not _is_read(stages):
            raise TclifError("checkpointed: every_step is of a model that ends in a Readout")
        stages[-1] = stages[-1]._replace(every_step=True)
    if x.ndim < 2 or len(x) == 0:
        raise TclifError(f"checkpointed: input {list(x.shape)}; [T, B, in] with at least one step is needed")
    every = math.isqrt(len(x) - 1) + 1 if every is None else every
    if every < 1:
        raise TclifError(f"checkpointed: every {every} steps; at least 1 is needed")
    return _Checkpointed.apply(stages, every, x, *(p for p in model.parameters() if p.requires_grad))


def advance(stages: Sequence[Stage], x: Tensor, states: Any, start: int) -> tuple[Tensor, list[Any]]:
    """A part of the sequence, from step `start` on: the network's output and the states after, one for each stage."""
    after = []
    for stage, state in zip(stages, states, strict=True):
        x, state = stage.advance(x, state, start)
        after.append(state)
    return x, after


class _Checkpointed(torch.autograd.Function):
    """The network in parts. Forward keeps only states; backward makes the graph of one part after the other."""

    @staticmethod
    def forward(ctx: Any, stages: Sequence[Stage], every: int, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.stages, ctx.parts, ctx.parameters = stages, range(0, len(x), every), len(parameters)
        ctx.structure, ctx.generators = None, []
        states: list[Any] = [None] * len(stages)
        outputs: list[Tensor] = []
        kept: list[Tensor] = []
        for part, start in enumerate(ctx.parts):
            tensors, structure = tree_flatten(states)
            if part == 1:  # one block for all parts: many small ones, between large ones, would scatter over the heap
                ctx.structure = structure
                kept = [t.new_empty(len(ctx.parts), *t.shape) for t in tensors]
            for i, block in enumerate(kept):
                block[part] = tensors[i]
            ctx.generators.append(generators.states(x.device))
            out, states = advance(stages, x[start : start + every], states, start)
            outputs = [out] if _is_read(stages) else [*outputs, out.as_subclass(Tensor)]
        ctx.save_for_backward(x, *parameters, *kept)
        return torch.cat(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, *saved = ctx.saved_tensors
        parameters, states = saved[: ctx.parameters], saved[ctx.parameters :]
        by_parameter = [torch.zeros_like(p) for p in parameters]
        by_x = torch.zeros_like(x) if ctx.needs_input_grad[2] else None
        by_state: Sequence[Tensor | None] = ()
        for part in reversed(range(len(ctx.parts))):
            steps = slice(ctx.parts[part], ctx.parts[part] + ctx.parts.step)
            here = x[steps].detach().requires_grad_(by_x is not None)
            before = [block[part].detach().requires_grad_() for block in states] if part else []
            out, after = _run_again(ctx, part, here, before)
            from_later = by_state or [None] * len(after)  # nothing follows the last part
            reached = [(out, _to_output(ctx, part, steps, grads[0])), *zip(after, from_later, strict=True)]
            found = iter(_gradients(reached, [*before, *parameters, *([] if by_x is None else [here])]))
            by_state = [next(found) for _ in before]
            for total in by_parameter:
                total += next(found)
            if by_x is not None:
                by_x[steps] = next(found)
        return None, None, by_x, *by_parameter


def _run_again(ctx: Any, part: int, x: Tensor, before: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """A part's output and the states after it, with their graph. before: the states before it; of the first none."""
    with torch.enable_grad(), generators.forked(x.device):
        generators.restore(x.device, ctx.generators[part])
        states = tree_unflatten(before, ctx.structure) if part else [None] * len(ctx.stages)
        out, after = advance(ctx.stages, x, states, ctx.parts[part])
    return out, tree_flatten(after)[0]


def _to_output(ctx: Any, part: int, steps: slice, grad: Tensor) -> Tensor | None:
    """The gradient that reaches the output of a part. A readout is read after the last one alone."""
    if not _is_read(ctx.stages):
        return grad[steps]
    return grad if part == len(ctx.parts) - 1 else None


def _gradients(outputs: Sequence[tuple[Tensor, Tensor | None]], inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    """Of the sum of the outputs, each with the gradient that reached it, to every input; 0 where there is none."""
    reached = [(out, grad) for out, grad in outputs if grad is not None and out.requires_grad]
    if not reached:
        return [torch.zeros_like(i) for i in inputs]
    out, grad = zip(*reached, strict=True)
    found = torch.autograd.grad(out, inputs, grad, allow_unused=True)
    return [torch.zeros_like(i) if g is None else g for i, g in zip(inputs, found, strict=True)]


def _is_read(stages: Sequence[Stage]) -> bool:
    """Return whether the network says something at the end of the sequence alone."""
    return isinstance(stages[-1].layer, Readout) and not stages[-1].every_step


def stages_of(model: nn.Sequential) -> list[Stage]:
    """The layers of `model`, checked; raises `TclifError` as `checkpointed` says."""
    layers = links(model)
    if not layers:
        raise TclifError("checkpointed: a model without layers")
    return [_stage(*layer, last=i == len(layers) - 1) for i, layer in enumerate(layers)]


def _stage(name: str, layer: nn.Module, last: bool) -> Stage:
    kind = f"checkpointed: layer {name}, a {type(layer).__name__},"
    streams = hasattr(layer, "scan")
    if isinstance(layer, Readout) and not last:
        raise TclifError(f"{kind} is read at the end of the sequence, and has to be the last layer")
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        if layer.training or layer.running_mean is None:
            raise TclifError(
                f"{kind} normalises by the statistics of the whole batch, of which a part has its own: call its "
                "eval(), or train without checkpoints"
            )
    elif not streams and not isinstance(layer, _STEPWISE):
        raise TclifError(f"{kind} is not known to treat each step by itself, and has no method `scan`")
    return Stage(layer, streams)
