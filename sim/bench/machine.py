"""What the benchmark runs on: processor, instruction sets, cores, memory, versions."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from sim.bench.contenders import PEERS_PYTHON, cores

# As /proc/cpuinfo names them, x86 and ARM; of each family the last ones imply the first.
INSTRUCTION_SETS = (
    "sse4_2", "avx", "fma", "avx2", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "amx_tile",
    "asimd", "asimddp", "sve", "sve2", "bf16",
)  # fmt: skip
PACKAGES = ("torch", "numpy", "numba", "snntorch", "spikingjelly", "norse", "lava-nc", "lava-dl")


def machine() -> dict[str, Any]:
    """Processor, instruction sets, cores, load, versions, and how fast memory is copied [GB/s, read and written]."""
    before = os.getloadavg()[0]
    return {
        "processor": _cpuinfo("model name") or platform.processor() or platform.machine(),
        "instruction sets": instruction_sets(_cpuinfo("flags") or _cpuinfo("Features")),
        "cores": cores(),
        "load before": before,
        "copy GB/s": max(_copies(2**25, 5)),
        "python": platform.python_version(),
        "versions": versions(),
        "versions of peers": _peers_versions(),
        "date": time.strftime("%Y-%m-%d"),
    }


def instruction_sets(flags: str) -> list[str]:
    """Those of `INSTRUCTION_SETS` that the processor's `flags` name."""
    return [name for name in INSTRUCTION_SETS if name in flags.split()]


def versions() -> dict[str, str]:
    """Of this environment's packages that matter; what is not installed is not named."""
    from importlib import metadata

    found = {}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _peers_versions() -> dict[str, str]:
    if not PEERS_PYTHON.exists():
        return {}
    code = "import json; from sim.bench.machine import versions; print(json.dumps(versions()))"
    command = [str(PEERS_PYTHON), "-c", code]
    root = Path(__file__).resolve().parents[2]
    found: dict[str, str] = json.loads(subprocess.run(command, cwd=root, capture_output=True, timeout=60).stdout)
    return found


def _cpuinfo(name: str) -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    return ""


def _copies(size: int, count: int) -> Iterator[float]:
    """The speed of each of `count` copies of `size` doubles, GB/s."""
    import numpy as np

    source = np.ones(size)
    target = np.empty_like(source)
    for _ in range(count):
        begin = time.perf_counter()
        target[:] = source
        yield 2 * source.nbytes / (time.perf_counter() - begin) / 1e9
