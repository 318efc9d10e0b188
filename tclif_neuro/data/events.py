"""Events into steps: the recordings of a silicon retina or cochlea as spikes [T, M], packed and kept on the disk.

A recording is its events' times in seconds and their channels. Step t holds the events of [t d / T, (t + 1) d / T), d
the duration; what comes later is dropped, and counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tclif_neuro.data.cache import Row, kept_rows
from tclif_neuro.data.sequences import DataError, Dense, Packed, Sequences
from tclif_neuro.errors import warn

Array = npt.NDArray[Any]
LATE = 0.01  # the share of events that may be dropped without a word


class Recording(NamedTuple):
    """times: [k] seconds from the beginning. channels: [k], in [0, M)."""

    times: Array
    channels: Array


@dataclass(frozen=True, kw_only=True)
class Bins:
    """The binning of events into steps: `steps` T over `duration` seconds; `count`: "binary" or "sum" (at most 255)."""

    steps: int
    duration: float
    count: str = "binary"


def binned(recording: Recording, channels: int, bins: Bins) -> tuple[npt.NDArray[np.uint8], int]:
    """The spikes [T, M] of a recording, and how many events came too late. Raises `DataError` on impossible events."""
    times, where = np.asarray(recording.times, np.float64), np.asarray(recording.channels, np.int64)
    if times.shape != where.shape or times.ndim != 1:
        raise DataError(f"{times.size} times of {where.size} events")
    if times.size and not (np.isfinite(times).all() and times.min() >= 0):
        raise DataError("an event's time is negative or not finite")
    if times.size and (where.min() < 0 or where.max() >= channels):
        at = where.min() if where.min() < 0 else where.max()
        raise DataError(f"an event of channel {at}; there are {channels}")
    step = np.floor(times * (bins.steps / bins.duration)).astype(np.int64)
    kept = step < bins.steps
    counts = np.bincount(step[kept] * channels + where[kept], minlength=bins.steps * channels)
    most = 1 if bins.count == "binary" else 255
    return np.minimum(counts, most).astype(np.uint8).reshape(bins.steps, channels), int((~kept).sum())


def kept_on_disk(
    recordings: Iterator[Recording], shape: tuple[int, int], bins: Bins, identity: str, what: str
) -> Sequences:
    """All recordings in steps, memory-mapped from the cache.

    shape: [n, M], how many there are, and of how many channels. identity: of what they are read from; with the same one
    they are not read again. what: what a warning calls them, if more than a hundredth of the events come too late.
    Raises `DataError`.
    """
    count, channels = shape
    width = -(-bins.steps * channels // 8) if bins.count == "binary" else bins.steps * channels
    rows = (_row(recording, channels, bins) for recording in recordings)
    words, late = kept_rows(rows, (count, width), f"1 {identity} {count} {channels} {bins!r}", "events")
    if late > LATE:
        warn(f"{what}: {late:.0%} of the events come after {bins.duration:g} s and are dropped (task.bins.duration)")
    if bins.count == "binary":
        return Packed(words, bins.steps, channels)
    return Dense(words.reshape(count, bins.steps, channels))


def _row(recording: Recording, channels: int, bins: Bins) -> Row:
    spikes, late = binned(recording, channels, bins)
    flat = spikes.reshape(-1)
    return Row(np.packbits(flat) if bins.count == "binary" else flat, late, len(recording.times))
