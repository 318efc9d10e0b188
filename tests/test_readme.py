"""What the README shows, runs; what it names, exists."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_links_and_targets_exist():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in re.findall(r"^    make (\w+)", README, re.M))


def test_commands_exist():
    named = set(re.findall(r"^    tclif (\w+)", README, re.M))
    assert {"train", "export", "run", "compare", "inspect", "plot"} <= named
    for name in named:
        shown = subprocess.run(
            [sys.executable, "-m", "tclif_neuro.cli.app", name, "--help"], capture_output=True, text=True, timeout=200
        )
        assert shown.returncode == 0, shown.stderr


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.lava
@pytest.mark.timeout(1300)
def test_the_first_hour_runs(tmp_path):
    (block,) = re.findall(r"```python\n(.*?)```", README, re.S)
    done = subprocess.run(
        [sys.executable, "-c", block],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=1200,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "digits.net").exists()
