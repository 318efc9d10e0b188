"""The command `tclif`, in this process and as one of its own: results, exit statuses, and every kind of bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

import tclif_neuro as tn
from tclif_neuro import cli
from tclif_neuro.commands.recipe_text import recipe_text
from tclif_neuro.learning.recipe_file import load_recipe

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `cli.main` does, for the commands in this process

STEPS, INPUTS, CLASSES = 6, 5, 3
RECIPE = """
[task]
name = "{data}"

[[model.layers]]
type = "tclif"
size = 12
recurrent = true

[training]
epochs = {epochs}
lr = 1e-2
"""


def tclif(*arguments):
    """The command in this process; what it printed and its exit status."""
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


def run(*arguments):
    """The command, which succeeds; its JSON."""
    result = tclif(*arguments, "--json")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1, "one line"
    return json.loads(result.stdout)


def process(*arguments, code="from tclif_neuro.cli import main; main()", **options):
    """The command in a process of its own."""
    command = [sys.executable, "-c", code, *(str(a) for a in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data, a recipe, a run, a network: made by the commands themselves."""
    folder = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(3)
    y = np.arange(90) % CLASSES
    x = rng.random((90, STEPS, INPUTS)) < 0.15 + 0.7 * (np.arange(INPUTS) % CLASSES == y[:, None, None])
    np.savez(folder / "data.npz", x=x.astype(np.float32), y=y)
    (folder / "tiny.toml").write_text(RECIPE.format(data=folder / "data.npz", epochs=8))
    assert run("train", folder / "tiny.toml", "-o", folder / "run")["epochs"] == 8
    run("export", folder / "run", "-o", folder / "tiny.net")
    return folder


# --- results ---


def test_training_reports_accuracy_and_keeps_a_checkpoint(folder):
    result = run("train", folder / "tiny.toml", "-o", folder / "run")
    assert result["epochs"] == 8 and result["test_accuracy"] > 0.8
    assert Path(result["checkpoint"]).is_file()


def test_epochs_replace_the_recipe_s_and_fresh_starts_again(folder, tmp_path):
    run("train", folder / "tiny.toml", "-o", tmp_path, "--epochs", 2)
    assert run("train", folder / "tiny.toml", "-o", tmp_path, "--epochs", 1, "--fresh")["epochs"] == 1


def test_export_reports_the_loss(folder, tmp_path):
    result = run("export", folder / "run", "-o", tmp_path / "a.net")
    assert result["report"]["integer_accuracy"] > 0.8
    assert [layer["saturations"] for layer in result["report"]["layers"]] == [0, 0]
    assert (tmp_path / "a.net").read_bytes() == (folder / "tiny.net").read_bytes()


def test_training_on_the_grid_before_export(folder, tmp_path):
    result = run("export", folder / "run", "-o", tmp_path / "q.net", "--bits", 4, "--qat", 2)
    assert result["qat_epochs"] == 2 and result["report"]["integer_accuracy"] > 0.8
    weights = tn.load(tmp_path / "q.net").layers[0].synapses.weight
    assert len(np.unique(weights)) <= 2**5


def test_the_network_carries_its_recipe(folder):
    net = tn.load(folder / "tiny.net")
    assert net.recipe == recipe_text(load_recipe(folder / "tiny.toml"))
    (folder / "again.toml").write_text(net.recipe)
    assert load_recipe(folder / "again.toml") == load_recipe(folder / "tiny.toml")


def test_run_gives_the_same_from_every_executor_and_in_batches(folder):
    results = [
        run("run", folder / "tiny.net", "--backend", backend, "--batch", batch)
        for backend, batch in (("simulator", 256), ("reference", 256), ("simulator", 5))
    ]
    for result in results:
        assert result["samples"] == 18 and result["steps"] == STEPS
        assert result["accuracy"] > 0.8 and result["samples_per_second"] > 0
    first, *others = [(r["predictions"], r["spikes_per_sample"], r["layers"]) for r in results]
    assert all(other == first for other in others)


