"""Do what a page of the documentation says, in its order, in an empty folder, and stop where something fails.

    python -m scripts.run_page docs/tutorials/first-hour.md     # and keep the pictures that it makes in docs/images

A page's steps, in one process:

    ```python                      is run; names stay from block to block
    ```toml title="lif.toml"       (any language) is written to that file
    ```bash                        a command a line: tclif, python or h5cc; so is an indented line that begins so
                                   `# exit status 2` behind a command says that this is how it ends
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
FENCE = r'^```(?P<kind>\w+)(?: title="(?P<file>[^"\n]+)")?\n(?P<text>.*?)^```$'
STEP = re.compile(FENCE + r"|^    (?P<command>(?:tclif|python|h5cc) [^\n]*)$", re.MULTILINE | re.DOTALL)
PROGRAMS = ("tclif", "python", "h5cc")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step: code to run, a file to write, or a command; the other two are empty. line: of the page."""

    line: int
    code: str = ""
    file: str = ""
    text: str = ""
    command: str = ""

    @property
    def name(self) -> str:
        """A command without its comment, a file's name, or the code."""
        return self.command.partition("#")[0].strip() or self.file or self.code


def steps(page: str) -> Iterator[Step]:
    """The steps of a page, in order."""
    for found in STEP.finditer(page):
        line = page.count("\n", 0, found.start()) + 1
        kind, file, text = found["kind"], found["file"], found["text"]
        if found["command"]:
            yield Step(line=line, command=found["command"])
        elif file:
            yield Step(line=line, file=file, text=text)
        elif kind == "python":
            yield Step(line=line, code=text)
        elif kind == "bash":
            rows = enumerate(text.splitlines(), start=line + 1)
            yield from (Step(line=at, command=row) for at, row in rows if row.startswith(PROGRAMS))


def run_page(page: Path, wanted: Callable[[Step], bool] = lambda step: True) -> dict[str, str]:
    """Do the `wanted` steps of a page in the current folder: what each command printed. Raises what a step raises."""
    said: dict[str, str] = {}
    names: dict[str, Any] = {"__name__": "__main__"}
    for step in filter(wanted, steps(page.read_text())):
        if step.code:
            exec(compile("\n" * step.line + step.code, str(page), "exec"), names)
        elif step.file:
            Path(step.file).parent.mkdir(parents=True, exist_ok=True)
            Path(step.file).write_text(step.text)
        else:
            status = re.search(r"# exit status (\d+)", step.command)
            said[step.name] = _run(step.command, int(status[1]) if status else 0)
    return said


def _run(command: str, status: int) -> str:
    """What a command printed; raises `AssertionError` unless it ends with `status`."""
    program, *arguments = shlex.split(command, comments=True)
    if program == "tclif":
        from typer.testing import CliRunner

        from tclif_neuro.cli.app import app

        result = CliRunner().invoke(app, arguments)
        ended, printed = result.exit_code, result.output
    else:
        program = sys.executable if program == "python" else program
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=300, check=False)
        ended, printed = done.returncode, done.stdout + done.stderr
    assert ended == status, f"{command}: exit status {ended}\n{printed}"
    return printed


def pictures(page: Path) -> list[str]:
    """The names of the pictures in docs/images that a page shows."""
    return re.findall(r"\]\((?:\.\./)*(?:docs/)?images/([\w.-]+)\)", page.read_text())


def keep(picture: Path, place: Path) -> None:
    """Keep a picture that a page made, small: at most 1100 pixels wide, in 64 colours."""
    from PIL import Image

    image = Image.open(picture).convert("RGB")
    image.thumbnail((1100, 2200), Image.Resampling.LANCZOS)
    image.quantize(64, method=Image.Quantize.MAXCOVERAGE, kmeans=4).save(place, optimize=True)


if __name__ == "__main__":
    import os

    for given in sys.argv[1:]:
        page = Path(given).resolve()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            Path("models").symlink_to(ROOT / "models")
            for name, text in run_page(page).items():
                print(f"$ {name}\n{text}")
            for name in pictures(page):
                if Path(name).exists():
                    keep(Path(name), IMAGES / name)
                    print(f"kept docs/images/{name}")
            os.chdir(ROOT)
