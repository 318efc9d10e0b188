"""A real Chromium, started for one page."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--v=0",
]
DARK = ["--blink-settings=preferredColorScheme=0"]


def needs_browser():
    """Skip the test where there is no Chromium; fail it where TCLIF_REQUIRE_BROWSER=1 promises one."""
    if CHROMIUM is None and os.environ.get("TCLIF_REQUIRE_BROWSER") == "1":
        pytest.fail("TCLIF_REQUIRE_BROWSER=1, but there is no chromium: run scripts/test_packages.sh")
    if CHROMIUM is None:
        pytest.skip("there is no chromium: scripts/test_packages.sh installs Debian's")


def look(page: Path, folder: Path, *, dark: bool, width: int):
    """The page as pixels [rows, columns, RGB] from 0 to 255, and what the browser's console says."""
    picture = folder / f"{page.stem}-{'dark' if dark else 'light'}-{width}.png"
    done = subprocess.run(
        [
            CHROMIUM,
            *FLAGS,
            *(DARK if dark else []),
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={width},2600",
            f"--screenshot={picture}",
            page.resolve().as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert picture.exists(), done.stderr
    pixels = np.rint(255 * imread(picture)[..., :3]).astype(int)
    return pixels, re.findall(r".*:CONSOLE.*", done.stderr)


def share_of(pixels, colour: str) -> float:
    """The share of pixels of exactly a colour such as #0072b2."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return float((pixels == wanted).all(-1).mean())
