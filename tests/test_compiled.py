"""Kernels on disk: what was changed is compiled anew, and no state of the folder stops or deceives anyone."""

import ast
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from tclif_neuro import compiled
from tclif_neuro.fixed import step

PACKAGE = Path(compiled.__file__).resolve().parent
PROBE = """
from tclif_neuro.compiled import inlined, kernel
from tclif_neuro.fixed import step

sat = inlined(step.sat)


@kernel
def saturated(x):
    return sat(x)


if __name__ == "__main__":
    print(saturated(2**40), sum(saturated.stats.cache_hits.values()))
"""
LIMIT = 2**23 - 1


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A copy of the package with a small kernel, made of the integer neuron's source and constants."""
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / PACKAGE.name / "probe.py").write_text(PROBE)
    (tmp_path / "tmp").mkdir()
    return tmp_path


def start(place: Path, **changed: str | None) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "XDG_"))}
    env |= {"PYTHONPATH": str(place), "HOME": str(place / "home"), "TMPDIR": str(place / "tmp")}
    env = {name: value for name, value in (env | changed).items() if value is not None}
    command = [sys.executable, "-m", "tclif_neuro.probe"]
    return subprocess.Popen(
        command, env=env, cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def run(place: Path, **changed: str | None) -> tuple[int, int, str]:
    """The kernel's result, whether it came from disk, and what was said."""
    with start(place, **changed) as process:
        out, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    result, hits = out.split()
    return int(result), int(hits), said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new", "result"),
    [
        ("network.py", "STATE_MAX = 2**23 - 1", "STATE_MAX = 2**22 - 1", 2**22 - 1),
        ("fixed/step.py", "np.maximum(-STATE_MAX, np.minimum(STATE_MAX, x))", "STATE_MAX // 3", LIMIT // 3),
    ],
    ids=["a constant", "a source"],
)
def test_a_change_meets_no_old_kernel(place: Path, file: str, old: str, new: str, result: int) -> None:
    assert run(place) == (LIMIT, 0, "")
    assert run(place) == (LIMIT, 1, "")
    source = place / PACKAGE.name / file
    text = source.read_text()
    assert old in text
    source.write_text(text.replace(old, new))
    assert run(place) == (result, 0, "")
    source.write_text(text)
    assert run(place) == (LIMIT, 1, "")
    assert not [p for p in (place / PACKAGE.name).rglob("*") if p.suffix in (".nbi", ".nbc")]


@pytest.mark.slow
def test_four_first_compilations_at_once(place: Path) -> None:
    processes = [start(place) for _ in range(4)]
    for process in processes:
        out, said = process.communicate(timeout=300)
        assert (out.split()[0], said, process.returncode) == (str(LIMIT), "", 0)
    assert len(list((place / "home" / ".cache" / "tclif-neuro").iterdir())) == 1
    assert run(place) == (LIMIT, 1, "")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this process keeps what it compiles, for one test; and nothing has been said yet."""
    for name in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(compiled, "folder", compiled.folder.__wrapped__)
    compiled._say.cache_clear()
    return tmp_path / "tclif-neuro"


SAT = compiled.inlined(step.sat)


def again() -> tuple[int, int]:
    """The kernel's result and whether it came from disk, as in a new process."""

    def saturated(x):
        return SAT(x)

    made = compiled.kernel(saturated)
    return made(2**40), sum(made.stats.cache_hits.values())


def test_a_damaged_file_is_made_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert again() == (LIMIT, 0)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    other = hashlib.sha256(b"of another version").digest() + b"of another version"
    for damage in (b"", whole[: len(whole) // 2], b"garbage" * 100, bytes(flipped), other):
        path.write_bytes(damage)
        assert again() == (LIMIT, 0)
        assert again() == (LIMIT, 1)
        assert list(folder.iterdir()) == [path]
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "damaged" in said and str(folder) in said


def test_other_options_of_numba_have_files_of_their_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again()
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1")
    assert again()[1] == 0
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("NUMBA_CACHE_DIR", "/proc/none"), ("XDG_CACHE_HOME", "/proc/none"), ("HOME", "/proc/none"), ("HOME", "~")],
)
def test_a_folder_that_cannot_be_written_is_replaced_and_said_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv(name, value)
    assert [again(), again()] == [(LIMIT, 0), (LIMIT, 1)]
    instead = folder.with_name(f"tclif-neuro-{os.geteuid()}")
    assert instead.stat().st_mode & 0o777 == 0o700
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(instead) in said and "NUMBA_CACHE_DIR" in said


def test_what_others_can_write_or_point_elsewhere_is_not_used(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    assert compiled.folder() == folder.with_name(f"tclif-neuro-{os.geteuid()}")
    folder.rmdir()
    folder.symlink_to(folder.parent)
    assert compiled.folder() == folder.with_name(f"tclif-neuro-{os.geteuid()}")


def test_without_any_folder_it_compiles_every_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.with_name(f"tclif-neuro-{os.geteuid()}").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/proc/none")
    assert [again(), again()] == [(LIMIT, 0), (LIMIT, 0)]
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "every process compiles anew" in said


def test_a_folder_that_fills_up_stops_nobody(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compiled, "folder", lambda: Path("/proc"))
    assert [again(), again()] == [(LIMIT, 0), (LIMIT, 0)]
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_long_unused_is_removed(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    old = folder / "advance-of-last-year"
    old.write_bytes(b"")
    os.utime(old, (0, 0))
    again()
    assert not old.exists() and len(list(folder.iterdir())) == 1


def sources(name: str) -> set[str]:
    return {str(path.relative_to(PACKAGE)) for path in compiled.closure(PACKAGE / name)}


def test_the_digest_covers_all_that_a_kernel_is_made_of() -> None:
    assert sources("learning/eprop/kernels.py") >= {"neurons/kernels.py"}
    assert sources("fixed/kernel.py") >= {
        "network.py",
        "fixed/step.py",
        "fixed/exact.py",
        "fixed/program.py",
        "fixed/intrinsics.py",
    }
    assert sources("onchip/engine/kernel.py") >= {
        "network.py",
        "fixed/step.py",
        "onchip/rule/equations.py",
        "onchip/exact/scalars.py",
        "onchip/engine/program.py",
        "onchip/engine/arithmetic.py",
    }


def test_every_kernel_that_is_kept_goes_through_here() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.keyword) and node.arg == "cache"), f"{path}: numba's own cache"


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_over_reals_keeps_the_type(real: type) -> None:
    mul = compiled.over_reals(step.sat, STATE_MAX=LIMIT)

    @njit
    def narrow(x):
        return mul(x)

    assert narrow(real(2.0**30)) == LIMIT
    (signature,) = narrow.overloads.values()
    assert str(signature.signature.return_type) == real.__name__
