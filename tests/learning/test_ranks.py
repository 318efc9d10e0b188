"""A training by several processes: the same sums as by one, in another order, and none waits for ever."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from tclif_neuro import threads
from tclif_neuro.errors import TclifWarning
from tclif_neuro.learning import TrainingError, load_checkpoint, parse_recipe, train
from tclif_neuro.neurons import ranks
from tests.learning import ranks_child
from tests.learning.toys import toy_recipe

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 200.0  # seconds; importing torch takes most of them on a busy machine
TRAIN = """
import sys
from tclif_neuro.learning import load_recipe, train
train(load_recipe(sys.argv[1]), sys.argv[2])
"""


def free_port() -> str:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return str(held.getsockname()[1])


@contextmanager
def two_ranks(*command: str) -> Iterator[list["subprocess.Popen[str]"]]:
    """The same Python command as two ranks, without torchrun, which would end one when the other has died."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": "2", "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **place, "RANK": str(rank), "LOCAL_WORLD_SIZE": "2"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


@contextmanager
def torchrun(*command: str) -> Iterator["subprocess.Popen[str]"]:
    """The same Python command under torchrun, twice, in a group of its own that ends with the block."""
    options = ["--standalone", "--nproc-per-node", "2"]
    started = subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *options, *command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield started
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.communicate()


@pytest.mark.slow
def test_two_ranks_are_one_process_to_the_order_of_the_sums(tmp_path: Path) -> None:
    with two_ranks("-m", "tests.learning.ranks_child", str(tmp_path / "two.npz")) as started:
        for process in started:
            said, _ = process.communicate(timeout=DEADLINE)
            assert process.returncode == 0, said
    with np.load(tmp_path / "two.npz") as two:
        for name in ranks_child.CASES:
            for key, alone in ranks_child.trained(name).items():
                # Sums of some hundred numbers of order 1, rounded at 1e-16; a spike more or less is worth 1e-3.
                np.testing.assert_allclose(two[key], alone, rtol=0, atol=1e-11, err_msg=key)


def written(toy: Path, folder: Path, epochs: int) -> Path:
    """The toy recipe as a file, with a constant rate, so that it can go on."""
    lines = [
        f'task.name = "{toy}"',
        f"training = {{ epochs = {epochs}, batch_size = 16, scheduler = 'constant', input_noise = 0.1 }}",
        "[[model.layers]]",
        'type = "tclif"\nsize = 6\nrecurrent = true\nbatch_norm = true\ndropout = 0.2',
    ]
    path = folder / f"toy-{epochs}.toml"
    path.write_text("\n".join(lines))
    return path


@pytest.mark.slow
@pytest.mark.trains
def test_torchrun_trains_one_model_and_another_number_of_ranks_goes_on(toy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    recipe = written(toy, tmp_path, 3)
    with torchrun("-m", "tclif_neuro", "train", str(recipe), "--out", str(out)) as started:
        said, error = started.communicate(timeout=DEADLINE)
        assert started.returncode == 0, error
    assert said.count("epoch kept") == 1  # one rank speaks
    assert sorted(path.name for path in out.iterdir()) == ["checkpoint.npz", "log.csv"]
    checkpoint = load_checkpoint(out)
    assert (checkpoint.ranks, checkpoint.epoch) == (2, 3)
    with two_ranks("-c", TRAIN, str(written(toy, tmp_path, 100_000)), str(out)) as (first, second):
        wait_until_epoch(first, out, 4)
        second.kill()
        said, _ = first.communicate(timeout=60.0)  # it does not wait for who will not come
        assert first.returncode == 1 and "RankError: rank 0: another rank has ended" in said
    reached = load_checkpoint(out).epoch
    with pytest.warns(TclifWarning, match="trained by 2 processes, and now there are 1"):
        result = train(
            parse_recipe({**checkpoint.recipe, "training": {**checkpoint.recipe["training"], "epochs": reached + 1}}),
            out,
        )
    assert result.epochs == reached + 1 and load_checkpoint(out).ranks == 1


def wait_until_epoch(process: "subprocess.Popen[str]", out: Path, epoch: int) -> None:
    deadline = time.monotonic() + DEADLINE
    while load_checkpoint(out).epoch < epoch:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"no epoch {epoch} after {DEADLINE} s"
        time.sleep(0.02)


def test_a_rank_that_does_not_come_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": "2", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    threads_before = torch.get_num_threads()
    begin = time.monotonic()
    try:
        with pytest.raises(ranks.RankError, match="did not answer within 1 s"), ranks.joined(1.0):
            pass
    finally:
        torch.set_num_threads(threads_before)
    assert time.monotonic() - begin < 30
    assert ranks.size() == 1


def test_a_batch_smaller_than_the_ranks_is_refused(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "size", lambda: 5)
    monkeypatch.setattr(ranks, "rank", lambda: 0)
    with pytest.raises(TrainingError, match="one batch has 3, fewer than the 5 processes"):
        train(toy_recipe(toy, batch_size=15), tmp_path)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LOCAL_WORLD_SIZE": "2"}, 4),
        ({"LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}, 4),  # torchrun's own
        ({"LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "3"}, 3),
        ({"LOCAL_WORLD_SIZE": "16"}, 1),
        ({"LOCAL_WORLD_SIZE": "1", "OMP_NUM_THREADS": "1"}, 1),
        ({}, 8),
    ],
)
def test_ranks_divide_the_cores(environment: dict[str, str], expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_cores", lambda: 8)
    for name in ("LOCAL_WORLD_SIZE", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert threads.count() == expected
