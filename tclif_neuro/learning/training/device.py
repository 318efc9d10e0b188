"""The device that training runs on, by its name: what torch has here, or an error that says what is missing."""

from __future__ import annotations

import warnings

import torch

from tclif_neuro.errors import TclifError
from tclif_neuro.text import quoted

CPU = torch.device("cpu")
NAMES = '"cpu", "cuda", "cuda:N", "mps" or "auto"'


class DeviceError(TclifError, ValueError):
    """A device that is not there; the message names it, says what torch has, and what to install."""


def device_of(name: str) -> torch.device:
    """The device of that name, with its number: "cpu", "cuda" (the current one), "cuda:1", "mps".

    "auto": the first there is of CUDA and MPS, else the CPU. Raises `DeviceError` where it is not there.

    >>> device_of("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return _cuda(None) if not _no_cuda() else torch.device("mps") if not _no_mps() else CPU
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (":" in name and not (kind == "cuda" and number.isdecimal())):
        raise DeviceError(f"device {quoted(name)}: {NAMES} expected")
    if kind == "cpu":
        return CPU
    missing = _no_cuda() if kind == "cuda" else _no_mps()
    if missing:
        raise DeviceError(f'device {quoted(name)}: torch {torch.__version__} {missing}; or take device "cpu"')
    return torch.device("mps") if kind == "mps" else _cuda(int(number) if number else None)


def _cuda(number: int | None) -> torch.device:
    count = torch.cuda.device_count()
    if number is not None and number >= count:
        found = ", ".join(f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(count))
        raise DeviceError(f'device "cuda:{number}": torch {torch.__version__} sees {found}')
    return torch.device("cuda", torch.cuda.current_device() if number is None else number)


def _no_cuda() -> str:
    """A sentence on what CUDA lacks here and what to install; empty if it is there."""
    if not torch.backends.cuda.is_built():
        return "is built without CUDA; install one that has it (on Linux, pip install torch brings it)"
    with warnings.catch_warnings(record=True) as said:  # of a driver that is too old, for one
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return ""
    built = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is built for ROCm"
    why = f" ({' '.join(str(said[0].message).split())})" if said else ""
    return f"{built} and sees no GPU{why}; install its driver, whose own tool (nvidia-smi) must list the card"


def _no_mps() -> str:
    """The same for MPS, the GPUs of Apple."""
    if not torch.backends.mps.is_built():
        return "is built without MPS; that comes with torch for macOS"
    return (
        "" if torch.backends.mps.is_available() else "sees no MPS: a Mac with Apple silicon, macOS 14 or later, has it"
    )
