"""The benchmark runs, and its stepwise TC-LIF is the neuron that it is measured against."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

import tclif_neuro as tn
from sim.bench.__main__ import options, rows, training_jobs
from sim.bench.contenders import CONTENDERS
from sim.bench.models import BUILD, StepwiseTCLIF
from sim.bench.scaling import panels
from tclif_neuro.cli.commands.bench import run_bench

ROOT = Path(__file__).resolve().parent.parent


def test_stepwise_tclif_is_the_immediate_reset() -> None:
    torch.manual_seed(0)
    model = BUILD["stepwise"]((3, 5, 4), True)
    (layer,) = (m for m in model.modules() if isinstance(m, StepwiseTCLIF))
    ours = tn.TCLIF(5, recurrent=True, reset="immediate")
    readout = tn.Readout(5, 4)
    ours.recurrent.load_state_dict(layer.recurrent.state_dict())
    readout.load_state_dict(model.readout.state_dict())
    x = 6 * torch.rand(20, 2, 3)
    spikes = ours(layer.linear(x))
    assert 0 < spikes.mean() < 1
    torch.testing.assert_close(model(x), readout(spikes), rtol=1e-4, atol=1e-4)


def test_checkpointed_contender_is_the_same_network() -> None:
    found = []
    for build in ("tclif", "checkpointed"):
        torch.manual_seed(0)
        found.append(BUILD[build]((3, 5, 4), True)(6 * torch.linspace(0, 1, 120).view(20, 2, 3)))
    torch.testing.assert_close(*found)


def test_the_network_is_varied_one_thing_at_a_time() -> None:
    base, *jobs = training_jobs(options(["--steps=8", "--widths=64", "--depths=1,2", "--gains=4"]))
    changed = [{k for k, v in asdict(job).items() if v != getattr(base, k)} for job in jobs]
    assert changed == [{"recurrent"}, {"sizes"}, {"sizes"}, {"sizes"}, {"gain"}]
    assert [job.sizes for job in jobs[1:4]] == [(1, 64, 64, 64, 10), (1, 256, 10), (1, 256, 256, 10)]
    assert len(training_jobs(options(["--short"]))) == 4


def test_scaling_shows_what_is_varied_alone() -> None:
    asked = options(["--steps=8,16", "--batch=4,2", "--widths=16,256", "--depths=1", "--gains=4"])
    todo = rows([c for c in CONTENDERS if c.name in ("tclif", "lif", "simulator")], asked)
    for row in todo:
        row.add({"seconds": [row.job.steps * row.job.batch, 1e9, 0], "rate": row.job.gain})
    shown = {title: curves["TC-LIF, tclif-neuro"] for title, curves in panels(todo)}
    assert shown == {
        "feed-forward: time steps": [(8, 32), (16, 64)],
        "feed-forward: samples in a batch": [(2, 32), (4, 64)],
        "feed-forward: neurons a hidden layer": [(16, 64), (256, 64)],
        "feed-forward: hidden layers of 256": [(1, 64), (3, 64)],
        "feed-forward: spikes a neuron and step, last layer": [(2.5, 64), (4, 64)],
        "recurrent: time steps": [(8, 32), (16, 64)],
        "recurrent: samples in a batch": [(2, 32), (4, 64)],
    }


def test_bench_command_refuses_what_is_not_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(tn.TclifError, match="no benchmark"):
        run_bench(tmp_path / "out", root=tmp_path)
    with pytest.raises(tn.TclifError, match="exit status 2"):
        run_bench(tmp_path / "out", only="tclif,nonsense")
    assert "there is no nonsense; there are tclif, checkpointed, lif" in capfd.readouterr().err


@pytest.mark.slow
def test_bench_writes_what_it_measured(tmp_path: Path) -> None:
    sizes = ["--steps=5", "--batch=4", "--sizes=1,4,3", "--widths=", "--depths=", "--gains=4"]
    tiny = [*sizes, "--repeat=1", "--timed=1", "--only=tclif,limit,simulator"]
    command = [sys.executable, "-m", "sim.bench", *tiny, "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr
    data = json.loads((tmp_path / "benchmark.json").read_text())
    assert data["left out"] == {}
    assert [row["contender"] for row in data["rows"]] == ["tclif"] * 3 + ["limit", "simulator"] * 4
    assert all(seconds > 0 for row in data["rows"] for seconds in row["seconds"])
    assert "| TC-LIF, tclif-neuro |" in (tmp_path / "benchmark.md").read_text()
    for name in ("benchmark.png", "scaling.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
