"""What the commands say of inputs outside the code, and of a run folder that is not the network's."""

import json
from dataclasses import replace

import numpy as np
import pytest

import tclif_neuro as tn
from tclif_neuro.network import MANT_MAX
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


@pytest.mark.filterwarnings("always::tclif_neuro.errors.TclifWarning")
def test_the_file_of_the_training_says_that_it_is_that(folder, tmp_path):
    """Its samples were trained on; a test set of its own, or another file, is no such thing."""
    trained = tclif("run", folder / "tiny.net", "--data", folder / "data.npz").stderr
    assert trained.startswith("warning: ") and "data.npz: the network was trained on samples of this file" in trained
    with np.load(folder / "data.npz") as arrays:
        x, y = arrays["x"], arrays["y"]
    np.savez(tmp_path / "other.npz", x=x, y=y)
    np.savez(tmp_path / "bare.npz", x=x)
    for options in ((), ("--data", tmp_path / "other.npz"), ("--data", tmp_path / "bare.npz")):
        assert "trained on" not in tclif("run", folder / "tiny.net", *options).stderr


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


def silent(net):
    hidden, readout = net.layers
    return replace(net, layers=(replace(hidden, neuron=replace(hidden.neuron, vth_mant=MANT_MAX)), readout))


def saturating(net):
    hidden, readout = net.layers
    return replace(net, layers=(hidden, replace(readout, synapses=replace(readout.synapses, exponent=7))))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(silent, "layer 0 is silent"), (saturating, "the readout saturates")],
    ids=("silent", "saturating"),
)
def test_a_silent_layer_and_a_saturating_readout_are_said(folder, tmp_path, spoil, words):
    net, recipe = tmp_path / "spoilt.net", tmp_path / "learn.toml"
    tn.save(spoil(tn.load(folder / "tiny.net")), net)
    recipe.write_text(f'[task]\nname = "{folder / "data.npz"}"\n[network]\nstart = "{net}"\n[learning]\npasses = 1\n')
    commands = [("run", net), ("compare", net, "--no-lava")]
    if spoil is silent:  # in a single sample, and for good
        commands += [("plot", net, "-o", tmp_path / "a.png"), ("learn", recipe, "-o", tmp_path / "learnt")]
    for command in commands:
        found = tclif(*command, "--json")
        said = json.loads(found.stdout)["warnings"]
        assert any(words in sentence for sentence in said) and found.stderr.count(words) == 1, (command, said)


def test_what_learning_clips_is_in_table_json_and_on_standard_error(folder, scaled, tmp_path):
    """A network of spikes that goes on learning from counts."""
    data, share = scaled
    for name, file in (("own", folder / "data.npz"), ("large", data)):
        sections = f'[task]\nname = "{file}"\n[network]\nstart = "{folder / "tiny.net"}"\n[learning]\npasses = 1\n'
        (tmp_path / f"{name}.toml").write_text(sections)
    shown = tclif("learn", tmp_path / "large.toml", "-o", tmp_path / "large")
    assert shown.exit_code == 0 and f"{share:.2%} of the inputs clipped".replace("%", " %") in shown.stdout
    assert "of the inputs are above 1, the largest that this network takes" in shown.stderr
    found = json.loads(tclif("learn", tmp_path / "large.toml", "-o", tmp_path / "large", "--json").stdout)
    assert found["input_clipped"] == pytest.approx(share) and "scaled data?" in found["warnings"][0]
    own = run("learn", tmp_path / "own.toml", "-o", tmp_path / "own")
    assert own["input_clipped"] == 0 and not any("inputs" in sentence for sentence in own["warnings"])


@pytest.mark.parametrize(
    "command",
    [
        ("plot", "--view", "phase"),
        ("plot", "--view", "traces"),
        ("plot", "--confusion"),
        ("predict",),
        ("map", "--samples", 20),
        ("deploy", "--dry-run", "--target", "cpu"),
    ],
)
def test_the_other_commands_that_run_samples_say_it_too(folder, scaled, tmp_path, command):
    data, _ = scaled
    name, *options = command
    to = {"plot": ["-o", tmp_path / "a.png"], "deploy": ["-o", tmp_path / "there"], "map": []}
    given = [data, "-o", tmp_path / "a.csv"] if name == "predict" else ["--data", data, *to[name]]
    shown = tclif(name, folder / "tiny.net", *given, *options)
    assert shown.exit_code == 0 and "of the inputs are above 1, the largest" in shown.stderr, shown.stderr
    assert shown.stderr.count("of the inputs are above 1") == 1
