"""The outputs of a model that ends in a readout, at the end of each sample or after every step."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.modules import Readout
from tclif_neuro.neurons.norm import BatchNorm
from tclif_neuro.neurons.within import held, own_steps, within


def logits(model: nn.Sequential, x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """The readout's potential at each sample's own end: x [T, B, M] -> [B, out].

    lengths: [B], the steps of each sample that are its own (None: all). The others are padding: they are in no logit,
    in no gradient, and in no statistics of a `BatchNorm`.

        loss = nn.functional.cross_entropy(tn.logits(model, x, lengths), y)
    """
    x, readout = _up_to_the_readout(model, x, lengths)
    return readout(x) if lengths is None else readout(x, lengths)


def outputs(model: nn.Sequential, x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """The readout's potential after every step: x [T, B, M] -> [T, B, out]; in the padding, as after the last own step.

    lengths: as of `logits`.
    """
    x, readout = _up_to_the_readout(model, x, lengths)
    potential = readout.sequence(x)
    return potential if lengths is None else held(potential, lengths)


def _up_to_the_readout(model: nn.Sequential, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Readout]:
    *hidden, readout = _modules(model)
    if not isinstance(readout, Readout):
        raise TclifError(f"the model ends with a {type(readout).__name__}; a Readout is needed")
    if lengths is not None:
        own_steps(lengths, *x.shape[:2])
        x = within(x, lengths)
    for module in hidden:
        x = module(x, lengths) if lengths is not None and isinstance(module, BatchNorm) else module(x)
    return x, readout


def _modules(model: nn.Sequential) -> Iterator[nn.Module]:
    for module in model:
        if type(module) is nn.Sequential:
            yield from _modules(module)
        else:
            yield module
