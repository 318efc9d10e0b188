"""A neuron of a package of the user's, which says its coefficients alone, on the way from a recipe file to integers."""

import sys

import numpy as np
import pytest

from tests.cli.calls import refused, run, tclif

PACKAGE = """
import torch
from tclif_neuro.neurons.layer import TwoCompartment

class Slow(TwoCompartment):
    def __init__(self, size, *, slowness=0.9, recurrent=False):
        super().__init__(size, recurrent=recurrent)
        self.slowness = torch.nn.Parameter(torch.tensor([slowness]))

    def coefficients(self, steps, start=0):
        decay = self.slowness.clamp(0, 1)
        return decay[None], decay[None], -decay / 2, decay
"""
RECIPE = """
[task]
name = "data.npz"
[[model.layers]]
type = "users_slow_neurons:Slow"
size = 6
options = {{ slowness = {slowness} }}
[training]
epochs = 1
"""


@pytest.fixture
def trained(tmp_path, monkeypatch):
    (tmp_path / "users_slow_neurons.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(tmp_path)
    y = np.arange(60) % 2
    np.savez(tmp_path / "data.npz", x=np.eye(2, dtype=np.float32)[y][:, None].repeat(5, axis=1), y=y)
    for name, slowness in (("slow", 0.8), ("other", 0.5)):
        (tmp_path / f"{name}.toml").write_text(RECIPE.format(slowness=slowness))
    run("train", tmp_path / "slow.toml", "-o", tmp_path / "run")
    sys.modules.pop("users_slow_neurons")
    return tmp_path


def test_its_recipe_file_takes_it_to_integers(trained):
    recipe, net = ("--recipe", trained / "slow.toml"), trained / "slow.net"
    run("export", trained / "run", "-o", net, *recipe)
    assert 0 <= run("run", net)["accuracy"] <= 1
    assert run("compare", net, "--run", trained / "run", *recipe, "--no-lava")["identical"]
    run("plot", net, "--run", trained / "run", *recipe, "-o", trained / "slow.png")


def test_without_that_nothing_is_imported(trained):
    refused(tclif("export", trained / "run", "-o", trained / "slow.net"), "only a recipe file may name", "--recipe")
    assert "users_slow_neurons" not in sys.modules
    other = tclif("export", trained / "run", "-o", trained / "slow.net", "--recipe", trained / "other.toml")
    refused(other, "slowness is 0.8 there and 0.5 in the one given")