def test_record_keeps_what_the_reference_gives(folder, tmp_path):
    result = run(
        "run",
        folder / "tiny.net",
        "--data",
        folder / "data.npz",
        "--samples",
        7,
        "--batch",
        3,
        "--record",
        tmp_path / "r.npz",
    )
    x = np.load(folder / "data.npz")["x"][:7].swapaxes(0, 1)
    wanted = tn.run_reference(tn.load(folder / "tiny.net"), x)
    with np.load(tmp_path / "r.npz") as kept:
        for i, layer in enumerate(wanted.layers):
            np.testing.assert_array_equal(kept[f"spikes_{i}"], layer.spikes)
            np.testing.assert_array_equal(kept[f"states_{i}"], layer.states)
        np.testing.assert_array_equal(kept["logits"], wanted.logits)
        np.testing.assert_array_equal(kept["input"], wanted.input)
    assert result["recorded"] == str(tmp_path / "r.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["r.npz"]


def test_compare_says_that_executors_agree(folder):
    result = run("compare", folder / "tiny.net", "--run", folder / "run", "--no-lava")
    assert result["identical"] and result["skipped"] == []
    assert [e["name"] for e in result["executors"]] == ["float", "reference", "simulator"]
    floats, simulator = result["comparisons"]
    assert not floats["exact"] and floats["predictions"] > 0.8
    assert simulator["exact"] and simulator["first"] is None
    text = tclif("compare", folder / "tiny.net", "--no-lava").stdout
    assert "reference = simulator, to the bit" in text


def test_compare_ends_with_1_and_says_where_when_an_executor_is_wrong(folder, monkeypatch):
    from tclif_neuro.fixed import simulator

    right = simulator.simulate

    def wrong(net, x, *, record=False):
        run = right(net, x, record=record)
        if record:
            run.layers[0].states[1, 4, min(2, x.shape[1] - 1), 9] += 1
        return run

    monkeypatch.setattr(simulator, "simulate", wrong)
    result = tclif("compare", folder / "tiny.net", "--no-lava", "--samples", 3)
    assert result.exit_code == 1
    assert "first difference at step 4, layer 0, sample 2, neuron 9: soma" in result.stdout
    found = json.loads(tclif("compare", folder / "tiny.net", "--no-lava", "--samples", 3, "--json").stdout)
    first = found["comparisons"][0]["first"]
    assert not found["identical"] and first["right"] == first["left"] + 1


def test_plot_writes_the_same_png_twice(folder, tmp_path):
    options = ("--run", folder / "run", "--sample", 2, "--neurons", "0,5")
    for name in ("a.png", "b.png"):
        assert run("plot", folder / "tiny.net", "-o", tmp_path / name, *options)["sample"] == 2
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_inspect_shows_what_is_in_a_file(folder):
    text = tclif("inspect", folder / "tiny.net")
    assert text.exit_code == 0 and "TCLIF" in text.stdout and "beta2" in text.stdout
    assert run("inspect", folder / "tiny.net")["layers"]


def test_tables_are_for_readers(folder):
    assert "samples/s" in tclif("run", folder / "tiny.net").stdout
    assert "test accuracy" in tclif("train", folder / "tiny.toml", "-o", folder / "run").stdout


# --- bad input ---


def refused(result, *words, status=2):
    """One line that says what is wrong, no traceback, nothing on standard output."""
    assert result.exit_code == status, result.output
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.output and result.stdout == ""
    for word in words:
        assert str(word) in result.stderr, result.stderr


@pytest.fixture
def edited(folder, tmp_path):
    """A copy of the network with something in it changed: `edited(path_in_the_file, change)`."""

    def edit(name, change):
        path = tmp_path / "bad.net"
        path.write_bytes((folder / "tiny.net").read_bytes())
        with h5py.File(path, "r+") as file:
            value = change(file[name][()])
            del file[name]
            file[name] = value
        return path

    return edit


def nan(array):
    array = array.astype(float)
    array[0, 0] = np.nan
    return array


def too_large(array):
    array = array.astype(np.int16)
    array[1, 2] = 999
    return array


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("layer/1/weight", nan),
        ("layer/1/weight", too_large),
        ("layer/1/weight", lambda a: a[:, :-1]),
        ("layer/1/weight_rec", lambda a: a[:-1]),
        ("layer/2/bias", lambda a: a[:-1]),
        ("layer/1/neuron/type", lambda a: np.array([b"HODGKIN"])),
        ("layer/1/neuron/vThMant", lambda a: 2**17),
        ("layer/1/neuron/beta1", lambda a: -a),
        ("tclif/inputScale", lambda a: np.float64("nan")),
        ("tclif/steps", lambda a: -1),
        ("layer/1/type", lambda a: np.array([b"conv"])),
    ],
)
def test_a_network_with_an_impossible_value_is_refused_by_name(edited, name, change):
    path = edited(name, change)
    for command in (("inspect",), ("run", "--samples", 1), ("compare", "--no-lava")):
        refused(tclif(command[0], path, *command[1:]), path, name.rsplit("/", 1)[-1])


