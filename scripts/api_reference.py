"""Write docs/reference/api: a page per room of the public names, which the site fills with their docstrings.

    python -m scripts.api_reference

Public is what `tclif_neuro` exports, and what its rooms for users do (`tn.data`, `tn.losses`, `tn.lava`, `tn.onchip`,
`tn.functional`). A page names them by their module; mkdocstrings reads the source, and imports nothing.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import tclif_neuro as tn

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference" / "api"
NOTE = """On the site each name below is followed by its signature and its documentation; on GitHub, look
into the module that it names. Written by `python -m scripts.api_reference`.
"""
# file: title, introduction, the modules (below tclif_neuro) whose names are on the page
PAGES = {
    "neurons": (
        "Neurons",
        "The layers of a float model, and what runs them; [equations](../../neurons.md).",
        ("neurons",),
    ),
    "data": ("Data", "`tn.data`: tasks, and what makes them; [your own data](../../your-data.md).", ("data",)),
    "training": (
        "Training",
        "`tn.train`, `tn.load_run` (here `load_trained`), `tn.losses`; [training a recipe](../../training.md).",
        ("learning",),
    ),
    "integers": (
        "Integers",
        "From a float model to integers, and what that loses; [the format](../../integers.md).",
        ("quantization", "network", "errors"),
    ),
    "files": ("Files", "`.net` files, and [NIR](../../nir.md).", ("netx", "nir")),
    "executors": (
        "Executors",
        "One network, three executors, `tn.lava` among them; [Lava](../../lava.md).",
        ("executors", "fixed", "lava"),
    ),
    "onchip": ("Learning on the chip", "`tn.onchip`; [the rule](../../onchip.md).", ("onchip",)),
}


def own(module: ModuleType) -> list[tuple[str, Any]]:
    """The names that a module defines itself."""
    return [
        (name, item)
        for name, item in vars(module).items()
        if not name.startswith("_") and getattr(item, "__module__", "") == module.__name__
    ]


def public() -> list[str]:
    """The full path of every public name, by the module that defines it."""
    names = [(name, getattr(room, name)) for room in (tn, tn.data, tn.lava, tn.onchip) for name in room.__all__]
    names += own(tn.losses) + own(tn.functional)
    return [f"{item.__module__}.{item.__name__}" for _, item in names if hasattr(item, "__module__")]


def page(file: str) -> str:
    """One page, as Markdown."""
    title, says, modules = PAGES[file]
    paths = [path for path in public() if path.split(".")[1] in modules]
    return "\n".join([f"# {title}\n", f"{says}\n", NOTE, *(f"::: {path}\n" for path in paths)])


def write() -> None:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file in PAGES:
        (FOLDER / f"{file}.md").write_text(page(file))


if __name__ == "__main__":
    write()
