"""What `loihi.host` and `tclif deploy` make of a real SLURM: partitions, a down node, limits, a job that dies."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tclif_neuro.cli.commands.deploy import deploy_through_slurm
from tclif_neuro.loihi.host import HostError, Target, choose, probe, read_sinfo
from tests.loihi.nets import lif, network
from tests.loihi.slurm import PLACES, cluster

__all__ = ["cluster"]
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


def test_a_job_longer_than_its_partition_allows_is_slurms_to_refuse():
    assert deploy_through_slurm(["--version"], Target(partition="kp"), 300) != 0


def test_a_command_runs_on_the_node_and_its_status_comes_back():
    assert deploy_through_slurm(["--version"], Target(partition="oheogulch"), 60) == 0
    assert deploy_through_slurm(["--no-such-option"], Target(node="board1"), 60) == 2


def test_a_job_beyond_its_deadline_ends():
    begin = time.monotonic()
    with pytest.raises(HostError, match="not done within"):
        deploy_through_slurm(["check", "/dev/stdin"], Target(partition="oheogulch"), 0.5)
    assert time.monotonic() - begin < 25


def test_a_job_that_dies_says_so():
    command = ["srun", "--partition=oheogulch", sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode in (1, 128 + signal.SIGKILL) and "error" in done.stderr


@pytest.mark.lava
def test_deploy_through_the_cluster_gives_the_same_bits(tmp_path):
    import numpy as np

    from tclif_neuro.netx import save
    from tests.cli.calls import tclif

    rng = np.random.default_rng(1)
    save(network(lif(rng, 5, 6, bias=False), lif(rng, 6, 3, readout=True), steps=12), tmp_path / "n.net")
    np.savez(tmp_path / "d.npz", x=(rng.random((4, 12, 5)) < 0.4).astype(np.float32), y=np.arange(4) % 3)
    arguments = ["deploy", tmp_path / "n.net", "--target", "cpu", "--path", "microcode", "--data", tmp_path / "d.npz"]
    here = tclif(*arguments, "-o", tmp_path / "here")
    there = tclif(*arguments, "-o", tmp_path / "there", "--partition", "oheogulch")
    assert here.exit_code == there.exit_code == 0, (here.output, there.output)
    with np.load(tmp_path / "here/spikes.npz") as a, np.load(tmp_path / "there/spikes.npz") as b:
        assert set(a) == set(b) and all(np.array_equal(a[k], b[k]) for k in a)
    assert os.path.exists(tmp_path / "there/report.json")
