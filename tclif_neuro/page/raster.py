"""Spikes as images of one bit per pixel: eighteen thousand of them take a few kilobytes."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from tclif_neuro.page.markup import Html, element
from tclif_neuro.page.parts import Raster

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREYSCALE = 0
LOW, HIGH = 96, 260  # pixels on the screen
SHARP = 300  # steps: a narrow screen has fewer pixels than a longer sample, and must blend them


def png(values: npt.NDArray[Any]) -> bytes:
    """Shades [rows, columns] from 0 (white) to 1 (black) as PNG: of one bit if there are no others, else of eight.

    The portable network graphics specification, W3C 2003, sections 5 and 11.
    """
    bits = 1 if np.isin(values, (0, 1)).all() else 8
    white = 2**bits - 1
    shades = np.rint(white * (1 - np.clip(values, 0, 1))).astype(np.uint8)
    rows = np.packbits(shades, axis=1) if bits == 1 else shades
    filtered = np.pad(rows, ((0, 0), (1, 0)))  # a byte per row: filter 0, none
    height, width = values.shape
    header = struct.pack(">IIBBBBB", width, height, bits, GREYSCALE, 0, 0, 0)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(filtered.tobytes(), 9)) + _chunk(b"IEND")


def _chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raster_figure(raster: Raster) -> Html:
    """The raster between its axes."""
    steps, neurons = raster.values.shape
    source = "data:image/png;base64," + base64.b64encode(png(raster.values.T[::-1])).decode()
    height = int(np.clip(2 * neurons, LOW, HIGH))
    image = element(
        "img",
        src=source,
        alt=f"{raster.title}: {np.count_nonzero(raster.values)} marks",
        height=height,
        class_="sharp" if steps <= SHARP else "smooth",
    )
    axis = element("span", f"{raster.unit} 0 to {neurons - 1}", class_="axis")
    below = element("span", element("span", 0), element("span", "step"), element("span", steps - 1), class_="steps")
    return element("figure", element("figcaption", raster.title), element("div", axis, image, below, class_="raster"))
