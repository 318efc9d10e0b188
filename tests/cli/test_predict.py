"""`tclif predict`, the parts of an accuracy, and figures of runs."""

import csv
import io
import json

import numpy as np
import pytest

import tclif_neuro as tn
from tests.cli.calls import CLASSES, INPUTS, STEPS, run, tclif

pytestmark = pytest.mark.trains


LAYER = """
[[model.layers]]
type = "lif"
size = 6
[training]
epochs = 1
"""


@pytest.fixture(scope="module")
def samples(folder):
    """20 samples, without labels and with."""
    with np.load(folder / "data.npz") as arrays:
        x, y = arrays["x"][:20], arrays["y"][:20]
    np.savez(folder / "bare.npz", x=x)
    np.savez(folder / "grouped.npz", x=x, y=y, groups=np.array(["ann", "bob"] * 10))
    return x, y


def test_predictions_are_those_of_the_network_with_or_without_labels(folder, samples):
    x, _ = samples
    net = tn.load(folder / "tiny.net")
    expected = tn.simulate(net, x.swapaxes(0, 1))
    for name in ("bare.npz", "grouped.npz"):
        result = tclif("predict", folder / "tiny.net", folder / name)
        assert result.exit_code == 0, result.stderr
        rows = list(csv.DictReader(io.StringIO(result.stdout)))
        assert [row["sample"] for row in rows] == [str(i) for i in range(20)]
        assert [row["class"] for row in rows] == [net.classes[k] for k in expected.predictions]
        scores = [[float(row[f"score {name}"]) for name in net.classes] for row in rows]
        assert np.array_equal(scores, expected.float_logits)


def test_the_format_is_the_suffix_s_or_the_one_asked_for(folder, samples, tmp_path):
    net, data = folder / "tiny.net", folder / "bare.npz"
    text = tclif("predict", net, data).stdout
    assert "20 predictions" in tclif("predict", net, data, "-o", tmp_path / "a.csv").stdout
    assert (tmp_path / "a.csv").read_text() == text
    tclif("predict", net, data, "-o", tmp_path / "a.json")
    found = json.loads((tmp_path / "a.json").read_text())
    assert found == json.loads(tclif("predict", net, data, "--format", "json").stdout)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [one["class"] for one in found["predictions"]] == [row["class"] for row in rows]
    assert found["predictions"][3]["scores"] == [float(v) for k, v in rows[3].items() if k.startswith("score ")]
    tclif("predict", net, data, "-o", tmp_path / "a.txt", "--format", "csv")
    assert (tmp_path / "a.txt").read_text() == text


def test_an_answer_per_step_ends_in_that_of_the_sample(folder, samples):
    whole = json.loads(tclif("predict", folder / "tiny.net", folder / "bare.npz", "--format", "json").stdout)
    result = tclif("predict", folder / "tiny.net", folder / "bare.npz", "--per-step", "--format", "json")
    steps = json.loads(result.stdout)["predictions"]
    assert [(one["sample"], one["step"]) for one in steps] == [(b, t) for b in range(20) for t in range(STEPS)]
    last = [{k: v for k, v in one.items() if k != "step"} for one in steps if one["step"] == STEPS - 1]
    assert last == whole["predictions"]


def test_what_cannot_be_predicted_is_refused(folder, samples, tmp_path):
    np.savez(tmp_path / "wide.npz", x=np.zeros((2, STEPS, INPUTS + 1), np.float32))
    np.savez(tmp_path / "long.npz", x=np.zeros((2, STEPS + 1, INPUTS), np.float32))
    for name, message in (("wide", f"x has {INPUTS + 1} inputs per step, the network {INPUTS}"), ("long", "7 steps")):
        result = tclif("predict", folder / "tiny.net", tmp_path / f"{name}.npz")
        assert result.exit_code == 2 and message in result.stderr and not result.stdout
    for out, message in (("a.txt", "must end in .csv or .json"), ("none/a.csv", "there is no folder")):
        result = tclif("predict", folder / "tiny.net", folder / "bare.npz", "-o", tmp_path / out)
        assert result.exit_code == 2 and message in result.stderr
    result = tclif("predict", folder / "tiny.net", folder / "bare.npz", "-o", folder / "bare.npz", "--format", "csv")
    assert result.exit_code == 2 and "also read from" in result.stderr


def test_recordings_become_the_steps_of_the_training(tmp_path, monkeypatch):
    monkeypatch.setenv("TCLIF_CACHE", str(tmp_path / "cache"))
    for name, channel in (("a", 0), ("b", 3)):
        (tmp_path / "letters" / name).mkdir(parents=True)
        for i in range(3):
            (tmp_path / "letters" / name / f"{i}.txt").write_text(f"0.1 {channel}\n0.{3 + i} {channel + i}\n")
    (tmp_path / "letters.toml").write_text('[task]\nname = "./letters"\nbins = { steps = 8 }\n' + LAYER)
    run("train", tmp_path / "letters.toml", "-o", tmp_path / "run")
    run("export", tmp_path / "run", "-o", tmp_path / "letters.net")
    new, labelled = tmp_path / "letters" / "b", tmp_path / "letters"
    rows = list(csv.DictReader(io.StringIO(tclif("predict", tmp_path / "letters.net", new).stdout)))
    assert [row["file"] for row in rows] == ["0.txt", "1.txt", "2.txt"]
    whole = run("run", tmp_path / "letters.net", "--data", labelled)
    assert [tn.load(tmp_path / "letters.net").classes[k] for k in whole["predictions"][3:]] == [
        r["class"] for r in rows
    ]
    assert whole["samples"] == 6 and whole["accuracy"] is not None
    compared = ("compare", tmp_path / "letters.net", "--run", tmp_path / "run", "--no-lava", "--data", new)
    assert run(*compared)["identical"]
    assert tclif("predict", tmp_path / "letters.net", new, "--per-step").stdout.startswith("sample,file,step,class,")