def test_a_network_of_another_version_or_format_is_refused(folder, tmp_path):
    path = tmp_path / "new.net"
    path.write_bytes((folder / "tiny.net").read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 99
    refused(tclif("run", path), path, "version", "99")


@pytest.mark.parametrize("keep", [0, 7, 1000, -1])
def test_a_truncated_network_is_refused(folder, tmp_path, keep):
    path = tmp_path / "cut.net"
    path.write_bytes((folder / "tiny.net").read_bytes()[:keep])
    refused(tclif("run", path), path)


def test_a_network_that_is_not_there_or_a_folder_is_refused(tmp_path):
    refused(tclif("run", tmp_path / "none.net"), tmp_path / "none.net")
    refused(tclif("inspect", tmp_path), tmp_path)


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


X = np.zeros((4, STEPS, INPUTS), np.float32)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": X, "y": np.array([0, 1, 2, 3])}, ["y", "label 3 of sample 3", "[0, 2]"]),
        ({"x": X, "y": np.array([0, 1, -1, 2])}, ["y", "label -1"]),
        ({"x": X, "y": np.array([0, 1])}, ["y", "[4]"]),
        ({"x": X, "y": np.array([0.0, 1, 2, 0])}, ["y", "integers"]),
        ({"x": X[:0], "y": np.zeros(0, int)}, ["x", "empty"]),
        ({"x": X[:, :0]}, ["x", "empty"]),
        ({"x": X[0]}, ["x", "[6, 5]"]),
        ({"x": X[:, :, :4]}, ["4", "5"]),
        ({"x": X[:, :3]}, ["3 steps", "6"]),
        ({"x": np.full_like(X, np.nan)}, ["x", "nan"]),
        ({"x": np.array([object()])}, []),
        ({"z": X}, ["'x'"]),
    ],
)
def test_data_that_does_not_fit_are_refused(folder, tmp_path, arrays, words):
    path = saved(tmp_path / "bad.npz", **arrays)
    refused(tclif("run", folder / "tiny.net", "--data", path), path, *words)
    refused(tclif("plot", folder / "tiny.net", "--data", path, "-o", tmp_path / "p.png"), path, *words)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.npz"]


