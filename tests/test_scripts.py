"""Every script finds what it takes from the package; most are run once per figure, and none is imported by another."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = [path for folder in ("sim", "scripts", "models") for path in (ROOT / folder).rglob("*.py")]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_script_can_be_imported(path):
    if path.name != "__main__.py":
        importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
