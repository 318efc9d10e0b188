"""Couplings that are kept, and couplings on the lattice of stock Loihi 2 neurons."""

import pytest
import torch
from torch import nn

import tclif_neuro as tn
from tclif_neuro.learning.recipe.file import parse_recipe
from tclif_neuro.learning.recipe.model import build_model
from tclif_neuro.neurons.modules import LATTICE, on_lattice
from tclif_neuro.quantization import finish_qat, prepare_qat, quantize


def model(**couplings: object) -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(3, 8), tn.TCLIF(8, recurrent=True, **couplings), tn.Readout(8, 2))


def trained(made: nn.Sequential) -> nn.Sequential:
    optimiser = torch.optim.Adam(made.parameters(), 0.1)
    x, y = torch.rand(15, 12, 3), torch.arange(12) % 2
    for _ in range(8):
        optimiser.zero_grad()
        nn.functional.cross_entropy(made(x), y).backward()
        optimiser.step()
    return made


def test_the_nearest_sixteenth_with_the_gradient_of_the_coupling() -> None:
    raw = torch.linspace(-9, 9, 400, requires_grad=True)
    coupling = torch.sigmoid(raw)
    found = on_lattice(coupling)
    assert set((found * LATTICE).tolist()) == set(range(1, LATTICE))
    assert ((found - coupling).abs() <= 1 / 16).all()
    inside = (coupling > 1 / 32) & (coupling < 31 / 32)
    assert ((found - coupling).abs()[inside] <= 1 / 32 + 1e-7).all()
    found.sum().backward(retain_graph=True)
    assert torch.equal(raw.grad, torch.autograd.grad(coupling.sum(), raw)[0])  # type: ignore[arg-type]


@pytest.mark.parametrize("per_neuron", [False, True])
def test_training_moves_couplings_along_the_lattice(per_neuron: bool) -> None:
    made = trained(model(lattice=True, per_neuron=per_neuron))
    assert (made[1].c1 != 0).any()
    _, _, b1, b2 = made[1].coefficients(1)
    for coupling in (-b1 * LATTICE, b2 * LATTICE):
        assert torch.equal(coupling, coupling.round()) and (coupling >= 1).all() and (coupling <= 15).all()
    neuron = quantize(made, torch.rand(15, 4, 3)).layers[0].neuron
    assert (neuron.b1 % 256 == 0).all() and (neuron.b2 % 256 == 0).all()


def test_couplings_that_are_not_learnt_stay() -> None:
    made = trained(model(learn_couplings=False))
    assert made[1].c1.item() == made[1].c2.item() == 0
    x = torch.rand(15, 4, 3)
    kept = finish_qat(trained(prepare_qat(made, x)))
    assert kept[1].c1.item() == kept[1].c2.item() == 0 and not kept[1].c1.requires_grad
    neuron = quantize(kept, x).layers[0].neuron
    assert (neuron.b1[0], neuron.b2[0]) == (-2048, 2048)


def test_training_on_the_integers_grid_stays_on_the_lattice() -> None:
    x = torch.rand(15, 4, 3)
    qat = trained(prepare_qat(trained(model(lattice=True)), x))
    for made in (qat, finish_qat(qat)):
        neuron = quantize(made, x).layers[0].neuron
        assert (neuron.b1 % 256 == 0).all() and (neuron.b2 % 256 == 0).all()


def test_a_recipe_says_so() -> None:
    layer = {"type": "tclif", "size": 4, "lattice": True, "learn_couplings": False}
    recipe = {"task": {"name": "digits-rows"}, "model": {"layers": [layer]}, "training": {"epochs": 1}}
    made = build_model(parse_recipe(recipe), 3, 2)
    assert made[1].lattice and not made[1].c1.requires_grad
