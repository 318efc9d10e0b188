"""What `loihi.host` and `tclif deploy` make of a real SLURM: partitions, a down node, limits, a job that dies."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tclif_neuro.cli.commands.deploy import deploy_through_slurm
from tclif_neuro.loihi.host import HostError, Target, choose, probe, read_sinfo
from tests.loihi.nets import lif, network
from tests.loihi.slurm import PLACES, cluster

__all__ = ["cluster"]
ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def inside(cluster, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", str(cluster.config))
    monkeypatch.setenv("PATH", PLACES)


def test_partitions_are_read_and_a_down_node_is_not_the_whole_partition():
    nodes = read_sinfo()
    assert {(n.name, n.partition) for n in nodes} == {
        ("board1", "oheogulch"),
        ("board1", "kp"),
        ("board2", "kp"),
        ("board2", "broken"),
    }
    assert [n.name for n in choose(nodes, Target(partition="kp"))] == ["board1"]
    assert not any("partition" in line for line in probe(Target(partition="oheogulch")).missing)


@pytest.mark.parametrize(
    ("partition", "message"),
    [("nowhere", "is not on this cluster, which has broken, kp"), ("broken", "board2 is down")],
)
def test_partitions_that_cannot_be_used(partition, message):
    with pytest.raises(HostError, match=message):
        deploy_through_slurm([], Target(partition=partition), 10)


def test_a_job_longer_than_its_partition_allows_is_slurms_to_refuse(capfd):
    with pytest.raises(HostError, match="Slurm refused or ended the job on kp"):
        deploy_through_slurm(["--version"], Target(partition="kp"), 300)
    assert "time limit" in capfd.readouterr().err


def test_a_command_runs_on_the_node_and_its_status_comes_back():
    assert deploy_through_slurm(["--version"], Target(partition="oheogulch"), 60) == 0
    assert deploy_through_slurm(["--no-such-option"], Target(node="board1"), 60) == 2


def test_a_job_beyond_its_deadline_ends():
    begin = time.monotonic()
    with pytest.raises(HostError, match="not done within"):
        deploy_through_slurm(["check", "/dev/stdin"], Target(partition="oheogulch"), 0.5)
    assert time.monotonic() - begin < 25


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_a_job_that_dies_says_so(signal, tmp_path, monkeypatch):
    """Never with the status 1 of a run that gave other bits."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nkill -{signal} $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(HostError, match=r"srun: .* on oheogulch; its own lines say why"):
        deploy_through_slurm([], Target(partition="oheogulch"), 60)


def test_a_dry_run_and_a_wrong_file_go_through_the_cluster(tmp_path):
    from tclif_neuro.netx import save
    from tests.cli.calls import refused, tclif

    rng = np.random.default_rng(1)
    save(network(lif(rng, 5, 6, bias=False), lif(rng, 6, 3, readout=True), steps=12), tmp_path / "n.net")
    np.savez(tmp_path / "d.npz", x=np.zeros((4, 12, 5), np.float32), y=np.arange(4) % 3)
    asked = ("--target", "cpu", "--partition", "oheogulch", "-o", tmp_path / "out", "--data", tmp_path / "d.npz")
    assert tclif("deploy", tmp_path / "n.net", *asked, "--dry-run").exit_code == 0
    assert (tmp_path / "out/report.json").exists() and not (tmp_path / "out/spikes.npz").exists()
    assert tclif("deploy", tmp_path / "d.npz", *asked).exit_code == 2
    refused(
        tclif("deploy", tmp_path / "n.net", *asked[:2], "--partition", "nowhere", *asked[4:]), "not on this cluster"
    )


def test_the_job_script_runs_on_the_node_and_says_what_its_board_lacks(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{PLACES}")
    script, log = ROOT / "deploy" / "loihi2" / "job.sh", tmp_path / "log"
    net = ROOT / "models" / "digits-rows-lattice.net"
    place = ("--wait", "--partition=oheogulch", f"--output={log}", f"--chdir={ROOT}")
    done = subprocess.run(
        ["sbatch", *place, script, net, tmp_path / "out"], capture_output=True, text=True, timeout=120
    )
    said = log.read_text()
    assert done.returncode == 2 and "missing: nxcore" in said and "sinfo" not in said, (done.stderr, said)


@pytest.mark.lava
def test_deploy_through_the_cluster_gives_the_same_bits(tmp_path):
    from tclif_neuro.netx import save
    from tests.cli.calls import tclif

    rng = np.random.default_rng(1)
    save(network(lif(rng, 5, 6, bias=False), lif(rng, 6, 3, readout=True), steps=12), tmp_path / "n.net")
    np.savez(tmp_path / "d.npz", x=(rng.random((4, 12, 5)) < 0.4).astype(np.float32), y=np.arange(4) % 3)
    arguments = ["deploy", tmp_path / "n.net", "--target", "cpu", "--path", "lif", "--data", tmp_path / "d.npz"]
    here = tclif(*arguments, "-o", tmp_path / "here")
    there = tclif(*arguments, "-o", tmp_path / "there", "--partition", "oheogulch")
    assert here.exit_code == there.exit_code == 0, (here.output, there.output)
    with np.load(tmp_path / "here/spikes.npz") as a, np.load(tmp_path / "there/spikes.npz") as b:
        assert set(a) == set(b) and all(np.array_equal(a[k], b[k]) for k in a)
    assert os.path.exists(tmp_path / "there/report.json")
