"""What the README shows, runs; what it names, exists."""

import re

import pytest

from scripts.run_page import ROOT, run_page
from tests.cli.calls import tclif

README = ROOT / "README.md"


def test_targets_exist():
    makefile, readme = (ROOT / "Makefile").read_text(), README.read_text()
    targets = re.findall(r"^    make (\w+)", readme, re.M)
    assert targets and all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


def test_commands_exist():
    named = set(re.findall(r"^    tclif (\w+)", README.read_text(), re.M))
    assert {"train", "export", "run", "compare", "inspect", "plot"} <= named
    for name in named:
        shown = tclif(name, "--help")
        assert shown.exit_code == 0, shown.output


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.lava
@pytest.mark.timeout(1300)
def test_the_first_hour_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(README, lambda step: not step.command)
    assert (tmp_path / "digits.net").exists()
