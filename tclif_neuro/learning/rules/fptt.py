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
    The loss of the result is that of the last update. `optimiser`: any that needs no closure. Raises `TrainingError` if
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
    for t, row in enumerate(x[:steps], 1):
        potential = _forward(modules, row, states, t - 1)
        if every:
            said.append(potential.detach())
        weight = readout.decay * weight + 1
        if t % training.fptt.update_every and t < steps:
            continue
        target = wanted[t - 1] if every else wanted
        if ranks.total(float(has_target(target).sum())):
            logits = potential / weight if training.logits == "mean" else potential
            loss_t, weighted = _step_loss(logits, target, t / lengths, training)
            loss = ranks.total(loss_t.item())
            optimiser.zero_grad()
            weighted.backward()
            _update(list(model.parameters()), optimiser, training, f"step {t} of {steps}: the loss is {loss:g}")
        states = [_detached(state) for state in states]
    answers = torch.stack(said) if every else potential
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


def _forward(modules: list[nn.Module], x: Tensor, states: list[Any], t: int) -> Tensor:
    """The output [B, out] of step `t` for its input [B, M]; `states` become those after it.

    A module without a `step` has no state: it sees each step alone.
    """
    for i, module in enumerate(modules):
        if hasattr(module, "step"):
            x, states[i] = module.step(x, states[i], t)
        else:
            if isinstance(module, nn.BatchNorm1d) and module.training and len(x) < 2:
                raise TrainingError("a batch of 1 sample cannot be normalised step by step; choose another batch_size")
            x = module(x)
    return x


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
