"""The pages: every link leads somewhere, and every page is linked from the index."""

import re
from pathlib import Path

import pytest

from scripts import recipe_reference

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("models/**/*.md"), *ROOT.glob("deploy/**/*.md")]
)


def links(page: Path) -> list[str]:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^\[[^\]]+\]: (\S+)$", text, re.MULTILINE)
    return [link for link in found if not link.startswith(("http://", "https://", "mailto:"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link}: no such file"
        if anchor:
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}, link


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert set(ROOT.glob("docs/**/*.md")) - {index} <= linked


def test_the_reference_of_recipes_is_that_of_the_models_that_check_them() -> None:
    assert recipe_reference.PAGE.read_text() == recipe_reference.page(), "python -m scripts.recipe_reference"


def test_the_new_names_of_modules_are_those_of_files() -> None:
    modules = (ROOT / "docs" / "renamed.md").read_text().partition("## Modules")[2]
    names = re.findall(r"^\| `[\w.]+` \| `([\w.]+)` \|$", modules, re.MULTILINE)
    assert len(names) > 70
    for name in names:
        path = ROOT / "tclif_neuro" / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__init__.py").exists(), name


PROSE = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "models" / "README.md"]


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_of_prose_are_at_most_100_wide(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    long = [line for line in text.split("\n") if len(line) > 100 and not line.startswith(("|", "    ", "["))]
    assert not long, long[0]
