"""What reaches the terminal, and how the command ends when nobody reads it, or it is told to end."""

import os
import signal
import subprocess
import sys
import threading
import unicodedata
from pathlib import Path

import pytest
import typer

from tclif_neuro import threads
from tclif_neuro.cli import status as cli
from tclif_neuro.errors import TclifError
from tclif_neuro.lava.guarding.guard import LavaError
from tests.cli.calls import process, refused, tclif

MAIN = "from tclif_neuro.cli.app import main; main()"


@pytest.mark.parametrize(
    "name", ["\x1b[2J.net", "a\nerror: all is well\n.net", "\u202ega.net", "\udcff.net", "x" * 5000]
)
def test_a_name_cannot_command_the_terminal(name):
    result = tclif("inspect", name)
    refused(result)
    assert not {unicodedata.category(c) for c in result.stderr.rstrip("\n")} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(result.stderr) < 1100


def test_an_account_of_a_process_keeps_its_lines_and_a_quoted_value_does_not(capsys):
    def fails(error):
        def command():
            raise error

        return cli.status_of(command), capsys.readouterr().err

    assert fails(TclifError("a\nb")) == (2, "error: a\\nb\n")
    assert fails(LavaError("a\n\x1b[2Jb")) == (2, "error: a\n\\x1b[2Jb\n")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("cannot allocate"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:83] err == 0. DefaultCPUAllocator: can't allocate memory\nframe 1"
        ),
        RuntimeError("Storage size calculation overflowed with sizes=[1, 2]"),
    ],
)
def test_too_little_memory_is_one_line(error, capsys):
    def command():
        raise error

    assert cli.status_of(command) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: not enough memory") and told.count("\n") == 1


def test_other_runtime_errors_are_bugs():
    def command():
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        cli.status_of(command)


def test_an_exit_status_of_its_own_is_kept():
    assert cli.status_of(lambda: 1) == 1 and cli.status_of(lambda: None) == 0
    with pytest.raises(typer.Exit):
        cli.status_of(lambda: (_ for _ in ()).throw(typer.Exit(1)))


@pytest.mark.parametrize("arguments", [("inspect", "{net}"), ("--help",), ("inspect", "{net}", "--json")])
def test_when_nobody_reads_the_results_the_status_is_still_the_commands(folder, arguments):
    read, write = os.pipe()
    os.close(read)  # as `| head -1` does, but surely before the first line
    words = [word.format(net=folder / "tiny.net") for word in arguments]
    try:
        done = subprocess.run([sys.executable, "-c", MAIN, *words], stdout=write, stderr=subprocess.PIPE, timeout=120)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_ascii_terminal_gets_what_it_can_show(folder, tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = process("inspect", folder / "tiny.net", env=environment)
    assert done.returncode == 0 and done.stdout.isascii() and done.stderr == ""
    done = process("inspect", tmp_path / "ü.net", env=environment)
    assert done.returncode == 2 and "\\xfc.net" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("asked", "count"), [("²", None), ("3", 3), ("0", 1), ("-1", None), ("9" * 30, None), ("", None)]
)
def test_how_many_threads(monkeypatch, asked, count):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert threads.count() == (count or cores)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert threads.count() == (count or os.cpu_count())


def test_a_file_that_hides_lava_is_named(tmp_path):
    (tmp_path / "lava.py").write_text("raise SystemExit('executed')\n")
    code = "import tclif_neuro as tn\nprint(tn.lava.guarding.guard.why_not_available())"
    done = process(code=code, cwd=tmp_path)
    assert done.stdout == f"{tmp_path / 'lava.py'} hides the package lava: give that file another name\n", done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_it_cleans_up(tmp_path, number):
    code = (
        "import tempfile, time\nimport tclif_neuro.netx as n\n"
        "def describe(path):\n    with tempfile.TemporaryDirectory(prefix='tclif-'):\n"
        "        print('ready', flush=True)\n        time.sleep(60)\n"
        # nohup's children ignore SIGHUP, as they are told to: not these tests' business.
        f"import signal\nsignal.signal(signal.SIGHUP, signal.SIG_DFL)\nn.describe = describe\n{MAIN}"
    )
    command = [sys.executable, "-c", code, "inspect", "a.net"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as child:
        guard = threading.Timer(100, child.kill)
        guard.start()
        try:
            assert child.stdout.readline() == b"ready\n"
            assert [path.name[:6] for path in Path(tmp_path).iterdir()] == ["tclif-"]
            child.send_signal(number)
            _, told = child.communicate(timeout=60)
        finally:
            guard.cancel()
            child.kill()
    assert (child.returncode, told) == (130, b"error: interrupted\n")
    assert not list(tmp_path.iterdir())