def test_run_says_of_which_class_and_group_the_right_answers_are(folder, samples):
    _, y = samples
    found = run("run", folder / "tiny.net", "--data", folder / "grouped.npz")
    said, parts = np.array(found["predictions"]), found["breakdown"]
    for i in range(CLASSES):
        assert parts["confusion"][i] == np.bincount(said[y == i], minlength=CLASSES).tolist()
        assert parts["classes"][i]["accuracy"] == (said == y)[y == i].mean()
    for group, name in enumerate(("ann", "bob")):
        expected = {"name": name, "count": 10, "accuracy": (said == y)[group::2].mean()}
        assert parts["groups"][group] == expected
    shown = tclif("run", folder / "tiny.net", "--data", folder / "grouped.npz").stdout
    assert "accuracy per class, and what was said" in shown and "accuracy per group" in shown and "bob" in shown
    assert run("run", folder / "tiny.net", "--data", folder / "bare.npz")["breakdown"] is None


def test_groups_that_are_not_one_per_sample_are_refused(folder, samples, tmp_path):
    x, y = samples
    for groups, message in ((np.zeros((20, 2)), "one group per sample expected"), (np.zeros(19), "19 for 20 samples")):
        np.savez(tmp_path / "groups.npz", x=x, y=y, groups=groups)
        result = tclif("run", folder / "tiny.net", "--data", tmp_path / "groups.npz")
        assert result.exit_code == 2 and message in result.stderr


def test_spikes_stand_beside_every_accuracy(folder, samples):
    each = run("run", folder / "tiny.net", "--data", folder / "bare.npz")["spikes_per_sample"]
    assert each > 0
    options = ("--data", folder / "bare.npz", "--samples", 20, "--no-lava", "--run", folder / "run")
    found = {
        one["name"]: one["spikes_per_sample"] for one in run("compare", folder / "tiny.net", *options)["executors"]
    }
    assert found["reference"] == found["simulator"] == each
    assert found["float"] == pytest.approx(each, rel=0.3)
    assert "spikes per sample" in tclif("compare", folder / "tiny.net", *options).stdout


def test_a_folder_is_drawn_as_learning_curves(folder, tmp_path):
    found = run("plot", folder / "run", "-o", tmp_path / "curves.svg")
    assert (found["epochs"], found["kept"]) == (8, 8)
    drawn = (tmp_path / "curves.svg").read_text()
    run("plot", folder / "run", "-o", tmp_path / "again.svg")
    assert "<svg" in drawn
    shorter = run("train", folder / "tiny.toml", "-o", tmp_path / "short", "--epochs", 2)
    assert run("plot", tmp_path / "short", "-o", tmp_path / "short.svg")["epochs"] == shorter["epochs"]
    assert (tmp_path / "short.svg").read_text() != drawn
    (tmp_path / "empty").mkdir()
    for arguments, message in (
        ([folder / "run", "--sample", 1], "cannot be combined with a run's curves"),
        ([tmp_path / "empty"], "checkpoint.npz: no such file"),
        ([folder / "tiny.net", "--confusion", "--neurons", "1"], "cannot be combined with --confusion"),
        ([folder / "tiny.net", "--confusion", "--data", folder / "bare.npz"], "has no classes"),
    ):
        result = tclif("plot", *arguments, "-o", tmp_path / "none.png")
        assert result.exit_code == 2 and message in result.stderr and not (tmp_path / "none.png").exists()


def test_the_confusion_matrix_is_drawn_with_its_numbers(folder, samples, tmp_path):
    found = run("plot", folder / "tiny.net", "--confusion", "--data", folder / "grouped.npz", "-o", tmp_path / "c.png")
    assert (tmp_path / "c.png").stat().st_size > 1000
    assert np.sum(found["breakdown"]["confusion"]) == found["samples"] == 20


def test_neurons_are_drawn_from_inside(folder, tmp_path):
    found = run("plot", folder / "tiny.net", "--view", "phase", "-o", tmp_path / "phase.svg", "--neurons", "2,0")
    assert (found["view"], found["layer"], found["neurons"]) == ("phase", 0, [2, 0])
    found = run("plot", folder / "tiny.net", "--view", "traces", "-o", tmp_path / "traces.svg", "--sample", 3)
    assert len(found["neurons"]) == 1 and found["sample"] == 3
    assert all("<svg" in (tmp_path / f"{name}.svg").read_text() for name in ("phase", "traces"))
    for options, message in (
        (["--view", "phase", "--layer", 9], "layer 9: the network has layers 0 to"),
        (["--view", "phase", "--layer", 1], "layer 1: is a LIF, which has one compartment"),
        (["--view", "traces", "--neurons", "1,2"], "2 asked for, a figure of traces has room for 1"),
        (["--view", "phase", "--neurons", "99"], "neuron 99"),
        (["--view", "phase", "--run", folder / "run"], "cannot be combined with --view phase"),
        (["--view", "traces", "--confusion"], "cannot be combined with --confusion"),
        (["--layer", 1], "cannot be combined with --view sample"),
    ):
        result = tclif("plot", folder / "tiny.net", *options, "-o", tmp_path / "none.png")
        assert result.exit_code == 2 and message in result.stderr and not (tmp_path / "none.png").exists(), options
