"""Sound as steps: the energy of frequency bands over time, in bytes.

    P[t, f] = |FFT(hann(n) s[t h : t h + n])|^2 / (sum hann / 2)^2      a sine of full scale is 1 at its frequency
    E[t, k] = sum_f W[k, f] P[t, f]                                     W: triangles of height 1 on the mel scale
    x[t, k] = clip(1 + 10 log10(E) / 80, 0, 1)                          80 dB below full scale is 0

h is the step, n the window, both in samples; the FFT has the next power of two from n on. Step t begins at t h and does
not look back. Mel: m(f) = 2595 log10(1 + f / 700) (O'Shaughnessy, Speech communication, 1987, p. 150); triangle k rises
from m_k to m_{k+1} and falls to m_{k+2}, where m_0 = 0, ..., m_{K+1} = m(rate / 2) are equally far apart.
"""

from __future__ import annotations

import functools
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.data.sequences import DataError
from tclif_neuro.data.spec import SoundSpec
from tclif_neuro.errors import warn

Sound = npt.NDArray[np.float32]
FLOOR = 80.0  # decibels below full scale that are 0
MAX_STEPS = 2**20
STREAMED = 2**31 - 1  # bytes from which on a header says that the length was not known when it was written
LEVELS = 255  # of a byte: a third of a decibel each


def read_wav(path: Path) -> tuple[Sound, int]:
    """The sound in a WAV file, in [-1, 1], the mean of its channels; and its samples per second. Raises `DataError`."""
    from scipy.io import wavfile  # slow to import

    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", wavfile.WavFileWarning)
            rate, samples = wavfile.read(path)
    except UnboundLocalError:
        raise DataError(f"{path}: is not a WAV file that can be read: no sound behind its header") from None
    except Exception as error:  # a damaged file becomes almost any exception
        raise DataError(f"{path}: is not a WAV file that can be read: {error}") from error
    for one in said:
        _say_cut_off(path, str(one.message))
    if samples.ndim > 1:
        samples = samples.mean(axis=1, dtype=np.float64) if samples.dtype.kind == "f" else _plain(samples).mean(axis=1)
    sound = _plain(samples).astype(np.float32)
    if not rate or not sound.size or not np.isfinite(sound).all():
        raise DataError(f"{path}: {len(sound)} samples, {rate} per second: no sound, or not finite")
    return sound, int(rate)


def _say_cut_off(path: Path, message: str) -> None:
    """Say that a file ends before its header says; of scipy's other words, on chunks that are no sound, nothing."""
    expected = re.search(r"prematurely.* expected (\d+) bytes", message)
    if expected and int(expected[1]) < STREAMED:
        warn(f"{path}: ends before its header says, at {path.stat().st_size} of {expected[1]} bytes: cut off?")


def _plain(samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """PCM of 8 (unsigned), 16 or 32 bits in [-1, 1); numbers of a floating point file as they are."""
    if samples.dtype.kind == "f":
        return samples
    if samples.dtype.kind == "u":
        return (samples.astype(np.float64) - 128) / 128
    return samples.astype(np.float64) / 2.0 ** (8 * samples.dtype.itemsize - 1)


def steps_of(spec: SoundSpec, duration: float) -> int:
    """Return the number of steps in `duration` seconds. Raises `DataError` if there are too many."""
    steps = max(1.0, np.ceil(round(duration / spec.step, 6)))
    if steps > MAX_STEPS:
        raise DataError(f"sound: {duration:g} s are {steps:g} steps; at most {MAX_STEPS}: task.sound.step, .duration")
    return int(steps)


def log_mel(sound: Sound, rate: int, spec: SoundSpec, steps: int) -> npt.NDArray[np.uint8]:
    """Bytes [steps, bands], 255 x. Beyond its end a sound is silent. Raises `DataError` where a band is too narrow."""
    hop, window = spec.step * rate, max(1, round(spec.window * rate))
    starts = np.rint(np.arange(steps) * hop).astype(int)
    padded = np.zeros(max(len(sound), starts[-1] + window), np.float32)
    padded[: len(sound)] = sound
    hann = np.hanning(window + 1)[:-1] if window > 1 else np.ones(1)
    frames = padded[starts[:, None] + np.arange(window)] * hann
    size = 1 << (window - 1).bit_length()
    power = np.abs(np.fft.rfft(frames, size)) ** 2 / (hann.sum() / 2) ** 2
    energy = power @ triangles(rate, size, spec.bands).T
    x = np.clip(1 + 10 * np.log10(np.maximum(energy, 1e-30)) / FLOOR, 0, 1)
    return np.rint(LEVELS * x).astype(np.uint8)


@functools.lru_cache(maxsize=8)
def triangles(rate: int, size: int, bands: int) -> npt.NDArray[np.float64]:
    """W [bands, size / 2 + 1]. Raises `DataError` where a band holds no frequency of the FFT."""
    corners = 700 * (10 ** (np.linspace(0, _mel(rate / 2), bands + 2) / 2595) - 1)
    frequency = np.arange(size // 2 + 1) * rate / size
    low, middle, high = (corners[i : i + bands, None] for i in range(3))
    weight = np.clip(np.minimum((frequency - low) / (middle - low), (high - frequency) / (high - middle)), 0, None)
    empty = np.flatnonzero(weight.sum(axis=1) == 0)
    if empty.size:
        raise DataError(
            f"sound: band {empty[0]} of {bands} lies between two frequencies of a window of {size} samples at {rate} "
            "per second: fewer bands (task.sound.bands) or a longer window (task.sound.window)"
        )
    return weight


def _mel(frequency: float) -> float:
    return float(2595 * np.log10(1 + frequency / 700))
