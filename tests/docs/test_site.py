"""The site, built as `make docs` does: no warning, nothing from elsewhere; and by Material, the way back."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import site

BUILDERS = {"zensical": ("zensical", "build", "--strict"), "mkdocs": ("mkdocs", "build", "--strict", "--quiet")}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
OUTSIDE = re.compile(r"""<(?:script|img|link|iframe)[^>]+(?:src|href)=["']?(https?:)?//""")


def needs(builder: str) -> None:
    """Skip the test where a builder is not installed; TCLIF_REQUIRE_DOCS=1 promises Zensical."""
    package = "material" if builder == "mkdocs" else builder
    if importlib.util.find_spec(package) is not None:
        return
    if builder == "zensical" and os.environ.get("TCLIF_REQUIRE_DOCS") == "1":
        pytest.fail("TCLIF_REQUIRE_DOCS=1, but Zensical is not installed: run `make setup`")
    pytest.skip(f"{package} is not installed: the extra `docs` (Python 3.11) has Zensical, Material is the way back")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The pages, the settings and the package, as a clone has them."""
    site.lay_out(out=tmp_path / "build" / "pages")
    shutil.copy(site.ROOT / "mkdocs.yml", tmp_path)
    (tmp_path / "tclif_neuro").symlink_to(site.ROOT / "tclif_neuro")
    return tmp_path


def build(tree: Path, builder: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "NO_COLOR": "1", "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", *BUILDERS[builder]]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("builder", BUILDERS)
def test_the_site_is_built_of_every_page_and_loads_nothing_from_elsewhere(tree: Path, builder: str) -> None:
    needs(builder)
    done = build(tree, builder)
    assert done.returncode == 0, done.stdout + done.stderr
    built = tree / "build" / "site"
    for page in site.pages():
        place = page.relative_to(site.ROOT)
        name = "index.html" if place.name in ("README.md", "index.md") else f"{place.stem}.html"
        assert (built / place.parent / name).exists(), place
    for page in built.rglob("*.html"):
        found = OUTSIDE.search(page.read_text())
        assert not found or 'rel="canonical"' in found[0], f"{page.relative_to(built)}: {found[0]}"


@pytest.mark.slow
def test_a_broken_link_fails(tree: Path) -> None:
    needs("zensical")
    with (tree / "build" / "pages" / "README.md").open("a") as page:
        page.write("\n[gone](docs/gone.md)\n")
    done = build(tree, "zensical")
    said = COLOUR.sub("", done.stdout + done.stderr)  # each letter of what is wrong has a colour of its own
    assert done.returncode != 0 and "gone.md" in said
