"""A recipe whose task is in spikes, trained by FPTT: every command sees the spikes that training saw."""

import numpy as np
import pytest

from tests.cli.calls import CLASSES, INPUTS, STEPS, refused, run, tclif

RECIPE = """
[task]
name = "{data}"
encoding = {encoding}

[[model.layers]]
type = "{neuron}"
size = 12

[training]
rule = "{rule}"
epochs = 2
lr = 1e-2
"""


@pytest.fixture
def recipe(tmp_path):
    rng = np.random.default_rng(3)
    np.savez(tmp_path / "data.npz", x=rng.random((60, STEPS, INPUTS)).astype(np.float32), y=np.arange(60) % CLASSES)

    def write(encoding, rule="fptt", neuron="tclif"):
        text = RECIPE.format(data=tmp_path / "data.npz", encoding=encoding, rule=rule, neuron=neuron)
        (tmp_path / "own.toml").write_text(text)
        return tmp_path / "own.toml"

    return write


@pytest.mark.parametrize(
    ("encoding", "steps", "inputs"),
    [
        ('{ type = "rate", steps = 3 }', 3 * STEPS, INPUTS),
        ('{ type = "latency", steps = 4, curve = "log" }', 4 * STEPS, INPUTS),
        ('{ type = "delta" }', STEPS, 2 * INPUTS),
    ],
)
def test_the_network_runs_on_the_spikes_it_was_trained_on(recipe, tmp_path, encoding, steps, inputs):
    path, net = recipe(encoding), tmp_path / "own.net"
    run("train", path, "-o", tmp_path / "run")
    run("export", tmp_path / "run", "-o", net)
    shown = run("inspect", net)
    assert (shown["steps"], shown["inputs"]) == (steps, inputs)
    assert run("run", net)["samples"] == 12
    own = run("run", net, "--data", tmp_path / "data.npz")
    assert own["samples"] == 60
    assert run("compare", net, "--no-lava", "--samples", 4)


def test_a_file_that_does_not_become_the_networks_spikes_is_refused(recipe, tmp_path):
    path, net = recipe('{ type = "delta" }'), tmp_path / "own.net"
    run("train", path, "-o", tmp_path / "run")
    run("export", tmp_path / "run", "-o", net)
    np.savez(tmp_path / "wide.npz", x=np.zeros((2, STEPS, 2 * INPUTS), np.float32))
    refused(
        tclif("run", net, "--data", tmp_path / "wide.npz"), "20 inputs per step once it is in spikes, the network 10"
    )


def test_values_that_are_no_rates_are_refused(recipe, tmp_path):
    path = recipe('{ type = "rate" }')
    np.savez(tmp_path / "data.npz", x=np.full((30, STEPS, INPUTS), 2.0, np.float32), y=np.arange(30) % CLASSES)
    refused(tclif("train", path, "-o", tmp_path / "run"), "rate: values in [0, 1] expected, got 2 to 2; scale them")


def test_a_liquid_network_trains_but_has_no_integers(recipe, tmp_path):
    path = recipe('{ type = "rate" }', rule="bptt", neuron="liquid")
    assert run("train", path, "-o", tmp_path / "run", "--rule", "fptt")["epochs"] == 2
    refused(tclif("export", tmp_path / "run", "-o", tmp_path / "own.net"), "LiquidLIF", "no counterpart in integers")


def test_a_rule_that_is_none_is_refused(recipe, tmp_path):
    path = recipe('{ type = "rate" }')
    refused(tclif("train", path, "-o", tmp_path / "run", "--rule", "hebb"), "rule = 'hebb'", "'fptt'")
