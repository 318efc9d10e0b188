"""Pages: nothing in them is obeyed, nothing is fetched, and what is drawn is what was given."""

import html.parser
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.image import imread

from tclif_neuro.page.chart import chart_svg, ticks
from tclif_neuro.page.markup import element, text
from tclif_neuro.page.page import render
from tclif_neuro.page.parts import Chart, Curve, Listing, Page, Raster, Section
from tclif_neuro.page.raster import png
from tclif_neuro.show.tables import Sheet
from tests.examples import examples
from tests.page.browser import look, needs_browser, share_of

EVIL = "</script><script>alert(1)</script><img src=http://example.org/x onerror=alert(2)>\x1b[2J\u202e'\"&"


class Reader(html.parser.HTMLParser):
    """What a browser would find: the elements, their attributes, and whether every one is closed in order."""

    VOID = ("img", "meta", "link")

    def __init__(self, content: str) -> None:
        super().__init__()
        self.found, self.open, self.text = [], [], ""
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture
def page():
    curve = Curve(name=EVIL, x=[1, 2, 3, 4], y=[0.1, math.nan, 0.5, 0.9])
    other = Curve(name="b", x=[1, 4], y=[0.2, 0.4], dashed=True)
    spikes = np.random.default_rng(0).random((40, 20)) < 0.3
    parts = (
        Sheet(title=EVIL, columns=("a", EVIL), rows=((EVIL, "1"),)),
        Chart(title=EVIL, x_label=EVIL, curves=(curve, other), share=True),
        Raster(title=EVIL, values=spikes),
        Listing(title=EVIL, text=EVIL + "\n\tx = 1"),
        EVIL,
    )
    sections = (Section(heading=EVIL, parts=parts),)
    return Page(title=EVIL, lead=EVIL, sections=sections, numbers={EVIL: [EVIL, math.nan]})


def test_text_from_files_is_never_obeyed(page):
    content = render(page).decode()
    read = Reader(content)
    assert [a["type"] for a in read.all("script")] == ["application/json"]
    assert all(a["src"].startswith("data:image/png;base64,") for a in read.all("img"))
    assert not any(name.startswith("on") for _, attributes in read.found for name in attributes)
    assert {a["href"] for a in read.all("link")} == {"data:,"}
    assert "\x1b" not in content and "\u202e" not in content
    numbers = content[content.index('id="numbers">') + len('id="numbers">') : content.rindex("</script>")]
    assert json.loads(numbers) == {EVIL: [EVIL, None]}


def test_a_page_forbids_itself_every_request(page):
    (policy,) = [a["content"] for a in Reader(render(page).decode()).all("meta") if a.get("http-equiv")]
    assert policy.startswith("default-src 'none'") and "script" not in policy and "http" not in policy


@examples(30)
@given(st.text(st.sampled_from("<>&\"'/=ab\n\x1b\u202e "), max_size=30))
def test_any_text_comes_back_as_one_text(value):
    read = Reader(element("p", value, title=value))
    assert len(read.found) == 1 and Reader(f"<p>{text(value)}</p>").text == read.text


@examples(30)
@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 19))))
def test_spikes_are_the_dark_pixels(values):
    decoded = np.asarray(imread(io.BytesIO(png(values))))
    assert (decoded.reshape(*values.shape, -1)[..., 0] == 1 - values).all()


def test_an_input_of_grades_has_256_shades():
    values = np.arange(256).reshape(16, 16) / 255
    decoded = imread(io.BytesIO(png(values))).reshape(16, 16, -1)[..., 0]
    assert (np.rint(255 * decoded) == 255 - np.arange(256).reshape(16, 16)).all()


@examples(50)
@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_lie_inside_and_are_few(low, span):
    found = ticks(low, low + span)
    slack = 1e-6 * (abs(low) + span)
    assert len(found) <= 7 and all(low - slack <= tick <= low + span + slack for tick in found)


def test_a_gap_in_a_curve_is_a_gap():
    read = Reader(
        chart_svg(Chart(title="t", x_label="x", curves=(Curve(name="a", x=range(5), y=[1, 2, math.nan, 3, 4]),)))
    )
    assert len(read.all("polyline")) == 2
    lone = Reader(chart_svg(Chart(title="t", x_label="x", curves=(Curve(name="a", x=[0], y=[0.5]),))))
    assert len(lone.all("circle")) == 1 and not lone.all("polyline")


@pytest.mark.parametrize(
    ("dark", "width", "paper", "curve"), [(False, 1200, "#ffffff", "#0072b2"), (True, 400, "#14171b", "#6bb8ee")]
)
def test_a_browser_draws_it(page, tmp_path, dark, width, paper, curve):
    needs_browser()
    file = tmp_path / "page.html"
    file.write_bytes(render(page))
    pixels, console = look(file, tmp_path, dark=dark, width=width)
    assert console == []
    assert share_of(pixels, paper) > 0.5 and share_of(pixels, curve) > 1e-5
