"""Augmentation: training samples are shifted, masked and thinned out, differently in every epoch."""

from __future__ import annotations

import torch
from torch import Tensor

from tclif_neuro.learning.recipe.training import AugmentSection


def augmented(x: Tensor, augment: AugmentSection, generator: torch.Generator) -> Tensor:
    """Samples [T, B, M], each changed by itself: shifted, spans and bands masked, inputs dropped, in this order.

    What is shifted in, masked or dropped is 0. The widths of a mask are uniform from 0 to the longest, its places
    uniform over those where it fits [Park et al. 2019, SpecAugment]. Everything is drawn from `generator`, on the CPU:
    the same on every device.
    """
    samples = x.shape[1]
    if augment.shift:
        steps = torch.randint(-augment.shift, augment.shift + 1, (samples,), generator=generator)
        x = shifted(x, steps.to(x.device))
    for _ in range(augment.time_masks):
        x = x.masked_fill(_spans(len(x), samples, augment.time_mask, generator)[:, :, None].to(x.device), 0.0)
    for _ in range(augment.channel_masks):
        x = x.masked_fill(_spans(x.shape[2], samples, augment.channel_mask, generator).T.to(x.device), 0.0)
    if augment.event_drop:
        dropped = torch.rand(x.shape, generator=generator) < augment.event_drop
        x = x.masked_fill(dropped.to(x.device), 0.0)
    return x


def shifted(x: Tensor, steps: Tensor) -> Tensor:
    """Samples [T, B, M], each later by its number of `steps` [B] (earlier if it is negative), with zeros at the end."""
    source = torch.arange(len(x), device=x.device)[:, None] - steps
    outside = (source < 0) | (source >= len(x))
    moved = x[source.clamp(0, len(x) - 1), torch.arange(x.shape[1], device=x.device)]
    return moved.masked_fill(outside[:, :, None], 0.0)


def _spans(size: int, samples: int, longest: int, generator: torch.Generator) -> Tensor:
    """A random span of `size` places in each sample: [size, samples], True inside."""
    width = torch.randint(0, min(longest, size) + 1, (samples,), generator=generator)
    start = (torch.rand(samples, generator=generator) * (size - width + 1)).floor()
    place = torch.arange(size)[:, None]
    return (start <= place) & (place < start + width)
