"""Numbers into spikes: rate, latency and delta codes of sequences [T, B, M]. The codes themselves are snnTorch's.

The equations: Eshraghian et al., Training spiking neural networks using lessons from deep learning, 2023, section III.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tclif_neuro.data.own import Samples
from tclif_neuro.data.sequences import DataError, Dense, Floats, Indices, Packed, Sequences
from tclif_neuro.data.spec import EncodingSpec, LatencyCurve, OffSpikes, TaskSpec
from tclif_neuro.data.task import Part, Task

MAX_VALUES = 2**30  # that a code may make of a set of samples: 4 GiB; a recipe, a file's too, can ask for any number
_EPSILON = 1e-7  # how close to the threshold the log curve is evaluated, being infinite there


def rate(x: Tensor, steps: int = 1, *, generator: torch.Generator) -> Tensor:
    """Each step of `x` becomes `steps` steps, in each of which an input spikes with the probability x.

    x: [T, B, M] in [0, 1], on the CPU. Returns spikes in {0, 1}, [steps T, B, M]. generator: draws them, and is then
    further on; torch's own generator is left as it was. Raises `DataError`.
    """
    from snntorch import spikegen

    _check(x, "rate", steps, least=1)
    with _drawn_from(generator):
        return spikegen.rate(x.repeat_interleave(steps, 0), time_var_input=True)


def latency(
    x: Tensor, steps: int = 8, *, threshold: float = 0.01, curve: LatencyCurve = "linear", tau: float | None = None
) -> Tensor:
    """Each step of `x` becomes a window of `steps` steps, in which an input spikes once: the sooner, the larger it is.

        linear:  t = (steps - 1) (1 - x)
        log:     t = tau ln(x / (x - threshold)),  at most steps - 1

    rounded to a step of the window; log is when a leaky integrator of the input x, its time constant `tau`, reaches
    `threshold`. What is below the threshold does not spike. The time depends on x alone, not on what else is in the
    batch.

    x: [T, B, M] in [0, 1]. threshold: in (0, 1). tau: of log, in steps; None: such that x = sqrt(threshold), midway
    between the threshold and 1 in ratio, spikes in the last step, with all that is weaker. Returns spikes in {0, 1},
    [steps T, B, M]. Raises `DataError`.
    """
    from snntorch import spikegen

    _check(x, "latency", steps, least=2)
    if not 0 < threshold < 1:
        raise DataError(f"latency: threshold {threshold} is outside (0, 1)")
    if curve not in ("linear", "log"):
        raise DataError(f"latency: curve {curve!r} is neither 'linear' nor 'log'")
    log = curve == "log"
    if tau is not None and not (log and math.isfinite(tau) and tau > 0):
        raise DataError(f"latency: tau {tau}: a positive number of steps expected, of the log curve alone")
    if tau is None:
        tau = (steps - 1) / -math.log1p(-math.sqrt(threshold)) if log else 1.0
    last = threshold / math.expm1(min((steps - 1) / tau, 100.0))  # so far above the threshold it is the last step
    windows = spikegen.latency(
        x.double(),  # x - threshold loses all digits of a float32 near the threshold
        num_steps=steps,
        threshold=threshold,
        tau=tau,
        linear=not log,
        normalize=not log,  # of the log curve it would be by the largest time in the batch
        clip=True,
        epsilon=max(last, _EPSILON),
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


class Redrawn(Sequences):
    """Samples in a code that draws: other spikes each time that a `batch` is taken with a generator.

    Without one they are drawn from `seed` and the first sample's number, the same each time.
    """

    def __init__(self, plain: Sequences, code: EncodingSpec, seed: int) -> None:
        self.plain, self.code, self.seed = plain, code, seed
        self.shape = (len(plain), plain.shape[1] * (code.steps or 1), plain.shape[2])

    @property
    def drawn_anew(self) -> bool:
        """See `Sequences.drawn_anew`."""
        return True

    def batch(self, samples: Indices, generator: torch.Generator | None = None) -> Floats:
        """See `Sequences.batch`."""
        if generator is None:
            generator = torch.Generator().manual_seed(self.seed + (int(samples[0]) if len(samples) else 0))
        return _spikes(self.plain.batch(samples), self.code, generator)

    def all(self) -> Floats:
        """See `Sequences.all`."""
        return _drawn_once(self.plain, self.code, self.seed).all()

    def identify(self, digest: hashlib.blake2b) -> None:
        """See `Sequences.identify`; of the samples and the code."""
        digest.update(f"{self.code!r} {self.seed}".encode())
        self.plain.identify(digest)


def encoded(x: Floats, spec: TaskSpec) -> Floats:
    """Samples [n, T, M], in spikes if the task's are, drawn from its seed. Raises `DataError`."""
    return x if spec.encoding is None else _drawn_once(Dense(x), spec.encoding, spec.seed).all()


def encoded_part(samples: Samples, spec: TaskSpec) -> Samples:
    """Samples of an own file in the task's code, as `encode_task` has those of a test set. Raises `DataError`."""
    plain, y, lengths = samples.sequences, samples.y, samples.lengths
    x = Dense(encoded(samples.x, spec))
    times = x.shape[1] // plain.shape[1]
    if y is not None and y.ndim == (3 if y.dtype.kind == "f" else 2):
        y = y.repeat(times, axis=1)
    lengths = None if lengths is None else lengths * times
    return Samples(x, y, samples.source, lengths, samples.groups, samples.names)


def encode_task(task: Task, spec: TaskSpec) -> Task:
    """`task` in spikes. Test and validation set are drawn once; the training set anew in each epoch, if code.fresh.

    A target per step is then that of all the steps which a step has become. Raises `DataError`.
    """
    code = spec.encoding
    if code is None:
        return task
    parts: dict[str, Part] = {}
    for key, part in task.parts():
        if key == "train" and code.type == "rate" and code.fresh is not False:
            x: Sequences = Redrawn(part.x, code, spec.seed)
            x.batch(np.arange(1))  # what cannot be encoded is found now
        else:
            x = _drawn_once(part.x, code, spec.seed)
        times = x.shape[1] // task.steps
        per_step = part.y.ndim == (3 if task.kind == "values" else 2)
        parts[key] = replace(
            part,
            x=x,
            y=part.y.repeat(times, axis=1) if per_step else part.y,
            lengths=None if part.lengths is None else part.lengths * times,
        )
    return replace(task, train=parts["train"], test=parts["test"], validation=parts.get("validation"))


def _drawn_once(plain: Sequences, code: EncodingSpec, seed: int) -> Sequences:
    """`plain` in a code, in the memory that spikes need."""
    generator = torch.Generator().manual_seed(seed)
    signed = code.type == "delta" and code.off == "signed"
    pieces: list[Any] = []
    for chunk in plain.chunks():
        spikes = _spikes(chunk, code, generator)
        shape = spikes.shape[1:]
        pieces.append(spikes.astype(np.int8) if signed else Packed.of(spikes).words)
    whole = np.concatenate(pieces)
    return Dense(whole) if signed else Packed(whole, *shape)


def _spikes(x: Floats, code: EncodingSpec, generator: torch.Generator) -> Floats:
    spikes = spikes_of(torch.from_numpy(x).transpose(0, 1), code, generator)
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
    if steps * x.numel() > MAX_VALUES:
        raise DataError(
            f"{what}: {steps} steps for each of {x.numel()} values make {steps * x.numel()}; the limit is {MAX_VALUES}"
        )
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
