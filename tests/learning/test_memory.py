"""The memory of a training from recordings of events: a child trains and says what it had at most."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("TCLIF_DATA", "no such folder"))
OWN = 247  # MiB: 600 less the 353 that importing torch takes, built with its libraries for a graphics card

CHILD = """
import re, sys, torch
def highest():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
torch_alone = highest()
from tclif_neuro.cli.app import app
status = app(["train", *sys.argv[1:]], standalone_mode=False)
print(status, highest() - torch_alone)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(
    not (DATA / "events" / "nmnist-small.zip").is_file(),
    reason="set TCLIF_DATA to a folder with events/nmnist-small.zip",
)
def test_nmnist_trains_in_600_mebibytes(tmp_path):
    command = [sys.executable, "-c", CHILD, str(ROOT / "models" / "nmnist-small.toml"), "--epochs", "1", "--json"]
    env = {**os.environ, "TCLIF_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "run")], capture_output=True, text=True, timeout=500, env=env, check=True
    )
    status, own = done.stdout.splitlines()[-1].split()
    assert status == "0" and float(own) < OWN, done.stdout
