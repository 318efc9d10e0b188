"""The float model that a network was made from, from the folder of its training run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from tclif_neuro.cli.commands.samples import Batch
from tclif_neuro.errors import TclifError
from tclif_neuro.learning.training.checkpoint import load_trained
from tclif_neuro.network import QuantizedNetwork
from tclif_neuro.neurons.trace import LayerTrace, trace


def trace_floats(net: QuantizedNetwork, trained: Path, batch: Batch) -> Sequence[LayerTrace]:
    """The activity of the model in the run folder `trained` on `batch`.

    Raises `TclifError` if it cannot be the model that `net` was made from.
    """
    model, _ = load_trained(trained)
    first = next(module for module in model.modules() if isinstance(module, torch.nn.Linear))
    if first.in_features != net.inputs:
        raise TclifError(f"{trained}: its model has {first.in_features} inputs, the network {net.inputs}")
    return trace(model, torch.from_numpy(batch.x))
