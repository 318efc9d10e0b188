"""models/papers: each recipe builds the network whose parameters the paper prints, and trains on a batch."""

from pathlib import Path

import pytest
import torch

from tclif_neuro.learning.recipe.file import load_recipe
from tclif_neuro.learning.recipe.model import build_model
from tclif_neuro.learning.rules.bptt import bptt_step

FOLDER = Path(__file__).resolve().parent.parent / "models" / "papers"
# inputs, classes, what is printed (thousands), and ours: without the bias of recurrent layers
PRINTED = {
    "smnist": (1, 10, 85.1, 85_136),
    "smnist-recurrent": (1, 10, 155.1, 154_768),
    "psmnist": (1, 10, 85.1, 85_136),
    "psmnist-recurrent": (1, 10, 155.1, 154_768),
    "gsc-recurrent": (40, 12, 196.5, 196_216),
    "ssc-recurrent": (700, 35, 110.8, 110_629),
}


def test_every_recipe_of_a_paper_is_counted_here():
    assert {path.stem for path in FOLDER.glob("*.toml")} == PRINTED.keys()


@pytest.mark.parametrize("name", PRINTED)
def test_parameters_are_those_printed_but_for_the_recurrent_bias(name):
    inputs, classes, printed, ours = PRINTED[name]
    recipe = load_recipe(FOLDER / f"{name}.toml")
    model = build_model(recipe, inputs, classes)
    assert sum(p.numel() for p in model.parameters()) == ours
    assert f"{ours:,} parameters" in (FOLDER / f"{name}.toml").read_text()
    recurrent_bias = sum(layer.size for layer in recipe.model.layers if layer.recurrent)
    assert round((ours + recurrent_bias) / 1000, 1) == printed


@pytest.mark.parametrize("name", PRINTED)
def test_a_batch_trains_every_parameter(name):
    inputs, classes, _, _ = PRINTED[name]
    recipe = load_recipe(FOLDER / f"{name}.toml")
    model = build_model(recipe, inputs, classes)
    before = [p.detach().clone() for p in model.parameters()]
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.training.lr, weight_decay=0.0)
    x = torch.rand(12, 4, inputs, generator=torch.Generator().manual_seed(1)) * 4
    result = bptt_step(model, optimiser, x, torch.arange(4), recipe.training)
    assert result.loss > 0
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert moved[0] and moved[-1] and sum(moved) > len(moved) // 2