def test_data_that_is_no_archive_is_refused(folder, tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    for path in (tmp_path / "text.npz", tmp_path / "none.npz"):
        refused(tclif("run", folder / "tiny.net", "--data", path), path)


def test_a_task_that_is_not_known_or_does_not_fit_is_refused(folder):
    refused(tclif("run", folder / "tiny.net", "--task", "digit-rows"), "digit-rows", "digits-rows")
    refused(tclif("run", folder / "tiny.net", "--task", "digits-rows"), "digits-rows", "8 inputs", "10 classes")
    refused(tclif("run", folder / "tiny.net", "--task", "digits-rows", "--data", folder / "data.npz"), "choose one")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (RECIPE.replace("epochs =", "epocs ="), ["epocs", "epochs"]),
        (RECIPE.replace('"tclif"', '"tcliff"'), ["tcliff", "tclif"]),
        (RECIPE.replace("size = 12", 'size = "12"'), ["size", "'12'"]),
        (RECIPE.replace("lr = 1e-2", "lr = nan"), ["lr"]),
        (RECIPE.replace("lr = 1e-2", "lr = -1.0"), ["lr"]),
        (RECIPE.replace("lr = 1e-2", "lr ="), ["TOML"]),
        (RECIPE.replace("{data}", "{data}.npz"), ["data.npz.npz"]),
    ],
)
def test_a_recipe_with_a_mistake_is_refused_by_key(folder, tmp_path, text, words):
    path = tmp_path / "bad.toml"
    path.write_text(text.format(data=folder / "data.npz", epochs=1))
    refused(tclif("train", path, "-o", tmp_path / "run"), *words)
    refused(tclif("train", tmp_path / "none.toml"), "none.toml")
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_damaged_or_of_another_recipe_is_refused(folder, tmp_path):
    refused(tclif("export", tmp_path, "-o", tmp_path / "a.net"), tmp_path, "no such file")
    (tmp_path / "checkpoint.pt").write_bytes((folder / "run" / "checkpoint.pt").read_bytes()[:1000])
    refused(tclif("export", tmp_path, "-o", tmp_path / "a.net"), "checkpoint.pt")
    refused(tclif("train", folder / "tiny.toml", "-o", tmp_path), "checkpoint.pt")
    refused(tclif("train", folder / "tiny.toml", "-o", folder / "run", "--epochs", 9), "epochs")
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_run_of_another_model_is_refused(folder, tmp_path):
    path = tmp_path / "other.toml"
    path.write_text(RECIPE.format(data=folder / "data.npz", epochs=1).replace("12", "7"))
    run("train", path, "-o", tmp_path / "other")
    refused(tclif("compare", folder / "tiny.net", "--run", tmp_path / "other", "--no-lava"), "7 neurons", "12")


@pytest.mark.parametrize("command", ["export", "record", "plot"])
@pytest.mark.parametrize(
    ("name", "words"),
    [("missing/out", ["there is no folder", "missing"]), ("out.txt", ["must end in"]), ("there", ["is a folder"])],
)
def test_an_output_that_cannot_be_written_is_refused_before_the_work(folder, tmp_path, command, name, words):
    suffix = {"export": ".net", "record": ".npz", "plot": ".png"}[command]
    out = tmp_path / (name if name.endswith(".txt") else name + suffix)
    (tmp_path / f"there{suffix}").mkdir()
    before = sorted(tmp_path.iterdir())
    arguments = {
        "export": ("export", folder / "run", "-o", out),
        "record": ("run", folder / "tiny.net", "--record", out),
        "plot": ("plot", folder / "tiny.net", "-o", out),
    }[command]
    refused(tclif(*arguments), out, *words)
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_read_is_not_written_over(folder, tmp_path):
    data = tmp_path / "data.npz"
    data.write_bytes((folder / "data.npz").read_bytes())
    refused(tclif("run", folder / "tiny.net", "--data", data, "--record", data), data, "also read from")
    assert data.read_bytes() == (folder / "data.npz").read_bytes()


