"""One training for all the figures: the same batches, optimiser and loss, whatever the network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tclif_neuro.data.task import Task

BATCH, LR, CLIP = 64, 5e-3, 1.0


def tensors(task: Task, limit: int | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training and test samples [T, n, M] and classes [n]; limit: how many of each, at most."""
    parts = ((task.x_train, task.y_train), (task.x_test, task.y_test))
    found: list[Tensor] = []
    for x, y in parts:
        found.append(torch.from_numpy(np.ascontiguousarray(x[:limit].astype(np.float32).swapaxes(0, 1))))
        found.append(torch.from_numpy(y[:limit]))
    x_train, y_train, x_test, y_test = found
    return x_train, y_train, x_test, y_test


def loss_of(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The cross-entropy of the readout's potential at the end of the sample, as in the authors' code."""
    return nn.functional.cross_entropy(model(x), y)


def fit(model: nn.Module, data: tuple[Tensor, ...], *, epochs: int, seed: int) -> list[float]:
    """Train by Adam, batches of 64, a cosine from 5e-3, gradients cut at 1; test accuracy after each epoch, in %."""
    x, y, x_test, y_test = data
    order = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), LR)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    curve = []
    for _ in range(epochs):
        model.train()
        for chosen in torch.randperm(len(y), generator=order).split(BATCH):
            optimiser.zero_grad()
            loss_of(model, x[:, chosen], y[chosen]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimiser.step()
        schedule.step()
        curve.append(round(accuracy(model, x_test, y_test), 3))
    return curve


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Per cent right."""
    model.eval()
    with torch.no_grad():
        return 100 * float((model(x).argmax(1) == y).float().mean())
