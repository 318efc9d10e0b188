"""Numbers into spikes: rate, latency and delta codes of sequences [T, B, M]. The codes themselves are snnTorch's.

The equations: Eshraghian et al., Training spiking neural networks using lessons from deep learning, 2023, section III.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from tclif_neuro.data.spec import EncodingSpec, LatencyCurve, OffSpikes, TaskSpec
from tclif_neuro.data.task import DataError, Floats, Task

_EPSILON = 1e-7  # how close to the threshold the log curve is cut off


def rate(x: Tensor, steps: int = 1, *, generator: torch.Generator) -> Tensor:
    """Each step of `x` becomes `steps` steps, in each of which an input spikes with the probability x.

    x: [T, B, M] in [0, 1], on the CPU. Returns spikes in {0, 1}, [steps T, B, M]. generator: draws them, and is then
    further on; torch's own generator is left as it was. Raises `DataError`.
    """
    from snntorch import spikegen

    _check(x, "rate", steps, least=1)
    with _drawn_from(generator):
        return spikegen.rate(x.repeat_interleave(steps, 0), time_var_input=True)


def latency(x: Tensor, steps: int = 8, *, threshold: float = 0.01, curve: LatencyCurve = "linear") -> Tensor:
    """Each step of `x` becomes a window of `steps` steps, in which an input spikes once: the sooner, the larger it is.

        linear:  t = (steps - 1) (1 - x)
        log:     t = tau ln(x / (x - threshold)),  tau such that x = threshold + 1e-7 spikes in the last step

    rounded to a step of the window; log is when a leaky integrator of the input x reaches `threshold`. What is below
    the threshold does not spike. The time depends on x alone, not on what else is in the batch.

    x: [T, B, M] in [0, 1]. threshold: in (0, 1). Returns spikes in {0, 1}, [steps T, B, M]. Raises `DataError`.
    """
    from snntorch import spikegen

    _check(x, "latency", steps, least=2)
    if not 0 < threshold < 1:
        raise DataError(f"latency: threshold {threshold} is outside (0, 1)")
    if curve not in ("linear", "log"):
        raise DataError(f"latency: curve {curve!r} is neither 'linear' nor 'log'")
    log = curve == "log"
    tau = (steps - 1) / math.log((threshold + _EPSILON) / _EPSILON) if log else 1.0
    windows = spikegen.latency(
        x.double(),  # x - threshold loses all digits of a float32 near the threshold
        num_steps=steps,
        threshold=threshold,
        tau=tau,
        linear=not log,
        normalize=not log,  # of the log curve it would be by the largest time in the batch
        clip=True,
        epsilon=_EPSILON,
    )
    return windows.to(x.dtype).transpose(0, 1).flatten(0, 1)


def delta(x: Tensor, *, threshold: float = 0.1, off: OffSpikes = "channel") -> Tensor:
    """A spike where an input has risen by at least `threshold` since the step before; at first, from 0.

    off: what a fall by as much is. "channel": a spike of a second input, [T, B, 2 M], first all rises, then all falls;
    "signed": -1; "none": nothing. The other two keep [T, B, M]. x: any finite values. Raises `DataError`.
    """
    from snntorch import spikegen

    _check_sequence(x, "delta")
    if not (math.isfinite(threshold) and threshold > 0):
        raise DataError(f"delta: threshold {threshold} is not positive")
    if off not in ("none", "signed", "channel"):
        raise DataError(f"delta: off {off!r} is none of 'none', 'signed', 'channel'")
    spikes = spikegen.delta(x, threshold=threshold, off_spike=off != "none")
    return torch.cat((spikes.clamp(min=0), (-spikes).clamp(min=0)), dim=-1) if off == "channel" else spikes


def spikes_of(x: Tensor, code: EncodingSpec, generator: torch.Generator) -> Tensor:
    """Sequences [T, B, M] in the code of a recipe; what it draws is drawn from `generator`. Raises `DataError`."""
    if code.type == "rate":
        return rate(x, generator=generator, **code.options)
    return latency(x, **code.options) if code.type == "latency" else delta(x, **code.options)


def encoded(x: Floats, spec: TaskSpec) -> Floats:
    """Samples [n, T, M], in spikes if the task's are, drawn from its seed. Raises `DataError`."""
    return _encoded(x, spec, torch.Generator().manual_seed(spec.seed))


def encode_task(task: Task, spec: TaskSpec) -> Task:
    """`task` in spikes, drawn once: the training set first, then the test set. Raises `DataError`."""
    generator = torch.Generator().manual_seed(spec.seed)
    x_train = _encoded(task.x_train, spec, generator)
    return replace(task, x_train=x_train, x_test=_encoded(task.x_test, spec, generator))


def _encoded(x: Floats, spec: TaskSpec, generator: torch.Generator) -> Floats:
    if spec.encoding is None:
        return x
    spikes = spikes_of(torch.from_numpy(x).transpose(0, 1), spec.encoding, generator)
    return spikes.transpose(0, 1).contiguous().numpy()


def _check_sequence(x: Tensor, what: str) -> None:
    if x.ndim != 3 or 0 in x.shape or not x.is_floating_point():
        raise DataError(f"{what}: floats [T, B, M] expected, got {x.dtype} {list(x.shape)}")
    if not x.isfinite().all():
        raise DataError(f"{what}: the sequence contains NaN or infinity")


def _check(x: Tensor, what: str, steps: int, least: int) -> None:
    _check_sequence(x, what)
    if steps < least:
        raise DataError(f"{what}: {steps} steps; at least {least} needed")
    if x.min() < 0 or x.max() > 1:
        raise DataError(
            f"{what}: values in [0, 1] expected, got {x.min().item():g} to {x.max().item():g}; scale them first"
        )


@contextmanager
def _drawn_from(generator: torch.Generator) -> Iterator[None]:
    """Inside, torch's own generator stands in for `generator`; afterwards it is as it was before."""
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator.get_state())
        yield
        generator.set_state(torch.get_rng_state())
