"""The choice of models for a board, with a stand-in for lava-loihi that only declares them: no test of hardware."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.lava]


def test_a_neuron_is_on_a_core_or_refused_and_every_choice_is_recorded():
    script = Path(__file__).with_name("stand_in.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["chosen"] == ["NcLIF", "NcDense", "PySource", "NcTCLIF"]
    lines = found["faults"].splitlines()
    assert len(lines) == 1 + 2 + 11 and all(line.startswith("--ncmodel users_microcode:NcDense: ") for line in lines)
    assert "does not implement" in lines[0] and lines[1].endswith("lacks the port a_in")
    assert "LIF: would run on the host's CPU as PyLifModelBitAcc" in found["refused"]
    assert found["record"] == [
        ["LIF", "NcLIF", False],
        ["Dense", "NcDense", False],
        ["Source", "PySource", True],
        ["LIF", "PyLifModelBitAcc", True],
    ]
