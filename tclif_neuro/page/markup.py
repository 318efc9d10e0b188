"""HTML from Python: whatever is not markup already is cleaned and escaped, so that no text from a file is obeyed."""

from __future__ import annotations

import html

from tclif_neuro.text import clean

VOID = frozenset({"img", "meta", "link"})  # of HTML; in SVG every element is closed


class Html(str):
    """Text that is markup, made by `element` alone."""


def text(value: object) -> Html:
    """`value` to be read, on one line.

    >>> text("<b>")
    '&lt;b&gt;'
    """
    return value if isinstance(value, Html) else Html(html.escape(clean(str(value))))


def lines(value: str) -> Html:
    """`value` to be read, with its own line breaks."""
    return Html("\n".join(text(line.expandtabs(4)) for line in value.splitlines()))


def joined(*parts: object) -> Html:
    """Parts one after the other; None is none."""
    return Html("".join(text(part) for part in parts if part is not None))


def element(name: str, /, *children: object, **attributes: object) -> Html:
    """An element. An underscore at the end of an attribute's name is dropped, others become hyphens; None is none.

    >>> element("p", "1 < 2", class_="note")
    '<p class="note">1 &lt; 2</p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>" if name in VOID else f"<{name}{given}>{joined(*children)}</{name}>")
