"""`tclif check` and `tclif map`, on the network that the commands made."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.calls import refused, run, tclif

MODELS = Path(__file__).resolve().parents[2] / "models"


def test_check_says_what_stands_in_the_way_by_its_exit_status(folder):
    found = run("check", MODELS / "digits-rows.net", "--samples", 4)
    assert found["path"] == "stock" and found["errors"] == 0 and found["samples"] == 4
    assert {f["code"] for f in found["findings"]} >= {"tail-latency", "core-synapses"}
    refusing = tclif("check", folder / "tiny.net", "--path", "lif", "--json")
    assert refusing.exit_code == 1 and '"neuron-unknown"' in refusing.stdout


def test_map_places_counts_and_draws(folder, tmp_path):
    out = tmp_path / "chip.png"
    found = run("map", MODELS / "smnist.net", "--path", "microcode", "-o", out)
    parts = [len(layer["parts"]) for layer in found["placement"]["layers"]]
    assert parts == [1, 1, 2, 1] and out.stat().st_size > 1000
    measured = run("map", folder / "tiny.net", "--samples", 5)
    assert measured["operations"]["synaptic"] > 0 and measured["arithmetic_uj"] > 0
    assert {e["unit"] for e in measured["estimates"]} == {"ms", "uJ"}
    assert all(limit["source"] for e in measured["estimates"] for limit in e["limits"])


@pytest.mark.parametrize("command", ["check", "map"])
def test_for_a_reader(folder, command):
    shown = tclif(command, folder / "tiny.net", "--samples", 2)
    assert shown.exit_code == 0, shown.output
    assert "known by:" in shown.stdout


def test_check_of_a_learning_recipe_says_part_by_part_what_could_run(tmp_path):
    recipe = MODELS / "onchip" / "digits-rows.toml"
    shown = tclif("check", recipe, "--json")
    found = json.loads(shown.stdout)
    assert (
        shown.exit_code == 1 and found["errors"] == 1 and set(found["variants"]) == {"exact", "native", "prefiltered"}
    )
    verdicts = {v: {part["name"]: part["verdict"] for part in parts} for v, parts in found["variants"].items()}
    assert verdicts["exact"]["synapses that learn"] == "nothing"
    assert verdicts["native"]["synapses that learn"] == "stock" and verdicts["native"]["hidden neurons"] == "microcode"
    text = " ".join(tclif("check", recipe).stdout.split())
    assert "prefiltered" in text and "nothing of it has run on a chip" in text
    with_samples = tclif("check", recipe, "--samples", 4)
    assert with_samples.exit_code == 2 and "--samples" in with_samples.output
    (tmp_path / "wrong.toml").write_text("[task]\nname = 'digits-rows'\n[learning]\nbits = 3\n")
    refused(tclif("check", tmp_path / "wrong.toml"), "learning.bits")


def test_what_is_unknown_is_refused(folder, tmp_path):
    refused(tclif("map", folder / "tiny.net", "--board", "toaster"), "toaster", "oheogulch")
    refused(tclif("check", folder / "tiny.net", "--path", "x"), "microcode")
    refused(tclif("map", folder / "tiny.net", "-o", tmp_path / "chip.txt"), ".png")


def test_deploy_without_a_board_lists_what_is_missing(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    refusing = tclif("deploy", folder / "tiny.net", "-o", tmp_path / "out", "--target", "loihi2", "--partition", "kp")
    assert refusing.exit_code == 2 and "Traceback" not in refusing.output
    lines = refusing.stderr.splitlines()
    assert sum(line.startswith("missing: ") for line in lines) >= 2 and "--target cpu" in lines[-1]
    assert not (tmp_path / "out").exists()


def test_a_dry_run_stops_before_the_run(folder, tmp_path):
    command = ("deploy", folder / "tiny.net", "-o", tmp_path, "--target", "loihi2", "--partition", "kp", "--dry-run")
    found = run(*command)
    assert found["identical"] is None and found["environment"]["PARTITION"] == "kp" and found["path"] == "stock"
    assert (tmp_path / "report.json").exists() and not (tmp_path / "spikes.npz").exists()


def test_microcode_is_named_looked_for_and_never_run_on_a_cpu(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    net, here = folder / "tiny.net", ("-o", tmp_path / "out", "--path", "microcode")
    board = ("deploy", net, *here, "--target", "loihi2", "--partition", "kp")
    for named, lacking in (((), "--ncmodel package.module:Class"), (("--ncmodel", "no.such:Model"), "no.such: of")):
        refusing = tclif(*board, *named)
        assert (
            refusing.exit_code == 2 and f"missing: {lacking}" in refusing.stderr and "Traceback" not in refusing.output
        )
    assert "of --ncmodel" not in tclif(*board, "--ncmodel", "json.decoder:JSONDecoder").output
    refused(tclif(*board, "--ncmodel", "json"), "package.module:Class expected")
    refused(tclif("deploy", net, *here, "--target", "cpu", "--ncmodel", "a.b:C"), "microcode runs only on a board")
    refused(tclif("deploy", net, *here, "--target", "cpu", "--profile"), "tclif map --samples N", "estimates")
    assert not (tmp_path / "out").exists()
    found = run(*board, "--ncmodel", "a.b:C", "--dry-run")
    assert found["path"] == "microcode" and found["placement"] == [] and found["adapter_steps"] == 1
    assert tclif("check", net, "--path", "microcode").exit_code == 1
    assert tclif("check", net, "--path", "microcode", "--ncmodel", "a.b:C").exit_code == 0


def test_a_cpu_has_no_address_and_a_cluster_of_them_no_microcode_and_no_profile(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no sinfo: what is asked wrongly is said before the cluster is
    command = ("deploy", folder / "tiny.net", "-o", tmp_path / "out", "--target", "cpu")
    refused(tclif(*command, "--host", "10.0.0.2", "--dry-run"), "--host: is a board's address")
    refused(tclif(*command, "--partition", "kp", "--profile"), "--profile: measures a board")
    refused(tclif(*command, "--node", "n", "--ncmodel", "a.b:C"), "microcode runs only on a board")
    refused(tclif(*command, "--partition", "kp", "--dry-run"), "sinfo: is not on the PATH")
    refused(tclif(*command[:-1], "loihi2", "--dry-run"), "--partition, --node or --host")


def test_a_folder_that_is_a_file_is_refused_before_the_run(folder, tmp_path):
    (tmp_path / "out").write_text("")
    refused(tclif("deploy", folder / "tiny.net", "-o", tmp_path / "out", "--target", "cpu"), "out: is a file")


def test_conformance_vectors_that_nobody_ran(tmp_path):
    assert "verify" in tclif("conformance").stdout
    file = tmp_path / "vectors.h5"
    assert run("conformance", "write", "-o", file)["vectors"] > 20
    shown = tclif("conformance", "verify", file)
    assert shown.exit_code == 1 and "was not run" in shown.stdout
    refused(tclif("conformance", "verify", MODELS / "smnist.net"), "no file of conformance vectors")


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.parametrize("path", ["stock", "microcode"])
def test_deploy_on_the_cpu_gives_the_bits_of_the_reference(folder, tmp_path, path):
    found = run("deploy", folder / "tiny.net", "-o", tmp_path, "--target", "cpu", "--path", path, "--samples", 2)
    assert found["identical"] is True and found["cores"] >= 1
    processes = {choice["process"] for choice in found["placement"]}
    assert processes >= ({"Sigma", "LIF", "Sink"} if path == "stock" else {"TCLIF", "Dense", "Sink"})
    assert all(choice["on_host"] and choice["model"] for choice in found["placement"]) and found["seconds"] > 0
    with np.load(tmp_path / "spikes.npz") as kept:
        assert kept["counts_0"].shape == (2, 12)
        np.testing.assert_array_equal(kept["spikes_0"].sum(axis=0), kept["counts_0"])


def test_export_says_whether_stock_neurons_can_be_the_network(folder, tmp_path):
    why = run("export", folder / "run", "-o", tmp_path / "t.net")["why_not_loihi"]
    checked = tclif("check", tmp_path / "t.net", "--path", "stock")
    assert bool(why) == (checked.exit_code == 1)
