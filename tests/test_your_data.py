"""The page on own data, docs/your-data.md: its files, then its commands, in its order, in an empty folder."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.calls import tclif

PAGE = Path(__file__).resolve().parent.parent / "docs" / "your-data.md"
STEP = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$|^    (python|tclif) ([^\n]*)$", re.MULTILINE | re.DOTALL)


def steps(text):
    """Files (name, contents) and commands (program, arguments), in the order of the page."""
    return [step.groups() for step in STEP.finditer(text)]


def do(file, contents, program, arguments):
    """One step of the page; the command's output, which is that of success."""
    if file:
        Path(file).write_text(contents)
        return ""
    if program == "python":
        done = subprocess.run(
            [sys.executable, *arguments.split()], capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
    result = tclif(*arguments.split())
    assert result.exit_code == 0, f"tclif {arguments}: {result.output}"
    return result.output


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.timeout(900)
def test_the_page_runs_without_lava(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(PAGE.parent.parent))
    said = {}
    for file, contents, program, arguments in steps(PAGE.read_text()):
        if not in_lava(arguments):
            said[f"{program} {arguments}"] = do(file, contents, program, arguments)
    assert "96" in said["tclif data gestures.npz"] and "wave" in said["tclif data gestures.npz"]
    assert "odd:" not in said["tclif data events.npz"]
    assert len(said) >= 12


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.lava
@pytest.mark.timeout(900)
def test_the_page_runs_in_lava(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = steps(PAGE.read_text())
    needed = ("make.py", "tclif.toml", "python make.py", "train tclif.toml", "export runs/tclif")
    commands = [step for step in page if in_lava(step[3])]
    assert len(commands) == 2
    for file, contents, program, arguments in page:
        if any(what in (file or f"{program} {arguments}") for what in needed):
            do(file, contents, program, arguments)
    for step in commands:
        assert do(*step)


def in_lava(arguments):
    """Whether a command starts Lava."""
    compares = (arguments or "").startswith("compare") and "--no-lava" not in arguments
    return compares or "lava" in (arguments or "").replace("--no-lava", "").split()
