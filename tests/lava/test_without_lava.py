"""What works, and what is said, where Lava is not installed or not wanted."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

IMPORTS = """
import sys
import tclif_neuro.lava
heavy = {"lava", "torch", "numba"} & set(sys.modules)
assert not heavy, heavy
"""

RUNS = """
import numpy as np
from tclif_neuro import lava
from tclif_neuro.errors import TclifError
from tclif_neuro.network import Layer, LIFNeuron, QuantizedNetwork, Synapses
assert not lava.available()
layer = Layer(synapses=Synapses(weight=[[1]]), neuron=LIFNeuron(i_decay=1, v_decay=0, vth_mant=1), bias_mant=[0])
try:
    lava.run(QuantizedNetwork(layers=(layer,)), np.ones((1, 1, 1)))
except lava.LavaMissing as error:
    assert isinstance(error, lava.LavaError) and isinstance(error, TclifError)
    print(error)
"""


def python(code: str, *flags: str) -> str:
    done = subprocess.run([sys.executable, *flags, "-c", code], capture_output=True, text=True, timeout=200, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_room_imports_no_lava():
    python(IMPORTS)


@pytest.fixture
def without_lava(tmp_path):
    """A folder with what the room needs to be imported, and no Lava."""
    for name in ("numpy", "h5py", "tclif_neuro"):
        package = Path(importlib.util.find_spec(name).origin).parent
        for part in (package, package.parent / f"{name}.libs"):
            if part.exists():
                (tmp_path / part.name).symlink_to(part)
    return tmp_path


def test_without_lava_the_error_says_what_to_install(without_lava):
    code = f"import sys; sys.path.append({str(without_lava)!r})\n" + RUNS
    said = python(code, "-I", "-S")  # no installed packages but those of the folder
    assert said == 'Lava is not installed; it needs Python 3.10: pip install "tclif-neuro[lava]"\n'
