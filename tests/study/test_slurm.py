"""The same study through a real SLURM: the same table; what dies is said and submitted once more."""

import threading
from contextlib import contextmanager

import numpy as np
import pytest

from tclif_neuro.errors import TclifError
from tclif_neuro.learning.training.checkpoint import NAME, is_checkpoint, load_checkpoint
from tclif_neuro.study.folder import Folder
from tclif_neuro.study.run import TRAIN
from tclif_neuro.study.slurm import by_slurm
from tclif_neuro.study.spec import load_study
from tclif_neuro.study.work import train_job
from tclif_neuro.study.worker import do
from tests.cli.calls import run, tclif
from tests.loihi.slurm import PLACES, cluster
from tests.study.studies import RECIPE, TWELVE, WORK, folder_of, write

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


@pytest.mark.trains
def test_a_job_out_of_time_is_queued_again_and_goes_on_from_its_checkpoint(tmp_path, cluster):
    recipe = RECIPE.replace("epochs = 2", "epochs = 60")
    study = load_study(write(tmp_path, 'recipe = "toy.toml"\nseeds = [1]', recipe))
    there, here, told = Folder(tmp_path / "there"), Folder(tmp_path / "here"), []
    (job,) = there.begin(study)
    where = {"at_once": 1, "partition": "oheogulch", "seconds": 300.0}
    with interrupted(cluster, there.place(job)) as epochs:
        by_slurm(TRAIN, there, [job], **where, done=str, tell=told.append)
    logs = "".join(path.read_text() for path in (there.path / "slurm").glob("*_log.*"))
    assert "Caught signal SIGUSR2" in logs and not told, "it was stopped, and is no failure"
    assert 1 < epochs[0] < 60 and epochs == sorted(epochs), "it never begins again"
    here.begin(study)
    assert do(train_job, job, here) == "done"
    with np.load(there.place(job) / NAME) as a, np.load(here.place(job) / NAME) as b:
        weights = [key for key in a if key.startswith("model/")]
        assert weights and all(np.array_equal(a[key], b[key]) for key in weights), "as if it had not been stopped"


@contextmanager
def interrupted(cluster, place):
    """Tell the job whose folder is `place` that its time is out, as SLURM does, after an epoch or more.

    Yields the list of the epochs that its checkpoint has had, from that one on.
    """
    epochs, stop = [], threading.Event()

    def watch():
        while not stop.wait(0.02):
            if not is_checkpoint(place):
                continue
            epoch = load_checkpoint(place).epoch
            if epoch > 1 and not epochs:
                (number,) = cluster.call("squeue", "--noheader", "--format=%i", "--states=R").stdout.split()
                assert cluster.call("scancel", "--signal=USR2", number).returncode == 0
                epochs.append(epoch)
            elif epochs and epoch != epochs[-1]:
                epochs.append(epoch)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield epochs
    finally:
        stop.set()
        watcher.join(20)
