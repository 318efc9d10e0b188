"""The engine for GPUs, without one: its kernels interpreted, and compiled for cards that are not here."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tclif_neuro.errors import TclifError, TclifWarning
from tclif_neuro.neurons import gpu
from tclif_neuro.neurons.gpu_products import SHARED
from tclif_neuro.neurons.modules import TCLIF
from tclif_neuro.neurons.scan import engine

ROOT = Path(__file__).resolve().parents[2]

HAS_TRITON = sys.version_info >= (3, 11) and importlib.util.find_spec("triton") is not None
REQUIRED = os.environ.get("TCLIF_REQUIRE_TRITON") == "1" and sys.platform == "linux"  # then a skip is a failure

needs_triton = pytest.mark.skipif(
    not (HAS_TRITON or REQUIRED), reason="Triton is missing, or is the old one of Python 3.10's torch"
)


@needs_triton
@pytest.mark.parametrize("which", ["not slow", pytest.param("slow", marks=pytest.mark.slow)])
def test_the_kernels_interpreted(which):
    """A process of its own: whether Triton interprets is decided when it is imported."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/neurons/interpreted.py"]
    command += ["-m", which]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-4000:] + done.stderr[-2000:]


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
def test_the_kernels_compiled_for_a_card(capability):
    """Nothing spills but the widest R backward; all fits, reads ahead, uses tensor cores, and fuses no sum."""
    from scripts.gpu_table import CARDS, build, kernels

    limit = CARDS[capability][1]
    size = max(size for size, need in SHARED.items() if need <= limit)
    for kernel in kernels(size, capability):
        built = build(kernel, capability)
        assert built.spilled == 0 or kernel.title == "recurrent backward, 256", kernel.title
        assert built.fused == 0, kernel.title
        assert built.shared <= (SHARED[size] if "recurrent" in kernel.title else limit), kernel.title
        assert built.async_copies > 0, kernel.title
        assert (built.tensor_products > 0) == (kernel.title not in ("forward", "backward")), kernel.title


class OnCard:
    """A current on a card, as far as the choice of an engine looks at it."""

    dtype, device, shape = torch.float32, torch.device("cuda", 0), (2, 1, 3)

    def numel(self):
        return 6


@pytest.fixture
def asked(monkeypatch):
    """Triton asked for by name in a process that does not interpret, with torch built for CUDA."""
    monkeypatch.setenv("TCLIF_SCAN", "triton")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(gpu, "missing", lambda: "")
    return monkeypatch


def test_nobody_runs_by_triton_unasked(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    for choice in ("auto", "reference", "compiled"):
        monkeypatch.setenv("TCLIF_SCAN", choice)
        assert engine(OnCard()) == "plain"


def test_triton_asked_for_by_name_runs_or_says_why_not(asked):
    asked.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TclifError, match="torch sees no NVIDIA card here; without TCLIF_SCAN"):
        TCLIF(3)(torch.zeros(2, 1, 3))
    asked.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    with pytest.raises(TclifError, match=r"cuda:0 is of compute capability 7\.5 < 8"):
        engine(OnCard())
    asked.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert engine(OnCard()) == "triton"
    asked.setattr(torch.version, "cuda", None)
    with pytest.raises(TclifError, match="cuda:0, which is no NVIDIA card"):
        engine(OnCard())
    asked.setattr(gpu, "missing", lambda: "Triton is not installed")
    with pytest.raises(TclifError, match="Triton is not installed"):
        TCLIF(3)(torch.zeros(2, 1, 3))


def test_a_missing_triton_is_said_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    gpu.missing.cache_clear()
    try:
        assert 'pip install "tclif-neuro[gpu]"' in gpu.missing()
    finally:
        gpu.missing.cache_clear()


def test_beside_a_card_the_cpu_runs_as_ever(asked):
    asked.setattr(torch.cuda, "is_available", lambda: True)
    assert engine(torch.zeros(2, 1, 3)) == "compiled" and engine(torch.zeros(2, 1, 3).double()) == "plain"


def test_a_recurrent_layer_too_large_for_the_card_runs_step_by_step_and_says_so(asked):
    asked.setattr(torch.cuda, "get_device_capability", lambda device: (8, 6))
    asked.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(shared_memory_per_block_optin=99 * 1024)
    )
    assert engine(OnCard(), torch.zeros(128, 128)) == "triton"
    gpu._say.cache_clear()
    with pytest.warns(TclifWarning, match="256 neurons do not fit a multiprocessor of cuda:0"):
        assert engine(OnCard(), torch.zeros(256, 256)) == "plain"
