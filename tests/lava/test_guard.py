"""A run that fails ends soon, says why, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tclif_neuro.errors import TclifError
from tclif_neuro.lava import LavaError, guarded
from tclif_neuro.lava.guarding import guard

pytestmark = [pytest.mark.slow, pytest.mark.lava]

LONG = 300.0  # seconds: a timeout that no test waits for
SOON = 60.0  # seconds in which a failure must be noticed; most of it is Lava's start on a slow and busy machine
GRACE = 8.0  # seconds after a timeout in which all must have ended


@pytest.fixture
def fail(tmp_path, processes, tasks):
    """Run a task that must fail; returns the error's text and how long it took, when nothing of it is left."""

    def run(task: str, timeout: float = LONG) -> tuple[str, float]:
        start = time.monotonic()
        with pytest.raises(LavaError) as caught:
            guarded(f"lava_tasks:{task}", tmp_path, timeout=timeout, steps=1000)
        took = time.monotonic() - start
        assert processes.alive() == []
        return str(caught.value), took

    return run


def segments(folder: Path) -> list[Path]:
    """The shared memory that the failing process had mapped."""
    return [Path(p) for p in (folder / "segments").read_text().split()]


@pytest.mark.parametrize("task", ["raises", "raises_late"])
def test_what_a_process_model_raises_is_told(fail, tmp_path, task):
    text, took = fail(task)
    assert took < SOON
    assert "Lava failed at step 7 of 1000" in text
    assert "Lava process troubled (Troubled) raised ValueError: the dendrite broke in step 7" in text
    assert "in fail\n" in text and "lava_tasks.py" in text  # the traceback, to the line
    assert segments(tmp_path) and not any(p.exists() for p in segments(tmp_path))


def test_an_exception_that_does_not_pickle_is_told_too(fail):
    text, took = fail("unpicklable")
    assert took < SOON
    assert "Lava process troubled (Troubled) ended with exit status 1" in text
    assert "Unpicklable: neither here nor there" in text


def test_a_process_killed_is_noticed_at_once(fail, tmp_path):
    text, took = fail("killed")
    assert took < SOON
    assert "Lava process troubled (Troubled) was killed by SIGKILL (out of memory?)" in text
    assert segments(tmp_path) and not any(p.exists() for p in segments(tmp_path))


def test_a_process_that_exits_is_noticed_at_once(fail):
    text, took = fail("exits")
    assert took < SOON
    assert "Lava process troubled (Troubled) ended with exit status 5" in text


def test_a_hang_ends_at_the_timeout(fail):
    text, took = fail("hangs", timeout=12)
    assert 12 <= took < 12 + GRACE
    assert re.fullmatch(r"Lava failed( at step 7 of 1000)?: not done within the timeout of 12 s", text)


def test_a_run_without_progress_ends_before_the_timeout(fail, tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "_STALL", 1.0)
    text, took = fail("hangs")
    assert took < SOON
    assert text == "Lava failed at step 7 of 1000: no step for 1 s"
    assert segments(tmp_path) and not any(p.exists() for p in segments(tmp_path))


def test_a_child_that_does_not_hear_is_killed(fail):
    text, took = fail("deaf", timeout=10)
    assert 10 <= took < 10 + 2 * GRACE
    assert "not done within the timeout of 10 s" in text


def test_the_death_of_the_child_itself(fail):
    text, took = fail("child_killed")
    assert took < SOON
    assert "the child process was killed by SIGKILL" in text


def test_a_crash_in_c_shows_where(fail):
    text, _ = fail("segfaults")
    assert "the child process was killed by SIGSEGV" in text
    assert "lava_tasks.py" in text  # faulthandler's


def test_an_error_outside_of_lava_is_told_with_its_traceback(fail):
    text, _ = fail("does_not_build")
    assert "in does_not_build" in text and "2D matrix" in text


def test_lava_errors_are_the_users_to_mend():
    assert issubclass(LavaError, TclifError)


def test_output_stays_in_the_folder(tmp_path, processes, tasks, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "numpy.py").write_text("raise ImportError('the modules of the working directory are not ours')")
    folder = Path("job")
    folder.mkdir()
    guarded("lava_tasks:speaks", folder, timeout=LONG)
    assert (folder / "done").exists()
    assert (folder / "output.txt").read_text() == "one line\n"
    assert capfd.readouterr() == ("", "")
    assert processes.alive() == []


SCRIPT = """
from pathlib import Path
from tclif_neuro.lava import guarded
guarded("lava_tasks:hangs", Path({folder!r}), timeout=300, steps=1000)
"""


@pytest.mark.parametrize(("ending", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, -signal.SIGINT)])
def test_nothing_survives_the_user(tmp_path, processes, tasks, ending, status):
    path = os.pathsep.join([str(tasks), *(str(Path(p).absolute()) for p in sys.path)])
    user = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(folder=str(tmp_path))],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + SOON
        while not (tmp_path / "segments").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(processes.alive()) > 8  # the user's, the child, and Lava's
        user.send_signal(ending)
        assert user.wait(15) == status
        assert processes.wait_for(lambda n: n == 0, 10) == []
        assert segments(tmp_path) and not any(p.exists() for p in segments(tmp_path))
    finally:
        user.kill()
        user.wait()
