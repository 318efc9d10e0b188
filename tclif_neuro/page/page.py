"""A page as one file of HTML: no script, no request to anywhere; light and dark, wide and narrow, on paper."""

from __future__ import annotations

import json
from importlib.resources import files

from tclif_neuro.page.chart import chart_figure
from tclif_neuro.page.markup import Html, element, joined, lines
from tclif_neuro.page.parts import Chart, Listing, Page, Part, Raster, Section
from tclif_neuro.page.raster import raster_figure
from tclif_neuro.show.tables import Sheet, plain

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
MOST_LINES = 2000  # of a listing
MOST_OF_A_NUMBER = 24  # characters: a cell with more holds words


def render(page: Page) -> bytes:
    """The page, in UTF-8."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="data:,"),
        element("title", page.title),
        element("style", style_sheet()),
    )
    body = element(
        "body",
        element("header", element("h1", page.title), element("p", page.lead)),
        element("main", *map(_section, page.sections)),
        _numbers(page),
    )
    return ("<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n").encode()


def style_sheet() -> Html:
    """The style sheet that all pages share."""
    return Html(files("tclif_neuro.page").joinpath("style.css").read_text("utf-8"))


def _numbers(page: Page) -> Html:
    r"""The data once more. `<` is written as `\u003c`, so that no text in them can end the element."""
    data = json.dumps(plain(page.numbers), allow_nan=False).replace("<", "\\u003c")
    return element("script", Html(data), type="application/json", id="numbers")


def _section(section: Section) -> Html:
    return element("section", element("h2", section.heading), *_rows(section.parts))


def _rows(parts: tuple[Part, ...]) -> list[Html]:
    """Charts side by side where there is room, everything else one under the other."""
    charts = [chart_figure(part) for part in parts if isinstance(part, Chart)]
    rest = [_part(part) for part in parts if not isinstance(part, Chart)]
    return [element("div", *charts, class_="charts"), *rest] if charts else rest


def _part(part: Part) -> Html:
    if isinstance(part, Sheet):
        return table(part)
    if isinstance(part, Raster):
        return raster_figure(part)
    if isinstance(part, Listing):
        shown = "\n".join(part.text.splitlines()[:MOST_LINES])
        return element("details", element("summary", part.title), element("pre", lines(shown)))
    return element("p", part)


def _kind(sheet: Sheet) -> str:
    """Numbers are aligned to the right and never broken; words may be."""
    longest = max((len(cell) for _, *rest in sheet.rows for cell in rest), default=0)
    return "numbers" if sheet.columns and longest <= MOST_OF_A_NUMBER else "facts"


def table(sheet: Sheet) -> Html:
    """A table, which scrolls by itself where the screen is too narrow."""
    heads = [element("th", name, scope="col") for name in sheet.columns]
    rows = [
        element("tr", element("th", row[0], scope="row"), *(element("td", c) for c in row[1:])) for row in sheet.rows
    ]
    head = element("thead", element("tr", *heads)) if heads else None
    table = element("table", head, element("tbody", *rows), class_=_kind(sheet))
    title = element("p", sheet.title, class_="title") if sheet.title else None
    return joined(title, element("div", table, class_="scroll", tabindex=0))
