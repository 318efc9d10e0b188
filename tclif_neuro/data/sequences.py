"""Samples [n, T, M] in the memory that they need, as float32 a batch at a time.

x = Dense(images, scale=255)          # stored as they are: uint8, float16, memory-mapped
x = Packed(words, steps=100, inputs=700)   # binary, eight a byte
x.batch(np.array([4, 0, 7]))          # [3, T, M] float32
"""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.errors import TclifError

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]
Bytes = npt.NDArray[np.uint8]

CHUNK = 2**22  # numbers that are looked at in one go


class DataError(TclifError, ValueError):
    """A data set that cannot be used. The message names the data, the field, the value and the limit."""


def time_first(x: Floats) -> Floats:
    """[n, T, M] -> [T, n, M], contiguous."""
    return np.ascontiguousarray(x.swapaxes(0, 1))


def _laid_out_in_time(x: npt.NDArray[Any]) -> Floats:
    """`x` [n, T, M] as float32, in memory as [T, n, M]: `time_first` then copies nothing."""
    return x.swapaxes(0, 1).astype(np.float32, order="C").swapaxes(0, 1)


class Sequences(abc.ABC):
    """n samples of T steps of M inputs. shape: [n, T, M]."""

    shape: tuple[int, int, int]

    @property
    def drawn_anew(self) -> bool:
        """True if a sample is another one each time that it is drawn from a generator."""
        return False

    def __len__(self) -> int:
        return self.shape[0]

    @abc.abstractmethod
    def batch(self, samples: Indices, generator: torch.Generator | None = None) -> Floats:
        """The samples of these indices, [len(samples), T, M]. generator: of what is drawn anew, see `Redrawn`."""

    def all(self) -> Floats:
        """All of them in memory, [n, T, M] float32."""
        return self.batch(np.arange(len(self)))

    def part(self, samples: Indices) -> Sequences:
        """The samples of these indices alone; no copy."""
        return Subset(self, samples)

    def chunks(self) -> Iterator[Floats]:
        """All samples in order, a piece at a time that fits into memory."""
        each = max(1, CHUNK // (self.shape[1] * self.shape[2]))
        for start in range(0, len(self), each):
            yield self.batch(np.arange(start, min(start + each, len(self))))

    def identify(self, digest: hashlib.blake2b) -> None:
        """Add shape and content to `digest`."""
        digest.update(repr(self.shape).encode())
        for chunk in self.chunks():
            digest.update(np.ascontiguousarray(chunk).data)


class Dense(Sequences):
    """Samples as an array of numbers of any type, also memory-mapped; float32 is that array over `scale`."""

    def __init__(self, array: npt.NDArray[Any], scale: float | None = None) -> None:
        n, steps, inputs = array.shape
        self.array, self.scale, self.shape = array, scale, (n, steps, inputs)

    def batch(self, samples: Indices, generator: torch.Generator | None = None) -> Floats:
        """See `Sequences.batch`."""
        x = self.array[samples].astype(np.float32, copy=False)
        return x if self.scale is None else x / np.float32(self.scale)

    def all(self) -> Floats:
        """See `Sequences.all`; the array itself where it is float32 already."""
        if self.scale is None:
            return self.array.astype(np.float32, copy=False)
        return self.array / np.float32(self.scale)


class Packed(Sequences):
    """Spikes in {0, 1}, packed to bits: words [n, ceil(T M / 8)] uint8, the first number the highest bit."""

    def __init__(self, words: Bytes, steps: int, inputs: int) -> None:
        expected = -(-steps * inputs // 8)
        if words.ndim != 2 or words.shape[1] != expected or words.dtype != np.uint8:
            raise DataError(f"packed samples: [n, {expected}] bytes expected, got {list(words.shape)} {words.dtype}")
        self.words, self.shape = words, (len(words), steps, inputs)

    @classmethod
    def of(cls, x: npt.NDArray[Any]) -> Packed:
        """Pack [n, T, M] of zeros and ones."""
        n, steps, inputs = x.shape
        return cls(np.packbits(x.reshape(n, -1).astype(bool), axis=1), steps, inputs)

    def batch(self, samples: Indices, generator: torch.Generator | None = None) -> Floats:
        """See `Sequences.batch`."""
        _, steps, inputs = self.shape
        bits = np.unpackbits(self.words[samples], axis=1, count=steps * inputs)
        return _laid_out_in_time(bits.reshape(len(samples), steps, inputs))

    def identify(self, digest: hashlib.blake2b) -> None:
        """See `Sequences.identify`; of the packed bytes."""
        digest.update(f"packed {self.shape}".encode())
        each = max(1, CHUNK // self.words.shape[1])
        for start in range(0, len(self), each):
            digest.update(np.ascontiguousarray(self.words[start : start + each]).data)


class Subset(Sequences):
    """Some samples of others."""

    def __init__(self, whole: Sequences, samples: Indices) -> None:
        # One step to the data, however often it was divided.
        self.samples: Indices = whole.samples[samples] if isinstance(whole, Subset) else samples
        self.whole: Sequences = whole.whole if isinstance(whole, Subset) else whole
        self.shape = (len(samples), *whole.shape[1:])

    @property
    def drawn_anew(self) -> bool:
        """See `Sequences.drawn_anew`."""
        return self.whole.drawn_anew

    def batch(self, samples: Indices, generator: torch.Generator | None = None) -> Floats:
        """See `Sequences.batch`."""
        return self.whole.batch(self.samples[samples], generator)
