"""The project's own ground: what it depends on, what it ships, and the script that makes its environments."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tclif_neuro import __version__ as VERSION_HERE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
PIN = re.compile(r"[a-z0-9][a-z0-9-]*==[0-9][0-9a-z.]*( ; .+)?")

SHIPPED = {
    str(path.relative_to(ROOT))
    for path in (ROOT / "tclif_neuro").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}
TOOLS = ("head", "mv", "rm", "tail")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
ENVIRONMENTS = {"3.10": ("full", ".venv"), "3.13": ("core", ".venv-core")}
builds_here = pytest.mark.skipif(VERSION not in ENVIRONMENTS, reason="setup makes environments of 3.10 and 3.13")

# A project without dependencies that builds itself: the script's real work, without network.
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tiny"
version = "1"
[project.optional-dependencies]
lava = []
dev = []
"""
BACKEND = """
import zipfile

METADATA = "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\nProvides-Extra: lava\\nProvides-Extra: dev\\n"
WHEEL = "Wheel-Version: 1.0\\nGenerator: tiny\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"

def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{folder}/tiny-1-py3-none-any.whl", "w") as wheel:
        for name, text in ("METADATA", METADATA), ("WHEEL", WHEEL), ("RECORD", ""):
            wheel.writestr(f"tiny-1.dist-info/{name}", text)
    return "tiny-1-py3-none-any.whl"
"""


