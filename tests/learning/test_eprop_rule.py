"""e-prop as a rule of training: recipes, the command, one update, memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tclif_neuro.cli.commands.train import train_recipe
from tclif_neuro.learning import RecipeError, TrainingError, load_trained, parse_recipe, train
from tclif_neuro.learning.eprop.learner import EPropLearner
from tclif_neuro.learning.eprop.signal import EPropOptions
from tclif_neuro.learning.recipe.training import TrainingSection
from tclif_neuro.learning.rules.eprop import eprop_step, options
from tclif_neuro.neurons.modules import TCLIF, Readout
from tests.learning.toys import toy_recipe

X = torch.rand(6, 5, 3, generator=torch.Generator().manual_seed(1)) * 2
Y = torch.tensor([0, 1, 2, 3, 0])


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), TCLIF(8, recurrent=True), Readout(8, 4))


def section(**training: object) -> TrainingSection:
    return TrainingSection(epochs=1, rule="eprop", **{"grad_clip": 0.0, **training})  # type: ignore[arg-type]


def test_an_update_follows_the_gradient() -> None:
    model, same = network(), network()
    expected = EPropLearner(same).sequence(X, Y)
    right = int((model(X).argmax(1) == Y).sum())
    result = eprop_step(model, torch.optim.SGD(model.parameters(), lr=0.1), X, Y, section())
    assert result.loss == pytest.approx(expected.loss)
    assert result.correct == right
    for new, old in zip(model.parameters(), same.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old.detach() - 0.1 * old.grad)


def test_a_large_gradient_is_clipped() -> None:
    model = network()
    before = nn.utils.parameters_to_vector(model.parameters()).detach()
    eprop_step(model, torch.optim.SGD(model.parameters(), lr=1.0), X, Y, section(grad_clip=1e-3))
    moved = nn.utils.parameters_to_vector(model.parameters()).detach() - before
    assert moved.norm().item() == pytest.approx(1e-3, rel=1e-2)


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    model = network()
    with torch.no_grad():
        model[-1].bias[0] = float("nan")
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(TrainingError, match="the gradient is not finite"):
        eprop_step(model, torch.optim.SGD(model.parameters(), lr=0.1), X, Y, section())
    for old, new in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old, equal_nan=True, rtol=0, atol=0)


def test_the_recipe_sets_every_option() -> None:
    chosen = {"feedback": "random", "potential": "step", "loss": "mean_square", "update_every": 5}
    data = {"epochs": 1, "rule": "eprop", "logits": "mean", "label_smoothing": 0.1, "seed": 3, "eprop": chosen}
    expected = EPropOptions(**chosen, mean=True, label_smoothing=0.1, seed=3)
    assert options(TrainingSection.model_validate(data)) == expected
    assert options(TrainingSection(epochs=1)) == EPropOptions()


def eprop_recipe(toy: Path, **training: object) -> dict:
    data = toy_recipe(toy, **training).model_dump(mode="json")
    for layer in data["model"]["layers"]:
        layer |= {"batch_norm": False, "dropout": 0.0}
    data["training"] |= {"rule": "eprop", "eprop": {"feedback": "random", "update_every": 2}}
    return data


@pytest.mark.trains
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(toy: Path, tmp_path: Path) -> None:
    whole = train(parse_recipe(eprop_recipe(toy)), tmp_path / "whole")

    class Interrupted(Exception):
        pass

    def interrupt(progress: object) -> None:
        if progress.epoch == 3:  # type: ignore[attr-defined]
            raise Interrupted

    with pytest.raises(Interrupted):
        train(parse_recipe(eprop_recipe(toy)), tmp_path / "parts", progress=interrupt)
    parts = train(parse_recipe(eprop_recipe(toy)), tmp_path / "parts")
    assert parts.epochs == whole.epochs == 4
    models = [load_trained(tmp_path / name)[0] for name in ("whole", "parts")]
    for a, b in zip(*(m.parameters() for m in models), strict=True):
        assert torch.equal(a, b)


def test_the_command_can_ask_for_another_rule(toy: Path, tmp_path: Path) -> None:
    file = tmp_path / "toy.toml"
    file.write_text(
        f"[task]\nname = {json.dumps(str(toy))}\n[[model.layers]]\ntype = 'tclif'\nsize = 4\n[training]\nepochs = 1\n"
    )
    train_recipe(file, tmp_path / "run", rule="eprop")
    assert load_trained(tmp_path / "run")[1].training.rule == "eprop"
    with pytest.raises(RecipeError, match=r"training\.rule = 'backprop': .*'bptt'.*'eprop'.* expected"):
        train_recipe(file, tmp_path / "run", rule="backprop")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("batch_norm", True, "e-prop has no batch normalisation; batch_norm = false"),
        ("dropout", 0.1, "e-prop has no dropout; dropout = 0"),
        ("type", "liquid", "e-prop has no liquid neuron"),
    ],
)
def test_a_recipe_that_it_cannot_train_is_refused_when_read(toy: Path, key: str, value: object, message: str) -> None:
    data = eprop_recipe(toy)
    kept = {
        name: data["model"]["layers"][0][name] for name in ("size", "recurrent") if name in data["model"]["layers"][0]
    }
    data["model"]["layers"][0] = {"type": "tclif", **kept, key: value}
    with pytest.raises(RecipeError, match=message):
        parse_recipe(data)


GROWTH = """
import resource, sys, torch
from torch import nn
from tclif_neuro.learning.eprop.learner import EPropLearner
from tclif_neuro.neurons.modules import AdaptiveTCLIF, Readout

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

model = nn.Sequential(nn.Linear(8, 32), AdaptiveTCLIF(32, recurrent=True, reset_grad=sys.argv[1]), Readout(32, 4))
learner, y = EPropLearner(model), torch.tensor([0, 1, 2, 3])

def run(steps):
    generator = torch.Generator().manual_seed(0)
    learner.sequence((torch.rand(500, 4, 8, generator=generator) for _ in range(steps // 500)), y)
    return peak()

print(run(1000), run(1000), run(100_000))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("reset_grad", ["keep", "detach"])
def test_memory_does_not_grow_with_the_sample(reset_grad: str) -> None:
    """Of 100,000 steps against 1000. Any one [T, B, N] of this small network alone would be 51 MB."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", GROWTH, reset_grad]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580, env=environment)
    assert done.returncode == 0, done.stderr
    _, short, long = map(float, done.stdout.split())
    assert long < 1.05 * short
