"""FPTT: its equations written out, memory that does not grow with the sequence, and runs that resume exactly."""

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from tclif_neuro.learning import Progress, TrainingError, load_checkpoint, parse_recipe, train
from tclif_neuro.learning.recipe.training import FPTTSection, TrainingSection
from tclif_neuro.learning.rules.bptt import bptt_step
from tclif_neuro.learning.rules.fptt import DUAL, MEAN, fptt_step, moved
from tclif_neuro.neurons.liquid import LiquidLIF
from tclif_neuro.neurons.modules import LIF, TCLIF, AdaptiveTCLIF, Readout, RelaxedTCLIF
from tclif_neuro.neurons.norm import BatchNorm
from tests.learning.toys import toy_recipe

X = torch.rand(6, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2
Y = torch.tensor([0, 1, 2, 3, 0])
NEURONS = (TCLIF, RelaxedTCLIF, AdaptiveTCLIF, LIF, LiquidLIF)


def network(neuron: Any = TCLIF, recurrent: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(8, 6), nn.Identity())
    model = nn.Sequential(nn.Linear(3, 8), neuron(8, recurrent=recurrent), inner, LIF(6), Readout(6, 4)).double()
    with torch.no_grad():
        model[0].weight *= 3  # so that there are spikes, and gradients of all parameters
    return model


def section(grad_clip: float = 0.0, **fptt: float) -> TrainingSection:
    return TrainingSection(epochs=1, grad_clip=grad_clip, fptt=FPTTSection(**fptt))  # type: ignore[arg-type]


def written_out(model: nn.Sequential, every: int, alpha: float, beta: float, lr: float, batches: int) -> None:
    """The rule by its definition: the whole loss differentiated, plain gradient steps, states cut at each update."""
    first, neuron, (second, _), last, readout = model
    parameters = list(model.parameters())
    means, duals = [p.detach().clone() for p in parameters], [torch.zeros_like(p) for p in parameters]
    for _ in range(batches):
        a = b = v = None
        for t in range(1, 7):
            spikes, a = neuron.step(first(X[t - 1]), a, t - 1)
            spikes, b = last.step(second(spikes), b)
            out, v = readout.step(spikes, v)
            if t % every and t != 6:
                continue
            loss = t / 6 * functional.cross_entropy(out, Y)
            for p, mean, dual in zip(parameters, means, duals, strict=True):
                loss = loss + alpha / 2 * (p - mean).square().sum() - (dual * p).sum()
            with torch.no_grad():
                for p, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                    p -= lr * gradient
                for p, mean, dual in zip(parameters, means, duals, strict=True):
                    dual -= alpha * (p - mean)
                    mean.copy_((1 - beta) * mean + beta * p - beta / alpha * dual)
            a, b, v = type(a)(*(s.detach() for s in a)), type(b)(*(s.detach() for s in b)), v.detach()


@pytest.mark.parametrize("every", [1, 2, 4, 10])
@pytest.mark.parametrize("neuron", NEURONS)
def test_two_batches_follow_the_equations(neuron: Any, every: int) -> None:
    ours, theirs = network(neuron), network(neuron)
    optimiser = torch.optim.SGD(ours.parameters(), lr=0.1)
    for _ in range(2):
        fptt_step(ours, optimiser, X, Y, section(alpha=0.3, beta=0.4, update_every=every))
    written_out(theirs, every, 0.3, 0.4, 0.1, batches=2)
    for a, b, start in zip(ours.parameters(), theirs.parameters(), network(neuron).parameters(), strict=True):
        torch.testing.assert_close(a, b)
        assert (a != start).any()


@pytest.mark.parametrize("logits", ["sum", "mean"])
@pytest.mark.parametrize("neuron", NEURONS)
def test_a_first_update_after_the_whole_sequence_is_that_of_bptt(neuron: Any, logits: str) -> None:
    results = []
    models = network(neuron), network(neuron)
    for rule, model in zip((fptt_step, bptt_step), models, strict=True):
        training = TrainingSection(epochs=1, logits=logits, fptt=FPTTSection(update_every=6))  # type: ignore[arg-type]
        results.append(rule(model, torch.optim.SGD(model.parameters(), lr=0.1), X, Y, training))
    assert results[0].loss == pytest.approx(results[1].loss)
    assert results[0].correct == results[1].correct
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_a_layer_takes_all_steps_up_to_an_update_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[int, int]] = []
    known = TCLIF.scan

    def scan(self: TCLIF, current: Tensor, state: Any = None, t: int = 0) -> Any:
        taken.append((t, len(current)))
        return known(self, current, state, t)

    monkeypatch.setattr(TCLIF, "scan", scan)
    model = network()
    fptt_step(model, torch.optim.SGD(model.parameters(), lr=0.1), X, Y, section(update_every=4))
    assert taken == [(0, 4), (4, 2)]


