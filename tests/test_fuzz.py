"""A slice of `scripts/fuzz.py`: whatever a user brings is used, or refused in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_two_hundred_broken_inputs_each_have_an_answer():
    command = [sys.executable, str(ROOT / "scripts" / "fuzz.py"), "--inputs", "200", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
