"""The files of a live page: a document with places for parts, its script, its style, its icon."""

from __future__ import annotations

from importlib.resources import files

from tclif_neuro.page.markup import Html, element
from tclif_neuro.page.page import style_sheet

SECTIONS = {"progress": "Progress", "curves": "Curves", "rasters": "Last sample"}


def live_files(title: str) -> dict[str, tuple[str, bytes]]:
    """Each path of the page, with its media type and content."""
    folder = files("tclif_neuro.page")
    return {
        "/": ("text/html; charset=utf-8", document(title).encode()),
        "/live.js": ("text/javascript; charset=utf-8", folder.joinpath("live.js").read_bytes()),
        "/style.css": ("text/css; charset=utf-8", style_sheet().encode()),
        "/icon.svg": ("image/svg+xml", folder.joinpath("icon.svg").read_bytes()),
    }


def document(title: str) -> str:
    """The page before anything is known of the run."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="/icon.svg"),
        element("link", rel="stylesheet", href="/style.css"),
        element("title", title),
        element("script", src="/live.js", defer=""),
    )
    sections = [element("section", element("h2", heading), place(name)) for name, heading in SECTIONS.items()]
    state = element("p", "connecting", id="state", class_="state", role="status")
    without = element("noscript", element("p", "This page follows a run by a script, which this browser does not run."))
    body = element("body", element("header", element("h1", title), state), without, element("main", *sections))
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"


def place(name: str) -> Html:
    """The element that a part of the board is put into."""
    return element("div", "nothing yet", id=name, class_="waits")