class Own(nn.Module):
    """Somebody's module with a state and no way to take several steps."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 1, size))

    def step(self, x: Tensor, state: Tensor | None = None, t: int = 0) -> tuple[Tensor, Tensor]:
        state = x * self.scale if state is None else 0.5 * state + x * self.scale
        return state + t, state


def test_a_module_of_its_own_and_a_normalisation_see_each_step_alone() -> None:
    """A normalisation's statistics are those of a step; a state that is somebody's own goes from step to step."""

    def make() -> nn.Sequential:
        torch.manual_seed(0)
        last = Own(8), TCLIF(8), Readout(8, 4)
        return nn.Sequential(nn.Linear(3, 8), BatchNorm(8), nn.Flatten(1), *last).double()

    whole, (linear, norm, _, own, neuron, readout) = make(), make()
    fptt_step(whole, torch.optim.SGD(whole.parameters(), lr=0.1), X, Y, section(update_every=6))
    a = b = v = None
    for t, row in enumerate(X):
        x, a = own.step(norm(linear(row)), a, t)
        spikes, b = neuron.step(x, b)
        out, v = readout.step(spikes, v)
    functional.cross_entropy(out, Y).backward()
    expected = [p.grad for module in (linear, norm, own, neuron, readout) for p in module.parameters()]
    for p, gradient in zip(whole.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, gradient)
    assert norm.num_batches_tracked == 6
    for name, value in norm.named_buffers():
        torch.testing.assert_close(dict(whole[1].named_buffers())[name], value)


def most_bytes_alive(steps: int) -> int:
    """The most memory that the graph holds at any one time, in bytes."""
    alive = most = 0

    class Kept:
        def __init__(self, tensor: Tensor) -> None:
            nonlocal alive, most
            self.tensor = tensor
            alive += tensor.nbytes
            most = max(most, alive)
            weakref.finalize(self, freed, tensor.nbytes)

    def freed(size: int) -> None:
        nonlocal alive
        alive -= size

    model = network()
    x = torch.rand(steps, 5, 3, dtype=torch.float64)
    gc.collect()
    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        fptt_step(model, torch.optim.Adam(model.parameters()), x, Y, section(update_every=2))
    return most


def test_memory_does_not_grow_with_the_sequence() -> None:
    assert most_bytes_alive(100) == most_bytes_alive(10) > 0


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_any_optimiser_steps_and_keeps_the_means_with_its_state(name: str) -> None:
    whole, broken = network(), network()
    for model in (whole, broken):
        optimiser = getattr(torch.optim, name)(model.parameters(), lr=0.01)
        fptt_step(model, optimiser, X, Y, section())
        if model is broken:
            state = optimiser.state_dict()
            optimiser = getattr(torch.optim, name)(model.parameters(), lr=0.01)
            optimiser.load_state_dict(state)
        assert all({MEAN, DUAL} <= optimiser.state[p].keys() for p in model.parameters())
        fptt_step(model, optimiser, X, Y, section())
    for a, b in zip(whole.parameters(), broken.parameters(), strict=True):
        assert torch.equal(a, b)


@given(st.floats(0.01, 2), st.floats(0.1, 1), st.integers(0, 99))
def test_parameters_at_their_mean_stay_the_mean(alpha: float, beta: float, seed: int) -> None:
    w = torch.randn(4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    mean, dual = moved(w, w.clone(), torch.zeros_like(w), FPTTSection(alpha=alpha, beta=beta))
    torch.testing.assert_close(mean, w)
    assert (dual == 0).all()


def test_what_is_frozen_stays() -> None:
    model = network()
    model[0].weight.requires_grad_(False)
    before = model[0].weight.clone()
    fptt_step(model, torch.optim.SGD(model.parameters(), lr=0.1), X, Y, section())
    assert torch.equal(model[0].weight, before)
    assert model[0].weight.grad is None


def test_a_large_gradient_is_clipped_at_every_update() -> None:
    model = network()
    before = nn.utils.parameters_to_vector(model.parameters()).detach()
    fptt_step(model, torch.optim.SGD(model.parameters(), lr=1.0), X, Y, section(grad_clip=1e-3))
    way = nn.utils.parameters_to_vector(model.parameters()).detach() - before
    assert 0 < way.norm().item() <= 6 * 1e-3 * 1.01


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_changes_nothing(value: float) -> None:
    model = network()
    with torch.no_grad():
        model[-1].bias[0] = value
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(TrainingError, match="step 1 of 6: the loss is nan and its gradient has the norm nan"):
        fptt_step(model, torch.optim.SGD(model.parameters(), lr=0.1), X, Y, section())
    for old, new in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old, equal_nan=True, rtol=0, atol=0)


def test_what_it_cannot_train_is_refused() -> None:
    normal = nn.Sequential(nn.Linear(3, 4), BatchNorm(4), LIF(4), Readout(4, 4)).double()
    with pytest.raises(TrainingError, match="a batch of 1 sample cannot be normalised step by step"):
        fptt_step(normal, torch.optim.SGD(normal.parameters(), lr=0.1), X[:, :1], Y[:1], section())
    spiking = network()[:-1]
    with pytest.raises(TrainingError, match="the model ends with a LIF; a Readout is needed"):
        fptt_step(spiking, torch.optim.SGD(spiking.parameters(), lr=0.1), X, Y, section())


@pytest.mark.trains
def test_an_interrupted_run_ends_as_an_unbroken_one(toy: Path, tmp_path: Path) -> None:
    recipe = toy_recipe(toy, rule="fptt", fptt={"update_every": 2})
    train(recipe, tmp_path / "whole")

    def interrupt(progress: Progress) -> None:
        if (progress.epoch, progress.batch) == (3, 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "broken", progress=interrupt)
    train(recipe, tmp_path / "broken")
    a, b = (load_checkpoint(tmp_path / name) for name in ("whole", "broken"))
    assert all(torch.equal(a.model[name], b.model[name]) for name in a.model)
    kept = {name.partition("/")[2] for name in a.optimiser}
    assert {MEAN, DUAL} <= kept and a.optimiser.keys() == b.optimiser.keys()
    assert all(torch.equal(a.optimiser[name], b.optimiser[name]) for name in a.optimiser)


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.parametrize("neuron", ["tclif", "adaptive", "lif", "liquid"])
@pytest.mark.parametrize("rule", ["fptt", "bptt"])
def test_it_learns(toy: Path, tmp_path: Path, seed: int, rule: str, neuron: str) -> None:
    recipe = {
        "task": {"name": str(toy)},
        "model": {"layers": [{"type": neuron, "size": 24}]},
        "training": {"rule": rule, "epochs": 15, "batch_size": 8, "lr": 0.01, "seed": seed},
    }
    assert train(parse_recipe(recipe), tmp_path).train_accuracy > 0.5, "three classes: chance is 0.33"
