"""What the commands say of inputs outside the code, and of a run folder that is not the network's."""

import json

import numpy as np
import pytest

from tests.cli.calls import process, refused, run, tclif


@pytest.fixture
def scaled(folder, tmp_path):
    """The samples of `folder`, five times as large: counts, to a network of spikes."""
    with np.load(folder / "data.npz") as data:
        np.savez(tmp_path / "large.npz", x=5 * data["x"], y=data["y"])
        return tmp_path / "large.npz", float((data["x"] > 0).mean())


@pytest.mark.parametrize(
    "command", [("run",), ("run", "--backend", "reference"), ("compare", "--no-lava", "--samples", 90), ("plot",)]
)
def test_clipped_inputs_are_in_tables_and_json_and_on_standard_error(folder, scaled, tmp_path, command):
    data, share = scaled
    name, *options = command
    options = [folder / "tiny.net", "--data", data, *options]
    options += ["-o", tmp_path / "a.png"] if name == "plot" else []
    shown = tclif(name, *options)
    assert shown.exit_code == 0
    assert "inputs clipped" in " ".join(shown.stdout.split())
    assert shown.stderr.startswith("warning: ") and "of the inputs are above 1, the largest" in shown.stderr
    found = json.loads(tclif(name, *options, "--json").stdout)
    assert found["input_clipped"] == pytest.approx(share, abs=1e-9 if name != "plot" else 0.3)
    assert "was it trained on scaled data?" in found["warnings"][0]


def test_nothing_is_said_of_the_network_s_own_data(folder):
    for command in (("run",), ("compare", "--no-lava")):
        assert tclif(command[0], folder / "tiny.net", *command[1:]).stderr == ""
        found = run(command[0], folder / "tiny.net", *command[1:])
        assert found["warnings"] == [] and found["input_clipped"] == 0


def test_the_run_of_another_recipe_is_refused(folder, tmp_path):
    recipe = (folder / "tiny.toml").read_text().replace("size = 12", "size = 11").replace("epochs = 8", "epochs = 1")
    (tmp_path / "other.toml").write_text(recipe)
    run("train", tmp_path / "other.toml", "-o", tmp_path / "run")
    options = ("--run", tmp_path / "run")
    said = ("is not the run that this network was made from: model.layers[0].size is 11 there and 12 in the network",)
    refused(tclif("compare", folder / "tiny.net", "--no-lava", *options), tmp_path / "run", *said)
    refused(tclif("plot", folder / "tiny.net", "-o", tmp_path / "a.png", *options), tmp_path / "run", *said)
    assert not (tmp_path / "a.png").exists()


@pytest.mark.slow
def test_a_warning_is_a_line_without_the_code_that_issued_it(folder, tmp_path):
    with np.load(folder / "data.npz") as data:
        np.savez(tmp_path / "gap.npz", x=data["x"], y=data["y"] * 5)
    recipe = (folder / "tiny.toml").read_text().replace(str(folder / "data.npz"), str(tmp_path / "gap.npz"))
    (tmp_path / "gap.toml").write_text(recipe.replace("epochs = 8", "epochs = 1"))
    result = process("train", tmp_path / "gap.toml", "-o", tmp_path / "run")
    assert result.returncode == 0
    first = result.stderr.splitlines()[0]
    assert first.startswith("warning: ") and "gap" in first and ".py" not in result.stderr


def test_export_s_warnings_are_in_its_json(folder, tmp_path):
    """An input far outside what the others are makes a scale that loses the rest of the matrix."""
    file = folder / "run" / "checkpoint.npz"
    (tmp_path / "run").mkdir()
    with np.load(file) as kept:
        arrays = {name: kept[name] for name in kept.files}
    first = next(name for name in arrays if name.endswith("0.linear.weight") or arrays[name].ndim == 2)
    arrays[first] = np.array(arrays[first])
    arrays[first][0, 0] = 1e4
    np.savez(tmp_path / "run" / "checkpoint.npz", **arrays)
    found = tclif("export", tmp_path / "run", "-o", tmp_path / "a.net", "--json")
    said = json.loads(found.stdout)["warnings"]
    assert any("loses" in text or "norm" in text for text in said), (said, found.stderr)
    assert found.stderr.count("warning: ") == len(said)
