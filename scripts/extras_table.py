"""Print the weight of every extra, measured in the environment of the Python that runs this.

    .venv/bin/python -m scripts.extras_table
    .venv-core/bin/python -m scripts.extras_table

A package counts for an extra if the library without it does not bring it; an extra is left out, and said, where one of
its packages is not installed here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("", "lava", "nir", "neurobench", "slurm", "search", "vision", "gpu", "docs")


def closure(lines: Iterable[str], found: set[str], extras: Iterable[str] = ()) -> set[str]:
    """Add to `found` the packages that the requirements name, and all that these ask for here."""
    environments = [{"extra": extra} for extra in ("", *extras)]
    for wanted in map(Requirement, lines):
        name = canonicalize_name(wanted.name)
        asked = wanted.marker is None or any(wanted.marker.evaluate(each) for each in environments)
        if asked and name not in found:
            found.add(name)
            closure(distribution(name).requires or (), found, wanted.extras)
    return found


def size(name: str) -> int:
    """The bytes of a package's files."""
    paths = [file.locate() for file in distribution(name).files or ()]
    return sum(path.stat().st_size for path in paths if path.is_file())  # type: ignore[attr-defined]


def main() -> None:
    """Print the table."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = closure(project["dependencies"], set())
    print(f"| Python {sys.version_info.major}.{sys.version_info.minor} | packages | MB |\n|---|---:|---:|")
    for extra in EXTRAS:
        try:
            more = base if not extra else closure(project["optional-dependencies"][extra], set()) - base
        except PackageNotFoundError as error:
            print(f"{extra}: {error}", file=sys.stderr)
            continue
        print(f"| {extra or 'the library alone'} | {len(more)} | {sum(map(size, more)) / 1e6:,.1f} |")


if __name__ == "__main__":
    main()
