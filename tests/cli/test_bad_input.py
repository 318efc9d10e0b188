"""Every kind of bad input: one line that says what is wrong, exit status 2, nothing written."""

import os

import h5py
import numpy as np
import pytest

from tests.cli.calls import INPUTS, RECIPE, STEPS, refused, run, tclif


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
        ("layer/1/neuron/beta1", lambda a: a + 4097 + 4096),
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
        ({"x": X, "y": np.array([0, 1, 2, 3])}, ["y", "label '3' of sample 3"]),
        ({"x": X, "y": np.array([0, 1, -1, 2])}, ["y", "label '-1'"]),
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
    (tmp_path / "checkpoint.npz").write_bytes((folder / "run" / "checkpoint.npz").read_bytes()[:1000])
    refused(tclif("export", tmp_path, "-o", tmp_path / "a.net"), "checkpoint.npz")
    refused(tclif("train", folder / "tiny.toml", "-o", tmp_path), "checkpoint.npz")
    refused(tclif("train", folder / "tiny.toml", "-o", folder / "run", "--epochs", 9), "epochs")
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_a_run_of_another_model_is_refused(folder, tmp_path):
    path = tmp_path / "other.toml"
    path.write_text(RECIPE.replace("12", "7").format(data=folder / "data.npz", epochs=1))
    run("train", path, "-o", tmp_path / "other")
    refused(tclif("compare", folder / "tiny.net", "--run", tmp_path / "other", "--no-lava"), "7 there", "12")


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
