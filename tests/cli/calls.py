"""Calls of the command `tclif`, in this process and as one of its own, and the recipe that they train."""

import json
import os
import signal
import subprocess
import sys
import time

from typer.testing import CliRunner

from tclif_neuro.cli import app as cli

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `cli.main` does, for the commands in this process

STEPS, INPUTS, CLASSES = 6, 5, 3
RECIPE = """
[task]
name = "{data}"

[[model.layers]]
type = "tclif"
size = 12
recurrent = true

[training]
epochs = {epochs}
lr = 1e-2
"""


def tclif(*arguments):
    """The command in this process; what it printed and its exit status."""
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


def run(*arguments):
    """The command, which succeeds; its JSON."""
    result = tclif(*arguments, "--json")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1, "one line"
    return json.loads(result.stdout)


def process(*arguments, code="from tclif_neuro.cli.app import main; main()", **options):
    """The command in a process of its own."""
    command = [sys.executable, "-c", code, *(str(a) for a in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=400, **options)


def refused(result, *words, status=2):
    """One line that says what is wrong, no traceback, nothing on standard output."""
    assert result.exit_code == status, result.output
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.output and result.stdout == ""
    for word in words:
        assert str(word) in result.stderr, result.stderr


def interrupted(name, recipe, out):
    """The command `name` on a recipe, Ctrl-C pressed once it has written its log: exit status, output and errors."""
    command = [sys.executable, "-c", "from tclif_neuro.cli.app import main; main()", name, str(recipe), "-o", str(out)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 200
        while not (out / "log.csv").exists() and time.monotonic() < deadline:
            assert child.poll() is None, child.communicate()
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        stdout, stderr = child.communicate(timeout=200)
    finally:
        child.kill()
        child.wait()
    return child.returncode, stdout, stderr
