"""The benchmark runs, and its stepwise TC-LIF is the neuron that it is measured against."""

import json
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

import tclif_neuro as tn
from sim.bench import ratios, report
from sim.bench.__main__ import options, rows, training_jobs
from sim.bench.contenders import CONTENDERS, Contender, Job, thread_counts
from sim.bench.load import Load, Watch, busy, mean
from sim.bench.machine import instruction_sets
from sim.bench.models import BUILD, StepwiseTCLIF
from sim.bench.runner import THREADS, Row, environment, measure
from sim.bench.scaling import panels
from sim.lava_speed import lines
from sim.lava_speed import rows as lava_rows
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
    assert [job.recurrent for job in training_jobs(options(["--short"]))] == [False, True]


def by_name(*names: str) -> list[Contender]:
    return [c for c in CONTENDERS if c.name in names]


def test_every_contender_is_measured_with_every_number_of_threads() -> None:
    assert [thread_counts(n) for n in (1, 2, 6, 16)] == [(1,), (1, 2), (1, 2, 4, 6), (1, 2, 4, 8, 16)]
    todo = rows(by_name("tclif", "stepwise", "eprop", "limit", "simulator"), options(["--short", "--threads=1,2,3"]))
    found = {(r.contender.name, r.job.recurrent, r.job.batch): [] for r in todo}
    for row in todo:
        found[row.contender.name, row.job.recurrent, row.job.batch].append(row.job.threads)
    assert len(found) == 2 * (2 + 1 + 2 * 2)
    assert all(threads == [1, 2, 3] for threads in found.values())
    in_turns = [r.contender.name for r in todo if r.job.work == "train" and not r.job.recurrent]
    assert in_turns == ["tclif", "stepwise"] * 3, "contenders alternate"
    assert {b for name, _, b in found if name == "simulator"} == {1, 64}


FAST = {1: [[4.0, 4.0], [6.0, 6.0]], 2: [[2.0, 3.0], [3.0, 4.0]]}  # medians 5 and 3
SLOW = {1: [[10.0, 10.0], [12.0, 12.0]], 2: [[20.0, 20.0], [30.0, 30.0]]}  # 11 and 25


def test_ratios_are_best_to_best_and_at_equal_threads() -> None:
    assert (ratios.best(FAST), ratios.best(SLOW)) == (2, 1)
    assert ratios.best_to_best(SLOW, FAST) == pytest.approx((11 / 3, 12 / 3.5, 10 / 2.5))
    assert ratios.at_equal_threads(SLOW, FAST) == {
        1: pytest.approx((11 / 5, 2.0, 2.5)),
        2: pytest.approx((25 / 3, 8.0, 30 / 3.5)),
    }
    assert ratios.gains(FAST) == {2: pytest.approx((5 / 3, 1.6, 6 / 3.5))}
    assert ratios.gains(SLOW)[2].value < 1, "more threads can make it slower"
    assert ratios.best_to_best(FAST, SLOW).inverse == pytest.approx(ratios.best_to_best(SLOW, FAST))
    assert ratios.at_equal_threads({3: FAST[1]}, FAST) == {}


def filled(name: str, times: ratios.Times, work: str = "train") -> list[Row]:
    (contender,) = by_name(name)
    found = []
    for threads, turns in times.items():
        job = Job(work=work, build=contender.build, steps=8, batch=4, recurrent=False, threads=threads)  # type: ignore[arg-type]
        found.append(Row(contender=contender, job=job))
        for turn in turns:
            found[-1].add({"seconds": turn, "rate": 0.1, "before": 10.0, "peak": 10.0 + threads, "operations": 6.0})
    return found


QUIET = {
    "processor": "X", "instruction sets": ["avx2"], "cores": 2, "load before": 0.1, "copy GB/s": 20.0, "python": "3.10",
    "versions": {"torch": "2.3.1", "numpy": "1.26.4", "numba": "0.68.1"}, "versions of peers": {}, "date": "2026-01-01",
    "load during": {"others": 0.01, "steal": 0.0},
}  # fmt: skip


def test_the_table_has_each_number_and_both_kinds_of_ratio() -> None:
    done = filled("tclif", FAST) + filled("stepwise", SLOW)
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.table(done).splitlines()]
    assert cells[0] == [
        "", "seconds per step, 1 thread", "seconds per step, 2 threads", "times the first, best to best", "at 1 thread",
        "at 2 threads", "2 threads against 1", "MiB", "rate",
    ]  # fmt: skip
    assert cells[3] == [
        "TC-LIF, PyTorch step by step", "11 (10-12)", "25 (20-30)", "3.67 (3.43-4.00)", "2.20 (2.00-2.50)",
        "8.33 (8.00-8.57)", "0.44 (0.40-0.50)", "1", "10.0%",
    ]  # fmt: skip
    text = report.markdown(done, QUIET, {}, "bench")
    assert "busy" not in text
    for word in ("avx2", "torch 2.3.1", "numba 0.68.1", "0.10 before", "other processes took 1.0%"):
        assert word in text