class Checkout:
    """A small checkout with the real setup script, and a PATH that holds only what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder / "checkout", folder / "bin"
        (self.folder / "scripts").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(ROOT / "scripts" / "setup.sh", self.folder / "scripts")
        (self.folder / "pyproject.toml").write_text(PYPROJECT)
        (self.folder / "backend.py").write_text(BACKEND)
        (self.folder / "constraints.txt").write_text("")
        for tool in TOOLS:
            path = shutil.which(tool)
            assert path is not None
            (self.bin / tool).symlink_to(path)

    def add_python(self, name: str) -> None:
        (self.bin / name).symlink_to(os.path.realpath(sys.executable))

    def add_broken_python(self, name: str) -> None:
        (self.bin / name).write_text("#!/bin/sh\necho 'version not installed' >&2\nexit 127\n")
        (self.bin / name).chmod(0o755)

    def add_uv(self) -> None:
        (self.bin / "uv").symlink_to(Path(sys.executable).parent / "uv")

    def setup(self, which: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin), "HOME": str(self.folder.parent), "UV_PYTHON_DOWNLOADS": "never"}
        command = ["/bin/bash", str(self.folder / "scripts" / "setup.sh"), which]
        return subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=400
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def ready(checkout: Checkout) -> Checkout:
    """A checkout whose environment of this Python has just been made."""
    checkout.add_uv()
    checkout.add_python(f"python{VERSION}")
    done = checkout.setup(ENVIRONMENTS[VERSION][0])
    assert done.returncode == 0, done.stderr
    return checkout


def venv_of(checkout: Checkout) -> Path:
    return checkout.folder / ENVIRONMENTS[VERSION][1]


def test_constraints_are_exact_versions_and_nothing_else() -> None:
    assert len(PINS) > 50
    assert [line for line in PINS if not PIN.fullmatch(line)] == []


@pytest.mark.parametrize("python", ["3.10", "3.13"])
def test_every_dependency_is_pinned_within_its_range(python: str) -> None:
    environment = {"python_version": python, "python_full_version": f"{python}.9"}
    pins = {}
    for pin in map(Requirement, PINS):
        if pin.marker is None or pin.marker.evaluate(environment):
            pins[canonicalize_name(pin.name)] = str(pin.specifier).removeprefix("==")
    extras = PROJECT["optional-dependencies"].values()
    for wanted in map(Requirement, PROJECT["dependencies"] + [line for extra in extras for line in extra]):
        if wanted.marker is None or wanted.marker.evaluate(environment):
            assert wanted.specifier.contains(pins[canonicalize_name(wanted.name)]), wanted


def test_lava_is_asked_for_only_where_it_runs() -> None:
    for line in PROJECT["optional-dependencies"]["lava"]:
        marker = Requirement(line).marker
        assert marker == Marker("python_version < '3.11'")


def test_python_version_lists_both_pythons() -> None:
    assert (ROOT / ".python-version").read_text().split() == ["3.10", "3.13"]


def build(kind: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=400)
    (built,) = folder.iterdir()
    return built


def test_wheel_holds_the_package_alone(tmp_path: Path) -> None:
    wheel = build("wheel", tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry_points = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert {name.split("/")[0] for name in names} == {"tclif_neuro", f"tclif_neuro-{VERSION_HERE}.dist-info"}
    assert {name for name in names if name.startswith("tclif_neuro/")} == SHIPPED
    assert "tclif = tclif_neuro.cli.app:main" in entry_points


def test_sdist_holds_the_package_and_what_builds_it(tmp_path: Path) -> None:
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {name for name in names if name.startswith("tclif_neuro/")} == SHIPPED
    assert {"pyproject.toml", "README.md", "LICENSE", "CITATION.cff", "constraints.txt"} <= names


def test_the_version_is_the_same_everywhere() -> None:
    said = re.search(r'^version: "(.+)"$', (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert said and said[1] == VERSION_HERE and PROJECT["dynamic"] == ["version"]
    assert re.search(rf"as {VERSION_HERE}\.|\[{VERSION_HERE}\]", (ROOT / "CHANGELOG.md").read_text())


@pytest.mark.parametrize(("which", "version"), [("full", "3.10"), ("core", "3.13")])
def test_setup_says_what_to_install_when_there_is_no_python(checkout: Checkout, which: str, version: str) -> None:
    done = checkout.setup(which)
    assert done.returncode == 1
    assert f"pyenv install {version}" in done.stderr
    assert f"uv python install {version}" in done.stderr
    assert ("needed only for 'make test'" in done.stderr) == (which == "core")
    assert not list(checkout.folder.glob(".venv*/*"))


def test_setup_refuses_an_unknown_environment(checkout: Checkout) -> None:
    done = checkout.setup("other")
    assert done.returncode == 2
    assert "'other'" in done.stderr


@builds_here
@pytest.mark.parametrize("name", ["python3", "python"])
def test_setup_passes_over_a_python_that_does_not_run(checkout: Checkout, name: str) -> None:
    checkout.add_uv()
    checkout.add_broken_python(f"python{VERSION}")
    checkout.add_python(name)
    done = checkout.setup(ENVIRONMENTS[VERSION][0])
    assert done.returncode == 0, done.stderr
    assert venv_of(checkout).joinpath("bin", "python").resolve() == Path(sys.executable).resolve()


@builds_here
def test_second_setup_does_nothing_and_needs_no_network_or_python(ready: Checkout) -> None:
    stamp = venv_of(ready) / ".tclif-stamp"
    before = stamp.stat().st_mtime_ns
    (ready.bin / "uv").unlink()
    (ready.bin / f"python{VERSION}").unlink()
    start = time.monotonic()
    done = ready.setup(ENVIRONMENTS[VERSION][0])
    assert (done.returncode, done.stderr) == (0, "")
    assert stamp.stat().st_mtime_ns == before
    assert time.monotonic() - start < 5  # a tenth of a second, but for a busy machine


@builds_here
@pytest.mark.parametrize("damage", ["no stamp", "no python", "empty folder"])
def test_setup_makes_a_half_made_environment_anew(ready: Checkout, damage: str) -> None:
    venv = venv_of(ready)
    leftover = venv / "half-installed"
    leftover.touch()
    if damage == "no stamp":
        (venv / ".tclif-stamp").unlink()
    elif damage == "no python":
        (venv / "bin" / "python").unlink()
    else:
        shutil.rmtree(venv)
        venv.mkdir()
    done = ready.setup(ENVIRONMENTS[VERSION][0])
    assert done.returncode == 0, done.stderr
    assert (venv / ".tclif-stamp").is_file()
    assert not leftover.exists()


@builds_here
def test_an_environment_of_another_python_is_not_brought_up_to_date(ready: Checkout) -> None:
    script = ready.folder / "scripts" / "setup.sh"
    script.write_text(script.read_text().replace(f" {VERSION} ", " 3.7 "))
    done = ready.setup(ENVIRONMENTS[VERSION][0])
    assert done.returncode == 1
    assert "pyenv install 3.7" in done.stderr


@builds_here
def test_setup_brings_an_environment_up_to_date_in_place(ready: Checkout) -> None:
    venv = venv_of(ready)
    kept = venv / "kept"
    kept.touch()
    stamp = (venv / ".tclif-stamp").read_text()
    (ready.folder / "constraints.txt").write_text("six==1.17.0\n")
    done = ready.setup(ENVIRONMENTS[VERSION][0])
    assert done.returncode == 0, done.stderr
    assert kept.exists()
    assert (venv / ".tclif-stamp").read_text() != stamp


@builds_here
def test_setup_makes_the_environment_of_a_moved_checkout_anew(ready: Checkout) -> None:
    ready.folder = ready.folder.rename(ready.folder.with_name("elsewhere"))
    done = ready.setup(ENVIRONMENTS[VERSION][0])
    assert done.returncode == 0, done.stderr
    assert "making it" in done.stderr


@builds_here
def test_setup_fails_and_leaves_no_stamp_when_an_install_fails(ready: Checkout) -> None:
    (ready.folder / "backend.py").write_text("raise RuntimeError('this build breaks')\n")
    (ready.folder / "constraints.txt").write_text("six==1.17.0\n")
    done = ready.setup(ENVIRONMENTS[VERSION][0])
    assert done.returncode != 0
    assert not (venv_of(ready) / ".tclif-stamp").exists()


def test_contributing_names_the_versions_that_the_tests_run_with() -> None:
    """The table of the two environments, against the pins."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    pins = [Requirement(pin) for pin in PINS]
    for python, row in (("3.10", "Python 3.10, with Lava"), ("3.13", "Python 3.13")):
        here = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
        chosen = {
            pin.name: str(pin.specifier).removeprefix("==")
            for pin in pins
            if pin.marker is None or pin.marker.evaluate({**here, "platform_machine": "x86_64"})
        }
        assert f"| {row} | {chosen['torch']} | {chosen['numpy']} | {chosen['triton']}" in text
