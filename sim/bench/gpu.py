"""A training step on an NVIDIA card: `python -m sim.bench --device cuda`.

Every contender in processes of its own, each ended when its time is up: a kernel that hangs or writes where it must not
takes nothing with it. A step's time is by the card's own events, its memory the most that torch had there at once.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import torch

from sim.bench.contenders import CONTENDERS, Contender, Job
from sim.bench.measure import on_device
from sim.bench.runner import Row, run_all
from tclif_neuro.files import write_atomically
from tclif_neuro.learning.training.device import DeviceError, device_of
from tclif_neuro.text import cut

WARM, TIMED = 3, 20
COPIED = 2**28  # bytes of the copy by which the card's bandwidth is measured
BOUND = Contender(name="rnn", label="torch.nn.RNN by cuDNN, a bound", work="train", build="rnn")  # a tanh is no neuron


def run(asked: argparse.Namespace) -> None:
    """Measure on `asked.device`, print the tables and write them to `asked.out`; exits with 2 where it is not there."""
    try:
        device = device_of(asked.device)
        if device.type != "cuda":
            raise DeviceError(f'--device "{asked.device}": "cpu", "cuda" or "cuda:N" expected; only those are timed')
    except DeviceError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    asked.out.mkdir(parents=True, exist_ok=True)  # before the work
    rows = rows_of(device, asked)
    run_all(rows, asked.repeat, asked.timeout, lambda line: print(line, file=sys.stderr, flush=True))
    text = "\n".join(report(rows, asked.repeat, described(device), bandwidth(device)))
    write_atomically(asked.out / "gpu.md", lambda file: file.write(text.encode()))
    print(text)


def rows_of(device: torch.device, asked: argparse.Namespace) -> list[Row]:
    """Every contender's training steps at the largest T, feed-forward and recurrent, at each batch."""
    only = set(filter(None, asked.only.split(",")))
    wanted = [there(c) for c in CONTENDERS if c.work == "train" and (not only or c.name in only)]
    return [
        Row(
            contender=contender,
            job=Job(
                work="train", build=contender.build, steps=max(asked.steps), batch=batch, recurrent=recurrent,
                sizes=asked.sizes, warm=WARM, timed=TIMED, device=str(device),
            ),
        )
        for recurrent in (False, True)
        for batch in asked.batch
        for contender in (*wanted, *([BOUND] if recurrent else []))
    ]  # fmt: skip


def there(contender: Contender) -> Contender:
    """The contender as it runs on a card: what is compiled on the CPU runs by Triton."""
    if contender.needs != "tclif_neuro" or "TCLIF_SCAN" in contender.settings:
        return contender
    return replace(contender, settings={**contender.settings, "TCLIF_SCAN": "triton"})


def report(rows: Sequence[Row], repeat: int, card: str, speed: float) -> Iterator[str]:
    """The lines of the page. speed: bytes per second that a copy on the card reads and writes."""
    first = rows[0].job
    yield f"# A training step on {card}\n"
    yield f"torch {torch.__version__}, CUDA {torch.version.cuda}; a copy reads and writes {speed / 1e9:.0f} GB/s. T ="
    yield f"{first.steps}, {'-'.join(map(str, first.sizes))}. Medians of {TIMED} steps in each of {repeat} processes:"
    yield "forward, backward and Adam. tclif-neuro by Triton, but where it says uncompiled."
    for job in dict.fromkeys(replace(row.job, build="") for row in rows):
        floor = None if job.recurrent else 1e3 * traffic(job.sizes, job.steps * job.batch) / speed
        yield f"\n## {'recurrent' if job.recurrent else 'feed-forward'}, batch {job.batch}\n"
        if floor is not None:
            yield f"To read and write what must be takes {floor:.2f} ms.\n"
        yield "| | ms per step | share of the floor | peak, MiB |\n|---|---:|---:|---:|"
        yield from (_line(row, floor) for row in rows if replace(row.job, build="") == job)
    yield ""


def _line(row: Row, floor: float | None) -> str:
    if row.failure or not row.turns:
        return f"| {row.contender.label} | {cut(' '.join((row.failure or 'not measured').split()), 80)} | | |"
    milliseconds = 1e3 * statistics.median(row.seconds)
    share = "" if floor is None else f"{floor / milliseconds:.0%}"
    return f"| {row.contender.label} | {milliseconds:.2f} | {share} | {row.median('peak'):.0f} |"


def traffic(sizes: tuple[int, ...], sample_steps: int) -> float:
    """Bytes that a feed-forward step reads and writes at least, of layers of M to N neurons.

    Per sample and step: Linear M + 4N, scan forward 5.5N, backward 12.5N, gradient of the weights 4N + M, of the inputs
    4N + 4M (a spike is a byte, all else float32).
    """
    return sample_steps * sum(6 * m + 30 * n for m, n in pairwise(sizes[:-1]))


def bandwidth(device: torch.device) -> float:
    """Bytes per second that a copy on the device reads and writes."""
    source = torch.zeros(COPIED // 4, device=device)
    target = torch.empty_like(source)
    seconds = [on_device(lambda: target.copy_(source), device) for _ in range(WARM + TIMED)]
    return 2 * COPIED / statistics.median(seconds[WARM:])


def described(device: torch.device) -> str:
    """The card's name, compute capability and memory."""
    card = torch.cuda.get_device_properties(device)
    return f"{card.name} (compute capability {card.major}.{card.minor}, {card.total_memory / 2**30:.0f} GiB)"
