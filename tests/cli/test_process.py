"""The command as a process of its own, and with Lava."""

import json
import sys

import pytest

import tclif_neuro as tn
from tests.cli.calls import RECIPE, interrupted, process, run, tclif


def test_help_is_quick_since_it_imports_nothing_heavy():
    code = (
        "import sys; from tclif_neuro.cli.app import app; app(['--help'], standalone_mode=False); "
        "heavy = {'torch', 'numpy', 'matplotlib', 'numba', 'h5py', 'rich', 'lava'}; "
        "print(sorted({m.split('.')[0] for m in sys.modules} & heavy))"
    )
    result = process(code=code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"
    assert all(command in result.stdout for command in ("train", "export", "run", "compare", "inspect", "plot", "demo"))


def test_version():
    assert tclif("--version").stdout == f"tclif {tn.__version__}\n"


NO_LAVA = "import sys; sys.modules['lava'] = None; from tclif_neuro.cli.app import main; main()"


def test_without_lava_its_backend_is_refused_and_compare_leaves_it_out(folder, monkeypatch):
    samples = ("--samples", 4)
    result = process("run", folder / "tiny.net", *samples, "--backend", "lava", code=NO_LAVA)
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.startswith("error: Lava is not installed") and "Traceback" not in result.stderr
    monkeypatch.setitem(sys.modules, "lava", None)
    result = tclif("compare", folder / "tiny.net", *samples)
    assert result.exit_code == 0, result.stderr
    assert "left out: lava: it is not installed" in result.stdout


def test_a_bug_has_a_status_of_its_own(folder):
    code = (
        "import tclif_neuro.netx as n\ndef describe(path): raise ZeroDivisionError\nn.describe = describe\n"
        "from tclif_neuro.cli.app import main; main()"
    )
    result = process("inspect", folder / "tiny.net", code=code)
    assert result.returncode == 70 and "ZeroDivisionError" in result.stderr


@pytest.mark.slow
def test_ctrl_c_ends_training_cleanly_and_it_can_be_resumed(folder, tmp_path):
    recipe, out = tmp_path / "long.toml", tmp_path / "run"
    recipe.write_text(RECIPE.format(data=folder / "data.npz", epochs=100_000))
    status, stdout, stderr = interrupted("train", recipe, out)
    assert status == 130 and stdout == ""
    assert stderr.endswith("error: interrupted\n") and "Traceback" not in stderr
    assert sorted(p.name for p in out.iterdir()) == ["checkpoint.npz", "log.csv"]
    from tclif_neuro.learning.training.checkpoint import load_checkpoint

    assert load_checkpoint(out).epoch >= 1


@pytest.mark.slow
@pytest.mark.lava
def test_compare_with_lava(folder):
    result = run("compare", folder / "tiny.net", "--samples", 3)
    assert result["identical"]
    assert [e["name"] for e in result["executors"]] == ["reference", "simulator", "lava"]


@pytest.mark.slow
@pytest.mark.trains
def test_the_demonstration(tmp_path):
    result = process("demo", "--short", "-o", tmp_path / "demo", "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["compare"]["identical"] and found["train"]["epochs"] == 3
    assert {"checkpoint.npz", "log.csv", "digits.net", "digits.png"} == {p.name for p in (tmp_path / "demo").iterdir()}
    assert "4/4" in result.stderr


@pytest.mark.slow
@pytest.mark.lava
def test_a_run_in_lava_that_takes_too_long_is_given_up(folder):
    result = tclif("run", folder / "tiny.net", "--backend", "lava", "--timeout", 0.2)
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith("error: Lava failed") and "timeout of 0.2 s" in result.stderr


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_checkpoint_stays_whole(folder, tmp_path):
    """A limit on the size of files does to a write what a full disk does."""
    out = tmp_path / "run"
    run("train", folder / "tiny.toml", "-o", out, "--epochs", 1)
    before = (out / "checkpoint.npz").read_bytes()
    script = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) // 2}, {len(before) // 2}));"
        "from tclif_neuro.cli.app import main; main()"
    )
    ended = process("train", folder / "tiny.toml", "-o", out, "--fresh", "--epochs", 1, code=script)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].endswith("checkpoint.npz: File too large") and "Traceback" not in ended.stderr
    assert (out / "checkpoint.npz").read_bytes() == before
    assert [p.name for p in out.iterdir() if "tmp" in p.name] == []
