"""Lay out the pages from which mkdocs.yml builds the site: build/pages, a mirror of this tree with pages alone.

    python -m scripts.site

Every page that git knows is copied to the same place, and with it what pages link to, so that the links that work on
GitHub work on the site, and none is written twice.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "pages"
ROOMS = ("docs", "models", "deploy")
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def pages(root: Path = ROOT) -> list[Path]:
    """Every page of the project, in alphabetical order."""
    return sorted([*root.glob("*.md"), *(page for room in ROOMS for page in (root / room).rglob("*.md"))])


def links(page: Path) -> list[str]:
    """The links and pictures of a page that stay within the project, as they are written."""
    text = CODE.sub("", page.read_text())
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^\[[^\]]+\]: (\S+)$", text, re.MULTILINE)
    found += re.findall(r'<img[^>]* src="([^"]+)"', text)
    return [link for link in found if not link.startswith(("http://", "https://", "mailto:"))]


def files(root: Path = ROOT) -> list[Path]:
    """The pages, the files that they link to, and the style sheet."""
    found = {*pages(root), root / "docs" / "site.css"}
    for page in pages(root):
        targets = ((page.parent / link.partition("#")[0]).resolve() for link in links(page) if not link.startswith("#"))
        found |= {target for target in targets if target.is_file() and target.is_relative_to(root)}
    return sorted(found)


def lay_out(root: Path = ROOT, out: Path = OUT) -> None:
    """Write the mirror anew."""
    shutil.rmtree(out, ignore_errors=True)
    for file in files(root):
        place = out / file.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)


if __name__ == "__main__":
    lay_out()
