"""Compile the Triton kernels for cards that are not here, and print what they need: `python -m scripts.gpu_table`.

The compiler, the assembler and the disassembler come with Triton; no GPU is used. A register more than a thread has is
a spill to memory, and a kernel of more shared memory than a multiprocessor has does not start.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from tclif_neuro.neurons import gpu_launch as launch
from tclif_neuro.neurons.gpu_products import PARTS_UP_TO, SHARED, TILE, WARPS

CARDS = {80: ("A100", 163 * 1024), 90: ("H100", 227 * 1024)}  # shared memory that one program can have
_BYTES = {"spikes": "*i8", "bits": "*i8", "digits": "*i8", "planes": "*i8", "parts": "*fp16", "b_grad": "*fp64"}
_INTEGERS = ("steps", "lanes", "size", "rows", "blocks", "inputs", "outputs", "to_size", "from_size", "base_step")
_MULTIPLES = (
    "size",
    "inputs",
    "outputs",
    "to_size",
    "from_size",
    "base_step",
)  # of 16, as Triton sees them in a wide layer
_REALS = ("gamma", "vth", "back_gamma", "back_vth", "back_kept", "k")


@dataclass(frozen=True)
class Kernel:
    """One of the kernels with the constants and the warps of a launch. module: in `tclif_neuro.neurons`."""

    title: str
    module: str
    name: str
    constants: dict[str, Any]
    warps: int = 4
    types: dict[str, str] | None = None


@dataclass(frozen=True)
class Built:
    """What a compiled kernel needs, and instructions found in it: per thread, bytes, and how many in the code."""

    registers: int
    shared: int
    spilled: int
    async_copies: int
    tensor_products: int
    fused: int


def _options(tile: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A launch's constants."""
    ours = {name: value for name, value in tile.items() if name.isupper()}
    return {"RESET": "delayed", "SCHEDULED": False, "SEGMENT": launch.SEGMENT, **ours, **more}


def kernels(size: int, capability: int) -> list[Kernel]:
    """The kernels as a training step of recurrent layers of `size` neurons launches them on that card."""
    back = {"SURROGATE": "triangle", "BY_A": launch.OVER_STEPS, "BY_B": True}
    some, all_ = launch.neurons_tile(), launch.samples_tile(size)
    parts = 2 if size <= PARTS_UP_TO[capability // 10] else 1
    seen, sums = {"spikes": "*fp32"}, {"a_grad": "*fp64"}
    return [
        Kernel("forward", "gpu_kernels", "forward", _options(some), some["num_warps"], seen),
        Kernel("backward", "gpu_kernels", "backward", _options(some, **back), some["num_warps"], sums),
        Kernel(
            f"recurrent forward, {size}", "gpu_kernels", "recurrent_forward", _options(all_), all_["num_warps"], seen
        ),
        Kernel(
            f"recurrent backward, {size}", "gpu_kernels", "recurrent_backward",
            _options(all_, **back, PARTS=parts), all_["num_warps"], sums,
        ),
        Kernel("product with spikes", "gpu_dots", "add_product", dict(TILE), WARPS),
    ]  # fmt: skip


def build(kernel: Kernel, capability: int) -> Built:
    """Compile for a card of that compute capability (90: 9.0), and read the machine code."""
    import importlib

    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    function = getattr(importlib.import_module(f"tclif_neuro.neurons.{kernel.module}"), kernel.name)
    types = {**_BYTES, **dict.fromkeys(_INTEGERS, "i32"), **dict.fromkeys(_REALS, "fp32"), **(kernel.types or {})}
    signature = {name: types.get(name, "*fp32") for name in function.arg_names if name not in kernel.constants}
    whole = [n for n, t in signature.items() if t[0] == "*" or n in _MULTIPLES]
    aligned = {(function.arg_names.index(name),): [["tt.divisibility", 16]] for name in whole}
    source = ASTSource(
        fn=function,
        signature={**signature, **dict.fromkeys(kernel.constants, "constexpr")},
        constexprs=kernel.constants,
        attrs=aligned,
    )
    options = {"num_warps": kernel.warps, "enable_fp_fusion": False}
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    return _read(made.asm["cubin"], made.metadata.shared, Path(triton.__file__).parent / "backends/nvidia/bin")


def _read(code: bytes, shared: int, tools: Path) -> Built:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(code)
        file.flush()
        usage, text = (
            subprocess.run(
                [tools / tool, option, file.name], capture_output=True, text=True, check=True, timeout=120
            ).stdout
            for tool, option in (("cuobjdump", "-res-usage"), ("nvdisasm", "-c"))
        )
    registers, stack = (int(re.findall(rf"{name}:(\d+)", usage)[-1]) for name in ("REG", "STACK"))
    count = lambda pattern: len(re.findall(rf"\b{pattern}\b", text))  # noqa: E731
    return Built(
        registers,
        shared,
        stack + count(r"(?:LDL|STL)[.\w]*"),
        count(r"LDGSTS[.\w]*"),
        count(r"(?:IGMMA|HGMMA|IMMA|HMMA)[.\w]*"),
        count(r"FFMA[.\w]*"),
    )


def main() -> None:
    """Print a row per kernel and card, as Markdown."""
    print("| kernel | card | registers | shared memory, KiB | spills | asynchronous copies | tensor cores |")
    print("|---|---|---:|---:|---:|---:|---:|")
    seen = set()
    for size, (capability, (card, limit)) in product((64, 128, 256), CARDS.items()):
        if SHARED[size] > limit:
            continue
        for kernel in kernels(size, capability):
            if (kernel.title, card) not in seen:
                b = build(kernel, capability)
                cells = kernel.title, card, b.registers, f"{b.shared / 1024:.1f}", b.spilled or "none"
                print("|", *(f"{cell} |" for cell in (*cells, b.async_copies, b.tensor_products)), flush=True)
            seen.add((kernel.title, card))


if __name__ == "__main__":
    main()
