"""run_vectors.py, which needs nothing of ours, on Lava's CPU models: its result verifies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tclif_neuro.loihi.conformance import read_result, verdict, write_vectors
from tclif_neuro.loihi.vectors import all_vectors

pytestmark = [pytest.mark.slow, pytest.mark.lava]
SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "loihi2" / "run_vectors.py"


def run_vectors(tmp_path, *arguments, timeout=120):
    command = [sys.executable, SCRIPT, tmp_path / "vectors.h5", "-o", tmp_path / "result.h5", *arguments]
    bare = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SLURM", "NXSDKHOST")}
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=bare, cwd=tmp_path)


def test_every_vector_gives_what_the_numpy_reference_gives(tmp_path, processes):
    """A few of each kind; deploy/cpu/selftest.sh runs all."""
    chosen = {"hop-recurrent", "shift-4", "graded-product", "lif-reset", "sigma-overflow"}
    chosen |= {"tclif-immediate", "tclif-saturating-delayed", "tclif-schedule-immediate", "tclif-start"}
    write_vectors(tmp_path / "vectors.h5", [v for v in all_vectors() if v.name in chosen])
    done = run_vectors(tmp_path, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    result = read_result(tmp_path / "result.h5")
    assert {v.vector: v.equal for v in verdict(result)} == dict.fromkeys(chosen, "lava")
    assert "lava-nc" in result.facts["versions"] and result.facts["backend"] == "cpu"
    assert processes.alive() == []


def test_without_a_board_it_says_what_is_missing(tmp_path):
    write_vectors(tmp_path / "vectors.h5", all_vectors()[:1])
    done = run_vectors(tmp_path, "--backend", "loihi2")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 4 and all(line.startswith("missing: ") for line in lines), lines


def test_a_vector_beyond_its_deadline_is_an_error_of_its_own(tmp_path, processes):
    write_vectors(tmp_path / "vectors.h5", all_vectors()[:1])
    done = run_vectors(tmp_path, "--timeout", "0.3")
    assert done.returncode == 1
    (found,) = verdict(read_result(tmp_path / "result.h5"))
    assert "not done within 0.3 s" in found.error
    assert processes.alive() == []


def test_what_cannot_be_run_or_written_is_said_before_the_run(tmp_path):
    vectors = tmp_path / "vectors.h5"
    for there, options, message in (
        (None, (), "vectors.h5: cannot be read"),
        (b"no vectors", (), "vectors.h5: cannot be read"),
        (True, ("-o", tmp_path / "no folder" / "result.h5"), "result.h5: no result can be written there"),
    ):
        if there is True:
            write_vectors(vectors, all_vectors()[:1])
        elif there is not None:
            vectors.write_bytes(there)
        done = run_vectors(tmp_path, *options)
        assert done.returncode == 2 and "Traceback" not in done.stderr and message in done.stderr, done.stderr
