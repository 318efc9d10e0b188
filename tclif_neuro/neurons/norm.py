"""Batch normalisation of currents, by the statistics of all ranks of a training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tclif_neuro.neurons import ranks
from tclif_neuro.neurons.entries import check_features
from tclif_neuro.neurons.within import own_steps


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of currents [T, B, N] over time and batch; `quantize` folds it into the `Linear` before.

    In training, with a group of torch.distributed, the statistics are of the samples of all its processes.
    """

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[T, B, N] -> [T, B, N]. lengths: [B], the steps of each sample that are its own; the statistics are of these
        alone, and the others become 0."""
        check_features("BatchNorm", x, self.num_features)
        if lengths is None:
            return self._rows(x.flatten(0, -2)).view_as(x)
        own = own_steps(lengths.to(x.device), *x.shape[:2])
        return torch.zeros_like(x).masked_scatter(own[..., None], self._rows(x[own]))

    def _rows(self, x: Tensor) -> Tensor:
        return norm_over_ranks(self, x) if self.training and ranks.size() > 1 else super().forward(x)


def norm_over_ranks(module: nn.BatchNorm1d, x: Tensor) -> Tensor:
    """The normalised rows of `x` [n, N], and the running statistics moved, as if all ranks' rows were one batch.

    The variance is summed about the mean, in a second message: a difference of two large sums would lose its digits.
    Raises `ValueError` for a single row on all ranks, as torch does.
    """
    rows = x.new_tensor([len(x)])
    *sums, n = ranks.differentiable_sum(torch.cat([x.sum(0), rows])).split([x.shape[1], 1])
    if n.item() < 2:
        raise ValueError(f"expected more than 1 value per channel when training, got {list(x.shape)}")
    mean = sums[0] / n
    variance = ranks.differentiable_sum((x - mean).square().sum(0)) / n
    _move(module, mean.detach(), variance.detach() * n / (n - 1))
    normal = (x - mean) * torch.rsqrt(variance + module.eps)
    return normal if module.weight is None else normal * module.weight + module.bias


@torch.no_grad()
def _move(module: nn.BatchNorm1d, mean: Tensor, variance: Tensor) -> None:
    """The running statistics after a batch, as torch moves them; momentum None: the mean over all batches."""
    if module.running_mean is None or module.running_var is None or module.num_batches_tracked is None:
        return
    module.num_batches_tracked += 1
    momentum = module.momentum if module.momentum is not None else 1.0 / module.num_batches_tracked.item()
    module.running_mean.lerp_(mean, momentum)
    module.running_var.lerp_(variance, momentum)