def test_a_simulation_is_compared_by_its_speed() -> None:
    done = filled("limit", {1: [[0.5]]}, "simulate") + filled("simulator", {1: [[1.0]]}, "simulate")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.table(done).splitlines()]
    assert cells[0][1:3] == ["samples per second, 1 thread", "share of the first's speed, best to best"]
    assert cells[3][1:] == ["1 (1-1)", "0.50 (0.50-0.50)", "1", "6"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"load before": 0.6, "load during": None}, "load average was 0.6 before"),
        ({"load during": {"others": 0.2, "steal": 0.0}}, "other processes took 20%"),
        ({"load during": {"others": 0.0, "steal": 0.03}}, "other virtual machines took 3%"),
    ],
)
def test_a_busy_machine_is_said_where_the_figures_are(change: dict, reason: str) -> None:
    assert busy(QUIET) == busy({**QUIET, "load during": None}) == busy({**QUIET, "load before": 9.0}) == []
    (found,) = busy({**QUIET, **change})
    assert reason in found
    assert f"**The machine was busy, so these figures say little: {found}.**" in report.markdown(
        filled("tclif", FAST), {**QUIET, **change}, {}, "bench"
    )


def test_load_is_that_of_others() -> None:
    assert mean([(Load(0.5, 0.0), 1.0), (None, 9.0), (Load(0.1, 0.4), 3.0)]) == pytest.approx((0.2, 0.3))
    assert mean([(None, 1.0)]) is None
    if Watch().load() is None:
        pytest.skip("this system does not say what its processes do (Linux does)")
    watch = Watch()
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.4)
        found = watch.load()
    finally:
        other.kill()
        other.wait()
    assert found is not None
    assert found.others > 0, "a child that has not ended is not yet known to be ours"


def test_instruction_sets_are_those_that_the_processor_names() -> None:
    assert instruction_sets("fpu avx avx2 avx512fp16 fma") == ["avx", "fma", "avx2"]
    assert instruction_sets("fp asimd sve") == ["asimd", "sve"]


def test_a_child_has_the_threads_that_it_was_given() -> None:
    (simulator,) = by_name("simulator")
    assert all(environment(simulator, 3)[name] == "3" for name in THREADS)
    job = Job(work="simulate", build="simulator", steps=3, batch=2, recurrent=False, threads=3, timed=1)
    got = measure(simulator, job, 60)
    assert got["threads"] == {"numba": 3, "tclif_neuro": 3}
    assert got["peak"] >= got["before"] > 0
    wrong = replace(simulator, settings={"OMP_NUM_THREADS": "2"})
    with pytest.raises(RuntimeError, match="was to use 3 threads, but .'tclif_neuro': 2."):
        measure(wrong, job, 60)


def test_lava_is_compared_best_to_best() -> None:
    todo = lava_rows(8, 64, (1, 2))
    for row in todo:
        speed = {("lava", 4): 1, ("simulator", 64): 100, ("simulator", 1): 10}[row.contender.name, row.job.batch]
        row.add({"seconds": [12 / speed / row.job.threads], "samples": 3})
    text = lines(todo, 64, False)
    assert len(text) == 1 + 3 * 3
    assert text[3].split()[-8:] == ["2000.00", "ms", "per", "sample", "1", "times", "faster", "(1-1)"]
    assert text[6].split()[-8:] == ["20.00", "ms", "per", "sample", "100", "times", "faster", "(100-100)"]


def test_scaling_shows_what_is_varied_alone() -> None:
    asked = options(["--steps=8,16", "--batch=4,2", "--widths=16,256", "--depths=1", "--gains=4"])
    todo = rows([c for c in CONTENDERS if c.name in ("tclif", "lif", "simulator")], asked)
    for row in todo:
        row.add({"seconds": [row.job.steps * row.job.batch, 1e9, 0], "rate": row.job.gain, "load": None})
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
    sizes = ["--steps=5", "--batch=4", "--sizes=1,4,3", "--widths=", "--depths=", "--gains="]
    tiny = [*sizes, "--threads=1,2", "--repeat=1", "--timed=1", "--only=tclif,stepwise"]
    command = [sys.executable, "-m", "sim.bench", *tiny, "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr
    data = json.loads((tmp_path / "benchmark.json").read_text())
    assert data["left out"] == {}
    assert [row["contender"] for row in data["rows"]] == ["tclif", "stepwise"] * 2 * 2
    assert all(seconds > 0 for row in data["rows"] for turn in row["turns"] for seconds in turn)
    for row in data["rows"]:
        (process,) = row["processes"]
        threads = process["threads"].values()
        assert {"torch", "numba"} <= process["threads"].keys() or row["contender"] == "stepwise"
        assert set(threads) == {row["job"]["threads"]}, "torch's too"
    compared = data["ratios"][0]["stepwise"]
    assert compared["times the first, best to best"]["value"] > 0
    assert compared["times the first, at equal threads"].keys() == {"1", "2"}
    assert "| TC-LIF, tclif-neuro |" in (tmp_path / "benchmark.md").read_text()
    assert (tmp_path / "benchmark.png").read_bytes().startswith(b"\x89PNG")
