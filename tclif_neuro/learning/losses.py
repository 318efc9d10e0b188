"""Losses of spikes and potentials over time, [T, B, N], against classes [B]; and penalties on firing rates.

The cross-entropies and the spike times are snnTorch's [Eshraghian et al. 2023, section IV]. A loss is a scalar, the
mean over the batch. Spikes are the output of a spiking layer of N = classes neurons; potentials are those of
`Readout.sequence`. With a population of neurons per class, pool them first: `ce_count(pool(spikes, 10), y)`.

lengths: [B], the steps of each sample that are its own (None: all T). A loss is then the mean over the batch of each
sample's own, without its padding.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import ParamSpec, cast

import torch
from snntorch import functional as snn
from torch import Tensor, nn

from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.within import own_steps


class LossError(TclifError, ValueError):
    """Outputs or classes that a loss is not defined for; the message names shape or value."""


_P = ParamSpec("_P")


def _per_length(loss: Callable[_P, Tensor]) -> Callable[_P, Tensor]:
    """`loss`, whose own samples have one length, with `lengths`: the mean over the batch of that of each sample."""
    arguments, of_one_length = inspect.signature(loss), cast("Callable[..., Tensor]", loss)

    @wraps(loss)
    def per_length(*values: _P.args, **named: _P.kwargs) -> Tensor:
        given = arguments.bind(*values, **named)
        lengths = given.arguments.pop("lengths", None)
        if lengths is None:
            return of_one_length(*given.args, **given.kwargs)
        output, y = given.args
        return _mean_over_lengths(partial(of_one_length, **given.kwargs), output, y, lengths)

    return per_length


def pool(spikes: Tensor, classes: int) -> Tensor:
    """Population code: the spikes of the N / classes neurons of each class together, [T, B, N] -> [T, B, classes].

    The neurons of a class are next to each other. Use it for rates and counts; a latency belongs to a single neuron.
    """
    if spikes.ndim != 3 or classes < 1 or spikes.shape[-1] % classes:
        raise LossError(f"pool: [T, B, {classes} times some] expected, got {list(spikes.shape)}")
    return spikes.unflatten(-1, (classes, -1)).sum(-1)


@_per_length
def ce_rate(spikes: Tensor, y: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Cross-entropy with each step's spikes as logits, mean over the steps: the right neuron should always fire."""
    return _loss(snn.ce_rate_loss(), spikes, y)


@_per_length
def ce_count(spikes: Tensor, y: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Cross-entropy with the spikes' count as logits."""
    return _loss(snn.ce_count_loss(), spikes, y)


@_per_length
def ce_latency(spikes: Tensor, y: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Cross-entropy with minus the step of the first spike as logits; without a spike, the last step counts.

    A spike time has no derivative; that of the time by the spike is taken to be -1.
    """
    return _loss(snn.ce_temporal_loss(), _binary(spikes), y)


@_per_length
def ce_membrane(potential: Tensor, y: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Cross-entropy with the largest potential over time as logits."""
    return _loss(snn.ce_max_membrane_loss(), potential, y)


@_per_length
def mse_rate(
    spikes: Tensor, y: Tensor, lengths: Tensor | None = None, *, correct: float = 1.0, incorrect: float = 0.0
) -> Tensor:
    """Mean square of firing rate minus target: the rate `correct` for the right neuron, `incorrect` for the others."""
    return nn.functional.mse_loss(spikes.mean(0), _target(spikes, y, correct, incorrect))


@_per_length
def mse_count(
    spikes: Tensor, y: Tensor, lengths: Tensor | None = None, *, correct: float = 1.0, incorrect: float = 0.0
) -> Tensor:
    """Mean square of spike count minus target, over T: the targets are those rates, times T."""
    return len(spikes) * mse_rate(spikes, y, correct=correct, incorrect=incorrect)


@_per_length
def mse_latency(
    spikes: Tensor,
    y: Tensor,
    lengths: Tensor | None = None,
    *,
    correct: int = 0,
    incorrect: int = -1,
    tolerance: int = 0,
) -> Tensor:
    """Mean square of first spike time minus target, over T^2; derivative and missing spikes as in `ce_latency`.

    correct, incorrect: target steps, from the end if negative. tolerance: a time that is nearer to its target costs
    nothing.
    """
    # snnTorch's own targets take an `incorrect` below 0 for 0, also its default: it is given the times instead.
    of_times = snn.mse_temporal_loss(target_is_time=True, tolerance=tolerance)
    return of_times(_binary(spikes), _target(spikes, y, correct % len(spikes), incorrect % len(spikes)))


@_per_length
def mse_membrane(
    potential: Tensor, y: Tensor, lengths: Tensor | None = None, *, correct: float = 1.0, incorrect: float = 0.0
) -> Tensor:
    """Mean square of potential minus target, over neurons and steps."""
    return nn.functional.mse_loss(potential, _target(potential, y, correct, incorrect).expand_as(potential))


def rate_above(spikes: Tensor, bound: float, lengths: Tensor | None = None) -> Tensor:
    """Penalise a layer that fires too much: `max(0, r - bound)^2`, r its neurons' mean rate, mean over the batch.

    It bounds the population: a neuron may fire much if others fire little. Add it to a loss with a weight of your own.
    """
    if lengths is not None:
        return _mean_over_lengths(lambda own, _: rate_above(own, bound), spikes, lengths, lengths)
    return (spikes.mean((0, 2)) - bound).clamp(min=0).square().mean()


def rate_below(spikes: Tensor, bound: float, lengths: Tensor | None = None) -> Tensor:
    """Penalise neurons that fire too little: `max(0, bound - r_i)^2`, r_i the rate of one, mean over all and batch."""
    if lengths is not None:
        return _mean_over_lengths(lambda own, _: rate_below(own, bound), spikes, lengths, lengths)
    return (bound - spikes.mean(0)).clamp(min=0).square().mean()


def _mean_over_lengths(loss: Callable[[Tensor, Tensor], Tensor], output: Tensor, y: Tensor, lengths: Tensor) -> Tensor:
    """The mean over the batch of a loss that takes samples of one length."""
    lengths = lengths.to(output.device)
    own_steps(lengths, *output.shape[:2])
    total = output.new_zeros(())
    for length, samples in zip(*lengths.unique(return_counts=True), strict=True):
        of = lengths == length
        total = total + int(samples) / len(lengths) * loss(output[:length, of], y[of])
    return total


def _loss(loss: object, output: Tensor, y: Tensor) -> Tensor:
    _check(output, y)
    return loss(output, y).squeeze()  # type: ignore[operator]


def _target(output: Tensor, y: Tensor, correct: float, incorrect: float) -> Tensor:
    """[B, N]: `correct` where the class is, `incorrect` elsewhere."""
    _check(output, y)
    return torch.full_like(output[0], incorrect, requires_grad=False).scatter(1, y[:, None], correct)


def _binary(spikes: Tensor) -> Tensor:
    if not ((spikes == 0) | (spikes == 1)).all():
        raise LossError("latency: spikes in {0, 1} expected, got other values; a pooled population has no latency")
    return spikes


def _check(output: Tensor, y: Tensor) -> None:
    if output.ndim != 3 or 0 in output.shape or y.shape != output.shape[1:2]:
        raise LossError(f"loss: outputs [T, B, N] and classes [B] expected, got {list(output.shape)}, {list(y.shape)}")
    if y.min() < 0 or y.max() >= output.shape[-1]:
        raise LossError(f"loss: classes {y.min()} to {y.max()}; there are {output.shape[-1]} outputs")
