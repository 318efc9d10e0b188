"""The page on own data, docs/your-data.md: its files, then its commands, in its order, in an empty folder."""

import pytest

from scripts.run_page import ROOT, run_page, steps

PAGE = ROOT / "docs" / "your-data.md"
NEEDED = ("make.py", "tclif.toml", "python make.py", "tclif train tclif.toml", "tclif export runs/tclif")


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.timeout(900)
def test_the_page_runs_without_lava():
    said = run_page(PAGE, lambda step: not in_lava(step.command))
    assert "96" in said["tclif data gestures.npz"] and "wave" in said["tclif data gestures.npz"]
    assert "odd:" not in said["tclif data events.npz"]
    assert len(said) >= 12


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.lava
@pytest.mark.timeout(900)
def test_the_page_runs_in_lava():
    assert sum(in_lava(step.command) for step in steps(PAGE.read_text())) == 2
    said = run_page(PAGE, lambda step: in_lava(step.command) or step.name.startswith(NEEDED))
    assert len(said) == 5 and all(said[command] for command in said if in_lava(command))


def in_lava(command):
    """Whether a command starts Lava."""
    compares = command.startswith("tclif compare") and "--no-lava" not in command
    return compares or "lava" in command.replace("--no-lava", "").split()
