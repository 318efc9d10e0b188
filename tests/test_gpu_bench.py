"""The benches for a card, without one: they say so in a line, and what does not need a card runs."""

import itertools
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from sim.bench import gpu, same_bits
from sim.bench.__main__ import main, options
from sim.bench.contenders import CONTENDERS, Job
from sim.bench.measure import training
from sim.bench.models import BUILD
from sim.bench.runner import measure
from tclif_neuro.errors import TclifError
from tclif_neuro.learning.training.device import DeviceError

ROOT = Path(__file__).resolve().parents[1]
CARD = torch.device("cuda", 0)
without_a_card = pytest.mark.skipif(torch.cuda.is_available(), reason="a card is here")


def test_the_jobs_are_every_contender_s_on_the_card() -> None:
    rows = gpu.rows_of(CARD, options(["--device=cuda", "--batch=64,256", "--steps=98,784"]))
    trained = [c.name for c in CONTENDERS if c.work == "train"]
    names = [(row.job.recurrent, row.job.batch, row.contender.name) for row in rows]
    assert names == [
        (recurrent, batch, name)
        for recurrent, more in ((False, []), (True, ["rnn"]))
        for batch in (64, 256)
        for name in [*trained, *more]
    ]
    assert {(row.job.steps, row.job.device, row.job.build in BUILD) for row in rows} == {(784, "cuda:0", True)}
    by_name = {row.contender.name: row.contender.settings for row in rows}
    assert by_name["tclif"] == by_name["checkpointed"] == by_name["lif"] == {"TCLIF_SCAN": "triton"}
    assert by_name["uncompiled"] == {"TCLIF_SCAN": "reference"} and by_name["snntorch"] == {}
    only = gpu.rows_of(CARD, options(["--device=cuda", "--only=lif"]))
    assert [row.contender.name for row in only] == ["lif", "lif", "rnn"]


def test_the_page_has_the_figures_and_the_reasons() -> None:
    rows = gpu.rows_of(CARD, options(["--device=cuda", "--batch=256", "--only=tclif,stepwise"]))
    for row in rows:
        if row.contender.name == "stepwise":
            row.failure = "torch.OutOfMemoryError:\n no room"
        else:
            row.add({"seconds": [0.004, 0.002, 0.001], "peak": 3.2})
    text = "\n".join(gpu.report(rows, 3, "a card", 1e12))
    # 784 steps of 256 samples; layers 1-64, 64-256 and 256-256 move 6 M + 30 N bytes each: 3.85 GB at 1 TB/s.
    assert "takes 3.85 ms" in text and "| TC-LIF, tclif-neuro | 2.00 | 193% | 3 |" in text
    assert "| TC-LIF, PyTorch step by step | torch.OutOfMemoryError: no room | | |" in text
    assert "| torch.nn.RNN by cuDNN, a bound | 2.00 |  | 3 |" in text


def test_what_must_be_moved() -> None:
    """Layer by layer: the spikes below, current, scan, gradients."""
    layers = itertools.pairwise((1, 64, 256, 256))
    each = [(m + 4 * n) + 5.5 * n + 12.5 * n + (4 * n + m) + (4 * n + 4 * m) for m, n in layers]
    assert gpu.traffic((1, 64, 256, 256, 10), 100) == 100 * sum(each)


def test_the_bound_trains() -> None:
    model, x, step = training(Job(work="train", build="rnn", steps=5, batch=2, recurrent=True, sizes=(1, 4, 3)))
    before = [p.detach().clone() for p in model.parameters()]
    step()
    assert model(x).shape == (2, 3)
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@without_a_card
def test_without_a_card_they_say_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("cuda", "cuda:3", "mps", "auto", "nothing"):
        with pytest.raises(SystemExit) as ended:
            main([f"--device={name}", f"--out={tmp_path / 'out'}"])
        assert ended.value.code == 2
        said = capsys.readouterr()
        assert not said.out and said.err.count("\n") == 1 and name in said.err
    assert same_bits.main(["--device=cuda"]) == 2
    said = capsys.readouterr()
    assert not said.out and said.err.count("\n") == 1 and "cuda" in said.err
    assert not list(tmp_path.iterdir())


@without_a_card
def test_a_contender_that_fails_on_the_card_is_left_out_with_its_reason() -> None:
    """Its process ends with what torch says; the others go on."""
    job = Job(work="train", build="tclif", steps=2, batch=1, recurrent=False, sizes=(1, 2, 2), device="cuda:0")
    with pytest.raises(RuntimeError, match="CUDA|NVIDIA"):
        measure(CONTENDERS[0], job, 60)
    assert asdict(job)["device"] == "cuda:0"


def test_the_engines_of_the_cpu_give_the_same_bits(capsys: pytest.CaptureFixture[str]) -> None:
    assert same_bits.main(["--steps=25", "--batch=3", "--sizes=2,40,24,3"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert len(lines) == 12 and all(line.endswith("the same") for line in lines)
    assert sum(float(line.split("%")[0].split()[-1]) > 1 for line in lines) > 9, "nothing fires"


def test_one_spike_that_differs_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = same_bits.Same(neuron="LIF", recurrent=False, other="x", rate=0.1, spikes=9, different=1)
    monkeypatch.setattr(same_bits, "compared", lambda *arguments: [wrong])
    assert same_bits.main([]) == 1
    assert "1 of 9 differ" in capsys.readouterr().out


def test_what_a_card_lacks_is_an_error_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lacking(*arguments: object) -> None:
        raise TclifError("TCLIF_SCAN=triton: Triton is not installed")

    monkeypatch.setattr(same_bits, "compared", lacking)
    assert same_bits.main([]) == 2
    assert capsys.readouterr().err == "TCLIF_SCAN=triton: Triton is not installed\n"
    assert issubclass(DeviceError, TclifError)


def test_a_card_that_does_not_answer_ends_the_process() -> None:
    """A wait in C, which no signal interrupts, stands for it."""
    code = """
import sys
from sim.bench import same_bits
same_bits.run = lambda asked: sys.stdin.buffer.raw.read()
same_bits.main(["--timeout=0.1"])
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.wait(60) == 1
        assert process.stderr is not None and b"Timeout" in process.stderr.read()
