"""Batches: time first, every sample once, in an order that can be taken up again."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.data import Batches, DataError, Part
from tclif_neuro.data.sequences import Dense, Packed, time_first


def numbered(samples: int) -> Part:
    """Sample i is full of i: [n, 3, 2], and so is its label."""
    y = np.arange(samples)
    return Part(x=Dense(np.broadcast_to(y[:, None, None], (samples, 3, 2)).astype(np.float32)), y=y)


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_an_epoch_has_every_sample_once(samples: int, size: int, seed: int) -> None:
    batches = Batches(numbered(samples), size)
    seen = []
    for x, y in batches.shuffled(torch.Generator().manual_seed(seed)):
        assert x.shape == (3, len(y), 2)
        assert (x == y[None, :, None]).all()
        seen.append(y)
    assert [len(y) for y in seen[:-1]] == [size] * (len(batches) - 1)
    assert sorted(torch.cat(seen).tolist()) == list(range(samples))


def test_without_a_generator_the_order_is_the_data_sets() -> None:
    assert torch.cat([y for _, y in Batches(numbered(10), 4)]).tolist() == list(range(10))


def test_the_generators_state_brings_an_epoch_back() -> None:
    batches, generator = Batches(numbered(20), 6), torch.Generator().manual_seed(0)
    first = [y.tolist() for _, y in batches.shuffled(generator)]
    state = generator.get_state()
    second = [y.tolist() for _, y in batches.shuffled(generator)]
    again = [y.tolist() for _, y in batches.shuffled(torch.Generator().set_state(state))]
    assert second == again != first


def test_a_batch_needs_a_sample() -> None:
    with pytest.raises(DataError, match="batch size 0"):
        Batches(numbered(3), 0)


def test_packed_samples_are_drawn_in_the_layout_that_training_wants():
    x = np.random.default_rng(0).random((5, 4, 3)) < 0.5
    drawn = Packed.of(x).batch(np.array([3, 1]))
    assert np.array_equal(drawn, x[[3, 1]]) and drawn.dtype == np.float32
    assert np.shares_memory(time_first(drawn), drawn)


MEMORY = """
import re, sys
import numpy as np
from tclif_neuro.data.sequences import Packed
def highest():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
words = np.lib.format.open_memmap(sys.argv[1], mode="r")
before = highest()
x = Packed(words, 30, 2312).part(np.random.default_rng(0).permutation(len(words)))
for start in range(0, len(x), 64):
    x.batch(np.arange(start, min(start + 64, len(x))))
print(len(x), highest() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_epoch_takes_the_memory_of_a_batch_and_of_the_packed_file(tmp_path: Path) -> None:
    """Of N-MNIST's shape: 2,000 samples are 17 MiB packed, and would be 529 MiB as float32."""
    np.save(tmp_path / "words.npy", np.random.default_rng(0).integers(0, 256, (2000, 30 * 2312 // 8), dtype=np.uint8))
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "words.npy")], capture_output=True, text=True, check=True
    )
    samples, mebibytes = done.stdout.split()
    assert int(samples) == 2000 and float(mebibytes) < 100