def test_a_folder_without_permission_is_named(folder, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    refused(tclif("plot", folder / "tiny.net", "-o", tmp_path / "p.png"), "p.png", "Permission denied")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fly"], ["fly"]),
        (["run"], ["FILE.net"]),
        (["run", "{net}", "--backend", "loihi"], ["loihi", "simulator"]),
        (["run", "{net}", "--samples", "0"], ["--samples", "1"]),
        (["run", "{net}", "--fast"], ["--fast"]),
        (["export", "{run}", "-o", "a.net", "--bits", "9"], ["--bits", "8"]),
        (["plot", "{net}", "-o", "p.png", "--neurons", "1,two"], ["--neurons", "1,two"]),
        (["plot", "{net}", "-o", "p.png", "--neurons", "12"], ["neuron 12", "0 to 11"]),
        (["plot", "{net}", "-o", "p.png", "--sample", "18"], ["sample 18", "0 to 17"]),
    ],
)
def test_bad_usage_is_one_line_too(folder, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    refused(tclif(*(a.format(net=folder / "tiny.net", run=folder / "run") for a in arguments)), *words)
    assert not list(tmp_path.iterdir())


# --- as a process ---


def test_help_is_quick_since_it_imports_nothing_heavy():
    code = (
        "import sys; from tclif_neuro.cli import app; app(['--help'], standalone_mode=False); "
        "heavy = {'torch', 'numpy', 'matplotlib', 'numba', 'h5py', 'rich', 'lava'}; "
        "print(sorted({m.split('.')[0] for m in sys.modules} & heavy))"
    )
    result = process(code=code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"
    assert all(command in result.stdout for command in ("train", "export", "run", "compare", "inspect", "plot", "demo"))


def test_version():
    assert tclif("--version").stdout == f"tclif {tn.__version__}\n"


NO_LAVA = "import sys; sys.modules['lava'] = None; from tclif_neuro.cli import main; main()"


def test_without_lava_its_backend_is_refused_and_compare_leaves_it_out(folder, monkeypatch):
    samples = ("--data", folder / "data.npz", "--samples", 4)
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
        "from tclif_neuro.cli import main; main()"
    )
    result = process("inspect", folder / "tiny.net", code=code)
    assert result.returncode == 70 and "ZeroDivisionError" in result.stderr


@pytest.mark.slow
def test_ctrl_c_ends_training_cleanly_and_it_can_be_resumed(folder, tmp_path):
    recipe, out = tmp_path / "long.toml", tmp_path / "run"
    recipe.write_text(RECIPE.format(data=folder / "data.npz", epochs=100_000))
    command = [sys.executable, "-c", "from tclif_neuro.cli import main; main()", "train", str(recipe), "-o", str(out)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 100
        while not (out / "log.csv").exists() and time.monotonic() < deadline:
            assert child.poll() is None, child.communicate()
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        stdout, stderr = child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == 130 and stdout == ""
    assert stderr.endswith("error: interrupted\n") and "Traceback" not in stderr
    assert sorted(p.name for p in out.iterdir()) == ["checkpoint.pt", "log.csv"]
    from tclif_neuro.learning.checkpoint import load_checkpoint

    assert load_checkpoint(out).epoch >= 1


# --- Lava ---


@pytest.mark.slow
@pytest.mark.lava
def test_compare_with_lava(folder):
    result = run("compare", folder / "tiny.net", "--samples", 3)
    assert result["identical"]
    assert [e["name"] for e in result["executors"]] == ["reference", "simulator", "lava"]


@pytest.mark.slow
def test_the_demonstration(tmp_path):
    result = process("demo", "--short", "-o", tmp_path / "demo", "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["compare"]["identical"] and found["train"]["epochs"] == 3
    assert {"checkpoint.pt", "log.csv", "digits.net", "digits.png"} == {p.name for p in (tmp_path / "demo").iterdir()}
    assert "4/4" in result.stderr


@pytest.mark.slow
@pytest.mark.lava
def test_a_run_in_lava_that_takes_too_long_is_given_up(folder):
    result = tclif("run", folder / "tiny.net", "--backend", "lava", "--timeout", 0.2)
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith("error: Lava failed") and "timeout of 0.2 s" in result.stderr
