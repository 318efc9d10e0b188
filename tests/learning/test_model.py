"""From recipes to models: the modules, their arguments, and weights from the seed alone."""

from typing import Any

import torch

from tclif_neuro.learning import build_model, parse_recipe
from tclif_neuro.neurons.modules import LIF, TCLIF, AdaptiveTCLIF, Readout, RelaxedTCLIF
from tclif_neuro.neurons.norm import BatchNorm
from tclif_neuro.neurons.surrogate import Surrogate
from tclif_neuro.quantization import quantize


def recipe(*layers: dict[str, Any], seed: int = 0, **model: Any) -> Any:
    return parse_recipe(
        {
            "task": {"name": "digits-rows"},
            "model": {"layers": list(layers), **model},
            "training": {"epochs": 1, "seed": seed},
        }
    )


def test_modules_come_in_the_order_of_the_signal() -> None:
    first = {"type": "tclif", "size": 6, "batch_norm": True, "dropout": 0.25}
    model = build_model(recipe(first, {"type": "lif", "size": 5}, readout={"decay": 0.9, "bias": False}), 3, 10)
    kinds = [torch.nn.Linear, BatchNorm, TCLIF, torch.nn.Dropout, torch.nn.Linear, LIF, Readout]
    assert [type(module) for module in model] == kinds
    assert model[3].p == 0.25
    assert (model[-1].decay, model[-1].bias) == (0.9, None)
    assert model(torch.rand(7, 2, 3)).shape == (2, 10)


def test_dropped_currents_are_those_of_the_neurons_and_no_part_of_the_integers() -> None:
    layer = {"type": "tclif", "size": 6, "batch_norm": True}
    last = {"type": "lif", "size": 5}
    plain, dropping = (build_model(recipe({**layer, **own}, last), 3, 10) for own in ({}, {"current_dropout": 0.5}))
    assert [type(module) for module in dropping[:4]] == [torch.nn.Linear, BatchNorm, torch.nn.Dropout, TCLIF]
    assert dropping[2].p == 0.5
    x = torch.rand(7, 2, 3)
    currents = dropping[:3](x)
    assert not torch.equal(currents, dropping[:3](x)), "other currents are dropped each time"
    assert 0.2 < (currents == 0).float().mean() < 0.8
    for _ in range(2):
        plain(x)  # as often as the other, for the statistics of its batch normalisation
    assert torch.equal(dropping.eval()(x), plain.eval()(x))
    assert quantize(dropping, x) == quantize(plain, x)


def test_arguments_reach_the_neurons() -> None:
    common = {
        "size": 4,
        "recurrent": True,
        "vth": 0.8,
        "surrogate": "arctan",
        "surrogate_k": 2.0,
        "reset_grad": "detach",
    }
    model = build_model(
        recipe(
            {"type": "tclif", "reset": "immediate", "gamma": 0.1, "c1": 1.0, "c2": -1.0, "per_neuron": True, **common},
            {"type": "relaxed", "a1": 0.7, "a2": 0.8, "b1": -0.25, "b2": 0.75, **common},
            {"type": "adaptive", "a1": 0.6, "schedule": {"form": "density", "k": 3.0, "theta": 5.0}, **common},
            {"type": "lif", "beta": 0.5, "learn_beta": True, "reset": "zero", **common},
        ),
        3,
        10,
    )
    tclif, relaxed, adaptive, lif = model[1], model[3], model[5], model[7]
    for module in (tclif, relaxed, adaptive, lif):
        assert (module.vth, module.reset_grad, module.surrogate) == (0.8, "detach", Surrogate("arctan", 2.0))
        assert module.recurrent.weight.shape == (4, 4)
    assert (tclif.reset, tclif.gamma, tclif.c1.tolist(), tclif.c2.tolist()) == ("immediate", 0.1, [1.0] * 4, [-1.0] * 4)
    assert isinstance(relaxed, RelaxedTCLIF)
    torch.testing.assert_close(torch.sigmoid(relaxed.raw_a1), torch.tensor([0.7]))
    assert (relaxed.b1.item(), relaxed.b2.item()) == (-0.25, 0.75)
    assert isinstance(adaptive, AdaptiveTCLIF)
    assert (adaptive.schedule.form, adaptive.schedule.k, adaptive.schedule.theta) == ("density", 3.0, 5.0)
    assert lif.reset == "zero"
    torch.testing.assert_close(lif.beta, torch.tensor([0.5]))


def test_weights_come_from_the_seed_and_nothing_else() -> None:
    layer = {"type": "tclif", "size": 6, "recurrent": True}
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build_model(recipe(layer, seed=5), 3, 10).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again = build_model(recipe(layer, seed=5), 3, 10).state_dict()
    other = build_model(recipe(layer, seed=6), 3, 10).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])
