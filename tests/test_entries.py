"""Nothing that does not fit reaches compiled code: `tests.entries`, in a process that may die of it."""

import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("part", ["layers", "functions", "networks", "integers"])
def test_what_does_not_fit_is_refused_before_a_kernel_sees_it(part):
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.entries", part]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr[-3000:]}"
