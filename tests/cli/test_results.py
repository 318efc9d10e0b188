"""What each command gives: results, files, tables."""

import json
import statistics
from pathlib import Path

import numpy as np
import pytest

import tclif_neuro as tn
from tclif_neuro.cli.commands.recipe_text import recipe_text
from tclif_neuro.learning.recipe.file import load_recipe
from tests import archive
from tests.cli.calls import STEPS, run, tclif

pytestmark = pytest.mark.trains  # three classes that are easily told apart: chance is 0.33


def test_training_reports_accuracy_and_keeps_a_checkpoint(folder):
    result = run("train", folder / "tiny.toml", "-o", folder / "run")
    assert result["epochs"] == 8 and result["test_accuracy"] > 0.5
    assert Path(result["checkpoint"]).is_file()


def test_epochs_replace_the_recipe_s_and_fresh_starts_again(folder, tmp_path):
    run("train", folder / "tiny.toml", "-o", tmp_path, "--epochs", 2)
    assert run("train", folder / "tiny.toml", "-o", tmp_path, "--epochs", 1, "--fresh")["epochs"] == 1


def test_export_reports_the_loss(folder, tmp_path):
    result = run("export", folder / "run", "-o", tmp_path / "a.net")
    assert result["report"]["integer_accuracy"] > 0.5
    assert [layer["saturations"] for layer in result["report"]["layers"]] == [0, 0]
    assert (tmp_path / "a.net").read_bytes() == (folder / "tiny.net").read_bytes()


def test_training_on_the_grid_before_export(folder, tmp_path):
    result = run("export", folder / "run", "-o", tmp_path / "q.net", "--bits", 4, "--qat", 2)
    assert result["qat_epochs"] == 2 and result["report"]["integer_accuracy"] > 0.5
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
        assert result["accuracy"] > 0.5 and result["samples_per_second"] > 0
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
    x = archive.read(folder / "data.npz")["x"][:7].swapaxes(0, 1)
    wanted = tn.run_reference(tn.load(folder / "tiny.net"), x, record=True)
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
    assert not floats["exact"] and floats["predictions"] > 0.5
    assert simulator["exact"] and simulator["first"] is None
    text = tclif("compare", folder / "tiny.net", "--no-lava").stdout
    assert "reference = simulator, to the bit" in text


def test_compare_ends_with_1_and_says_where_when_an_executor_is_wrong(folder, monkeypatch):
    from tclif_neuro.fixed import simulator

    right = simulator.simulate

    def wrong(net, x, *, lengths=None, record=False):
        run = right(net, x, lengths=lengths, record=record)
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


def test_several_seeds_make_a_folder_each_and_a_mean_with_its_spread(folder, tmp_path):
    text = (folder / "tiny.toml").read_text().replace("epochs = 8", "epochs = 2")
    (tmp_path / "tiny.toml").write_text(text)
    found = run("train", tmp_path / "tiny.toml", "-o", tmp_path / "out", "--seeds", "3,1")
    accuracies = [one["test_accuracy"] for one in found["runs"]]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["seed-1", "seed-3"]
    assert found["seeds"] == [3, 1]
    assert found["mean_test_accuracy"] == statistics.mean(accuracies)
    assert found["spread_test_accuracy"] == statistics.stdev(accuracies)
    (tmp_path / "tiny.toml").write_text(text + "seed = 3\n")
    alone = run("train", tmp_path / "tiny.toml", "-o", tmp_path / "alone")
    assert alone["test_accuracy"] == accuracies[0]
    shown = tclif("train", tmp_path / "tiny.toml", "-o", tmp_path / "out", "--seeds", "3,1", "--json")
    assert json.loads(shown.stdout) == found, "a second call finds both done"
    assert "mean ± spread" in tclif("train", tmp_path / "tiny.toml", "-o", tmp_path / "out", "--seeds", "3,1").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "1,x"], "'1,x' is not a list of numbers"),
        (["--seeds", "1,1"], "'1,1' has a number twice"),
        (["--seeds", "-1"], "training.seed = -1: should be greater"),
        (["--seeds", "1", "--tensorboard"], "cannot be combined with --seeds"),
    ],
)
def test_seeds_that_cannot_be_are_refused(folder, tmp_path, arguments, message):
    result = tclif("train", folder / "tiny.toml", "-o", tmp_path / "out", *arguments)
    assert result.exit_code == 2 and message in result.stderr and not (tmp_path / "out").exists()


def test_energy_is_estimated_where_it_is_asked_for(folder):
    net = tn.load(folder / "tiny.net")
    plain, asked = run("run", folder / "tiny.net"), run("run", folder / "tiny.net", "--energy")
    assert plain["energy"] is None
    energy, first = asked["energy"], asked["energy"]["layers"][0]
    assert energy["nj_per_step"] == pytest.approx(sum(layer["nj"] for layer in energy["layers"]))
    assert energy["lstm_nj_per_step"] == pytest.approx(4.6 * (4 * (5 * 12 + 144) + 17 * 12) / 1000)
    spikes = asked["layers"][0]["spikes_per_sample"] / STEPS
    assert first["nj"] - first["lif_nj"] == pytest.approx((4.6 * 12 + 0.9 * spikes) / 1000)
    compared = run("compare", folder / "tiny.net", "--energy", "--no-lava", "--samples", 18)
    whole = run("run", folder / "tiny.net", "--energy", "--samples", 18)
    assert compared["energy"] == whole["energy"] and net.layers[0].size == 12
    shown = tclif("run", folder / "tiny.net", "--energy").stdout
    assert "an estimate" in shown and "as LSTM" in shown
