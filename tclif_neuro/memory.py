"""Large blocks of memory, used again from one training step to the next."""

from __future__ import annotations

import ctypes
import sys

import numpy as np
import torch
from torch import Tensor

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc, malloc.h
_LARGE = 2**30


def keep_large_blocks() -> bool:
    """Tell the C library to reuse freed blocks of up to 1 GiB instead of handing them back to the system.

    A training step allocates the same sequences [T, B, N] again and again; page faults on fresh memory took half of a
    forward pass. Lasts for the process. Returns whether the C library knows how (glibc on Linux does).
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return False
    return bool(libc.mallopt(_M_MMAP_THRESHOLD, _LARGE) and libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))


def empty(*shape: int, like: Tensor) -> Tensor:
    """An uninitialised CPU tensor of `like`'s type, from NumPy.

    PyTorch asks the C library for aligned blocks. A freed one is too small for the next aligned request of the same
    size, for which there has to be room to align in (in glibc before 2.38): the heap grows to several times its use.
    """
    return torch.from_numpy(np.empty(shape, like.detach().new_empty(0).numpy().dtype))
