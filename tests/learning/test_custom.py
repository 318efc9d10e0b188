"""Neurons of a package of the user's: named in a recipe file, and nowhere else."""

import sys
from pathlib import Path

import pytest
import torch

import tclif_neuro as tn
from tclif_neuro.learning.recipe.file import RecipeError, load_recipe, parse_recipe
from tclif_neuro.learning.recipe.model import build_model

RECIPE = """
[task]
name = "digits-rows"
[[model.layers]]
type = "{type}"
size = 5
{keys}
[training]
epochs = 1
"""
PACKAGE = """
import torch
import tclif_neuro as tn
from tclif_neuro.neurons.layer import TwoCompartment

class Slow(tn.RelaxedTCLIF):
    def __init__(self, size, *, slowness=0.9, recurrent=False, vth=1.0):
        super().__init__(size, a1=slowness, a2=slowness, recurrent=recurrent, vth=vth)

number = 3
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "users_neurons.py").write_text(PACKAGE)
    (tmp_path / "users_broken.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "users_neurons", raising=False)
    return "users_neurons"


def recipe_file(folder: Path, kind: str, keys: str = "") -> Path:
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(type=kind, keys=keys))
    return path


def test_a_recipe_file_names_a_neuron_of_a_package(tmp_path: Path, package: str) -> None:
    keys = "recurrent = true\nvth = 0.5\noptions = { slowness = 0.5 }"
    recipe = load_recipe(recipe_file(tmp_path, f"{package}:Slow", keys))
    model = build_model(recipe, 3, 2)
    assert type(model[1]).__name__ == "Slow" and model[1].vth == 0.5 and model[1].recurrent is not None
    assert model[1].coefficients(1)[0].item() == pytest.approx(0.5)
    assert model(torch.rand(4, 2, 3)).shape == (2, 2)
    assert tn.EPropLearner(model).sequence(torch.rand(4, 2, 3), torch.tensor([0, 1])).loss > 0
    assert parse_recipe(recipe.model_dump(mode="json"), custom=True) == recipe


@pytest.mark.parametrize(
    ("kind", "keys", "why"),
    [
        ("no_such_package_here:A", "", "no_such_package_here cannot be imported: ModuleNotFoundError"),
        ("users_broken:A", "", "users_broken cannot be imported: ModuleNotFoundError: No module named"),
        ("users_neurons:Slower", "", "users_neurons has no Slower"),
        ("users_neurons:number", "", "is no neuron module"),
        ("users_neurons:torch", "", "is no neuron module"),
        ("users_neurons:Slow", "per_neuron = true", "takes no per_neuron, which the recipe sets to True"),
        ("users_neurons:Slow", "options = { speed = 1 }", "cannot be made: TypeError"),
        ("users_neurons:Slow", "options = { slowness = 2 }", "cannot be made: TclifError: a1: 2 is outside (0, 1)"),
        ("users-neurons:Slow", "", "should match pattern"),
    ],
)
def test_a_mistake_is_a_line(tmp_path: Path, package: str, kind: str, keys: str, why: str) -> None:
    with pytest.raises(RecipeError) as error:
        build_model(load_recipe(recipe_file(tmp_path, kind, keys)), 3, 2)
    assert why in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("key", [{"type": "users_neurons:Slow"}, {"type": "custom", "neuron": "users_neurons:Slow"}])
def test_a_text_from_elsewhere_imports_nothing(package: str, key: dict[str, str]) -> None:
    data = {"task": {"name": "digits-rows"}, "model": {"layers": [{"size": 5, **key}]}, "training": {"epochs": 1}}
    with pytest.raises(RecipeError, match="only a recipe file may name"):
        parse_recipe(data, "model.net")
    assert package not in sys.modules
