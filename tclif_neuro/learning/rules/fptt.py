"""Forward propagation through time: an update at every step, each pulled to the running mean of the parameters.

[K] Kag and Saligrama, Training recurrent neural networks via Forward Propagation Through Time, 2021. [F] Yin, Corradi
and Bohte, Accurate online training of dynamical spiking neural networks through FPTT, 2023.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from tclif_neuro.learning.recipe.training import FPTTSection, TrainingSection
from tclif_neuro.learning.rules.bptt import BatchResult, TrainingError, clip
from tclif_neuro.learning.rules.targets import has_target, lengths_of, per_step, scored, spread
from tclif_neuro.neurons import ranks
from tclif_neuro.neurons.chain import links
from tclif_neuro.neurons.layer import SpikingLayer
from tclif_neuro.neurons.modules import Readout

# Names in the optimiser's state of a parameter: checkpoints keep that state already.
MEAN, DUAL = "fptt_mean", "fptt_lambda"


def fptt_step(
    model: nn.Sequential,
    optimiser: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    training: TrainingSection,
    *,
    ends: bool = False,
) -> BatchResult:
    """One batch, an update every K steps and at the last: the graph never spans more than K steps, whatever T is.

        loss = (t/T) l_t(W) + alpha/2 |W - Wm|^2 - <lam, W>

    l_t: the cross-entropy, or mean square error, of the readout's potential after step t, T a sample's own length.
    x: [T, B, M], y: see `targets`; a step at which no sample has a target makes no update. ends: as of `eprop_step`.
    The loss of the result is that of the last update. K steps go through a layer at once, as compiled as a whole
    sequence would. `optimiser`: any that needs no closure. Raises `TrainingError` if
    a loss or gradient is not finite; the weights are then as after the update before.
    """
    modules = [module for _, module in links(model)]
    readout = modules[-1]
    if not isinstance(readout, Readout):
        raise TrainingError(f"the model ends with a {type(readout).__name__}; a Readout is needed")
    every = per_step(y)
    lengths = lengths_of(y) if every else torch.full((x.shape[1],), len(x), device=x.device)
    steps, wanted = ranks.longest(lengths), spread(y) if every and ends else y
    states: list[Any] = [None] * len(modules)
    loss, weight, said = math.nan, 0.0, []
    for start in range(0, steps, training.fptt.update_every):
        part = x[start : min(start + training.fptt.update_every, steps)]
        potential, each = _forward(modules, part, states, start, every)
        said.append(each.detach())
        for _ in part:
            weight = readout.decay * weight + 1
        t = start + len(part)
        target = wanted[t - 1] if every else wanted
        if ranks.total(float(has_target(target).sum())):
            logits = potential / weight if training.logits == "mean" else potential
            loss_t, weighted = _step_loss(logits, target, t / lengths, training)
            loss = ranks.total(loss_t.item())
            optimiser.zero_grad()
            weighted.backward()
            _update(list(model.parameters()), optimiser, training, f"step {t} of {steps}: the loss is {loss:g}")
        states = [_detached(state) for state in states]
    answers = torch.cat(said) if every else potential
    return BatchResult(loss, *scored(answers, y[:steps] if every else y))


def _step_loss(logits: Tensor, y: Tensor, progress: Tensor, training: TrainingSection) -> tuple[Tensor, Tensor]:
    """The mean loss of the samples that have a target at this step, and the same with each one's `progress` t/T.

    With several ranks, this one's part of both sums.
    """
    known = has_target(y)
    if training.loss == "mse":
        there = ~y[known].isnan()
        square = torch.where(there, logits[known] - y[known], 0.0).square()
        each, total = square.sum(-1) / there.sum(-1), there.any(-1).sum()
    else:
        weight = logits.new_tensor(training.class_weights) if training.class_weights else logits.new_ones(len(logits.T))
        smoothing = training.label_smoothing
        each = nn.functional.cross_entropy(logits[known], y[known], weight, reduction="none", label_smoothing=smoothing)
        total = weight[y[known]].sum()
    of_all_ranks = ranks.total(float(total))
    return each.sum() / of_all_ranks, (progress[known] * each).sum() / of_all_ranks


def _forward(modules: list[nn.Module], x: Tensor, states: list[Any], t: int, every: bool) -> tuple[Tensor, Tensor]:
    """The potential [B, out] after K steps from step `t` of their input [K, B, M]; `states` become those after them.

    Also, if `every`, the potential after each, [K, B, out]; otherwise nothing, [0].
    """
    *hidden, readout = modules
    assert isinstance(readout, Readout)
    for i, module in enumerate(hidden):
        x, states[i] = _through(module, x, states[i], t)
    if every:
        each = readout.sequence(x, states[-1])
        states[-1] = each[-1]
        return each[-1], each
    potential, states[-1] = readout.scan(x, states[-1], t)
    return potential, x.new_empty(0)


def _through(module: nn.Module, x: Tensor, state: Any, t: int) -> tuple[Tensor, Any]:
    """K steps of one module; without a `step` it has no state, and all but what computes each number or row for itself
    sees each step alone: the statistics of a batch normalisation are those of one step."""
    if isinstance(module, SpikingLayer):
        return module.scan(x, state, t)
    if isinstance(module, nn.Linear | nn.Identity | nn.Dropout):
        return module(x), None
    if isinstance(module, nn.BatchNorm1d) and module.training and x.shape[1] < 2:
        raise TrainingError("a batch of 1 sample cannot be normalised step by step; choose another batch_size")
    rows = []
    for i, row in enumerate(x):
        if hasattr(module, "step"):
            row, state = module.step(row, state, t + i)
        else:
            row = module(row)
        rows.append(row)
    return torch.stack(rows), state


def _update(
    parameters: list[nn.Parameter], optimiser: torch.optim.Optimizer, training: TrainingSection, where: str
) -> None:
    """Add the pull's gradient to that of the loss, let the optimiser step, and move the running means."""
    learnt = [p for p in parameters if p.requires_grad]
    memories = [_memory(optimiser, p) for p in learnt]
    ranks.sum_gradients(learnt)
    with torch.no_grad():
        for p, (mean, dual) in zip(learnt, memories, strict=True):
            pull = training.fptt.alpha * (p - mean) - dual
            p.grad = pull if p.grad is None else p.grad + pull
    norm = clip(learnt, training)
    if not math.isfinite(norm):
        raise TrainingError(f"{where} and its gradient has the norm {norm:g}")
    optimiser.step()
    with torch.no_grad():
        for p, (mean, dual) in zip(learnt, memories, strict=True):
            # Set after the step: Adam and others begin their own state only where there is none yet.
            optimiser.state[p][MEAN], optimiser.state[p][DUAL] = moved(p, mean, dual, training.fptt)


def _memory(optimiser: torch.optim.Optimizer, p: nn.Parameter) -> tuple[Tensor, Tensor]:
    """Wm and lam of a parameter; before the first update W itself and 0."""
    state = optimiser.state.get(p, {})
    if MEAN not in state:
        return p.detach().clone(), torch.zeros_like(p)
    return state[MEAN], state[DUAL]


def moved(p: Tensor, mean: Tensor, dual: Tensor, fptt: FPTTSection) -> tuple[Tensor, Tensor]:
    """Wm and lam after an update of W to `p` [K, algorithm 1].

    lam <- lam - alpha (W - Wm)
    Wm  <- (1 - beta) Wm + beta W - (beta/alpha) lam
    """
    dual = dual - fptt.alpha * (p - mean)
    return (1 - fptt.beta) * mean + fptt.beta * p - fptt.beta / fptt.alpha * dual, dual


def _detached(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.detach()
    return None if state is None else type(state)(*(part.detach() for part in state))
