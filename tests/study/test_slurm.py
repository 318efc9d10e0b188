"""The same study through a real SLURM: the same table; what dies is said and submitted once more."""

import pytest

from tclif_neuro.errors import TclifError
from tclif_neuro.study.folder import Folder
from tclif_neuro.study.slurm import by_slurm
from tests.cli.calls import run, tclif
from tests.loihi.slurm import PLACES, cluster
from tests.study.studies import TWELVE, WORK, folder_of, write

__all__ = ["cluster"]
pytestmark = pytest.mark.slow
FOUR = TWELVE.replace("[1, 2, 3]", "[1]")


@pytest.fixture(autouse=True)
def inside(cluster, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("SLURM_CONF", str(cluster.config))
    monkeypatch.setenv("PATH", PLACES)


@pytest.mark.trains
def test_through_slurm_the_table_is_the_same(tmp_path):
    file = write(tmp_path, "hours = 0.1\n" + FOUR)
    there = run("study", file, "-o", tmp_path / "there", "--executor", "slurm", "--partition", "oheogulch")
    here = run("study", file, "-o", tmp_path / "here")
    assert there["done"] == here["done"] == 4 and there["summary"] == here["summary"]
    assert (tmp_path / "there/table.md").read_text() == (tmp_path / "here/table.md").read_text()


def test_a_task_that_dies_is_said_and_submitted_once_more(tmp_path):
    folder, told, over = folder_of(tmp_path / "out"), [], []
    jobs = [{"n": 2}, {"n": 3, "dies": 1}, {"n": 4, "raises": 1}]
    where = {"at_once": 2, "partition": "oheogulch", "seconds": 300.0}
    by_slurm(WORK, folder, jobs, **where, done=over.append, tell=told.append)
    assert [folder.result(job) for job in jobs] == [{"square": 4}, {"square": 9}, {"square": 16}]
    assert len(over) == 3 and len(told) == 2 and all("once more" in text for text in told)


def test_a_partition_that_is_not_there_is_said(tmp_path):
    with pytest.raises(TclifError, match="SLURM takes no jobs"):
        by_slurm(WORK, Folder(tmp_path), [{"n": 1}], at_once=1, partition="no", seconds=60.0, done=str, tell=str)
    result = tclif("study", write(tmp_path, FOUR), "-o", tmp_path / "o", "--executor", "slurm", "--partition", "no")
    assert result.exit_code == 2 and "SLURM takes no jobs" in result.stderr
