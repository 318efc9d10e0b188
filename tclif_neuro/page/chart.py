"""Curves as SVG that follows the page's colours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tclif_neuro.page.markup import Html, element, joined
from tclif_neuro.page.parts import Chart, Curve
from tclif_neuro.show.tables import number, share

WIDTH, HEIGHT = 460, 220
LEFT, RIGHT, TOP, BOTTOM = 48, 22, 10, 34
COLOURS = 6  # that the style sheet names
MOST_POINTS = 400  # of a curve; of longer ones, points at equal distances

Range = tuple[float, float]


def chart_figure(chart: Chart) -> Html:
    """The chart, its title, and what its colours mean."""
    items = [
        element("li", element("span", class_=f"key k{i % COLOURS}{' dashed' if c.dashed else ''}"), c.name)
        for i, c in enumerate(chart.curves)
    ]
    return element(
        "figure", element("figcaption", chart.title), chart_svg(chart), element("ul", *items, class_="legend")
    )


def chart_svg(chart: Chart) -> Html:
    """The axes and curves of a chart."""
    xs, ys = _range(c.x for c in chart.curves), _range(c.y for c in chart.curves)
    ys = (0.0, 1.0) if chart.share else (min(0.0, ys[0]), ys[1])
    curves = [piece for i, curve in enumerate(chart.curves) for piece in _curve(curve, i, xs, ys)]
    return element(
        "svg",
        element("title", _said(chart)),
        *_y_axis(ys, chart.share),
        *_x_axis(xs, chart.x_label),
        *_marks(chart, xs),
        *curves,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        class_="chart",
    )


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, at most `most` and one.

    >>> ticks(0, 80)
    [0.0, 20.0, 40.0, 60.0, 80.0]
    """
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _said(chart: Chart) -> str:
    """Return the text for a reader who cannot see the chart."""
    last = {c.name: [y for y in c.y if math.isfinite(y)][-1:] for c in chart.curves}
    ends = [f"{name} ends at {share(y) if chart.share else number(y)}" for name, found in last.items() for y in found]
    return f"{chart.title} over {chart.x_label}; " + ", ".join(ends)


def _range(rows: Iterator[Sequence[float]]) -> Range:
    """The smallest and largest finite number, apart from each other."""
    numbers = [value for row in rows for value in row if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(numbers), max(numbers)
    return (low, high) if high > low else (low, low + 1)


def _x(value: float, xs: Range) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (value - xs[0]) / (xs[1] - xs[0])


def _y(value: float, ys: Range) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - ys[0]) / (ys[1] - ys[0])


def _y_axis(ys: Range, percent: bool) -> Iterator[Html]:
    for value in ticks(*ys, most=5):
        y = f"{_y(value, ys):.1f}"
        yield element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid")
        words = f"{100 * value:.0f} %" if percent else _words(value)
        yield element("text", words, x=LEFT - 6, y=y, dy="0.35em", text_anchor="end")


def _x_axis(xs: Range, label: str) -> Iterator[Html]:
    for value in ticks(*xs):
        yield element(
            "text",
            _words(value),
            x=f"{_x(value, xs):.1f}",
            y=HEIGHT - BOTTOM + 15,
            text_anchor="middle",
        )
    yield element("text", label, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 4, text_anchor="middle", class_="label")


def _words(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else number(value)


def _marks(chart: Chart, xs: Range) -> Iterator[Html]:
    """A line from top to bottom at each mark, with its name beside it."""
    for at, name in chart.marks:
        x = f"{_x(at, xs):.1f}"
        yield element("line", x1=x, x2=x, y1=TOP, y2=HEIGHT - BOTTOM, class_="mark")
        yield element("text", name, x=x, dx=3, y=TOP + 9)


def _curve(curve: Curve, index: int, xs: Range, ys: Range) -> Iterator[Html]:
    """A line through every stretch without a gap; a dot where that is one point."""
    style = f"curve c{index % COLOURS}{' dashed' if curve.dashed else ''}"
    stride = -(-len(curve.x) // MOST_POINTS) or 1
    stretch: list[str] = []
    for x, y in [*list(zip(curve.x, curve.y, strict=True))[::stride], (0.0, math.nan)]:
        if math.isfinite(y):
            stretch.append(f"{_x(x, xs):.1f},{_y(y, ys):.1f}")
            continue
        if len(stretch) == 1:
            cx, cy = stretch[0].split(",")
            yield element("circle", cx=cx, cy=cy, r=2.5, class_=f"dot d{index % COLOURS}")
        elif stretch:
            yield element("polyline", points=joined(" ".join(stretch)), class_=style)
        stretch = []
