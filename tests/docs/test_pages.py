"""The pages: every link leads somewhere, every page is linked from the index and has its place in the navigation."""

import re
from pathlib import Path

import pytest

from scripts import api_reference, command_reference, recipe_reference, run_page, site

ROOT = site.ROOT
PAGES = site.pages()
links = site.links


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


def test_every_page_is_in_the_navigation_once() -> None:
    nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    named = re.findall(r": (\S+\.md)$", nav, re.MULTILINE)
    assert sorted(named) == sorted(str(page.relative_to(ROOT)) for page in PAGES)


def test_a_list_begins_after_an_empty_line() -> None:
    """GitHub makes a list of it anyhow, the site a paragraph with dashes in it."""
    for page in PAGES:
        text = site.CODE.sub("", page.read_text())
        found = re.search(r"^(?![-*|>#]|\d+\. | |$)[^\n]*\n- [^\n]*", text, re.MULTILINE)
        assert not found, f"{page.relative_to(ROOT)}: {found[0]}"


def test_pictures_are_small_and_each_is_shown() -> None:
    shown = {name for page in PAGES for name in run_page.pictures(page)}
    kept = list(run_page.IMAGES.glob("*"))
    assert {picture.name for picture in kept} == shown
    assert all(picture.stat().st_size < 60_000 for picture in kept)


def test_the_reference_of_recipes_is_that_of_the_models_that_check_them() -> None:
    assert recipe_reference.PAGE.read_text() == recipe_reference.page(), "python -m scripts.recipe_reference"


def test_the_reference_of_commands_is_that_of_their_declarations() -> None:
    assert command_reference.PAGE.read_text() == command_reference.page(), "python -m scripts.command_reference"


def test_the_reference_of_python_has_every_public_name() -> None:
    pages = {file: (api_reference.FOLDER / f"{file}.md").read_text() for file in api_reference.PAGES}
    assert pages == {file: api_reference.page(file) for file in pages}, "python -m scripts.api_reference"
    documented = [line[4:] for text in pages.values() for line in text.splitlines() if line.startswith("::: ")]
    assert sorted(documented) == sorted(api_reference.public())
    assert {page.stem for page in api_reference.FOLDER.glob("*.md")} == set(pages)


def test_every_claim_names_a_test_or_a_script_that_there_is() -> None:
    page = (ROOT / "docs" / "explanation" / "claims.md").read_text()
    named = re.findall(r"`((?:tests|sim|tclif_neuro)/[\w/]+\.py)(?:::(\w+))?`", page)
    assert len(named) > 30
    for file, test in named:
        assert (ROOT / file).exists(), file
        assert not test or f"def {test}(" in (ROOT / file).read_text(), f"{file}::{test}"
    rows = [
        row for row in page.splitlines() if row.startswith("| ") and not row.startswith(("| claim |", "| figure |"))
    ]
    assert not [row for row in rows if "`" not in row.split(" | ")[-1]]


def test_the_new_names_of_modules_are_those_of_files() -> None:
    modules = (ROOT / "docs" / "renamed.md").read_text().partition("## Modules")[2]
    names = re.findall(r"^\| `[\w.]+` \| `([\w.]+)` \|$", modules, re.MULTILINE)
    assert len(names) > 70
    for name in names:
        path = ROOT / "tclif_neuro" / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__init__.py").exists(), name


PROSE = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *(page for room in ("tutorials", "how-to", "explanation") for page in ROOT.glob(f"docs/{room}/*.md")),
    ROOT / "models" / "README.md",
]


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_of_prose_are_at_most_100_wide(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    long = [line for line in text.split("\n") if len(line) > 100 and not line.startswith(("|", "    ", "[", "!["))]
    assert not long, long[0]
