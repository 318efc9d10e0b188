"""One update: its loss, its gradient, and what is refused."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.data import load_task
from tclif_neuro.learning import load_trained, losses, train
from tclif_neuro.learning.recipe.training import TrainingSection
from tclif_neuro.learning.rules.bptt import TrainingError, bptt_step, logit_scale, spikes_of
from tclif_neuro.neurons.modules import LIF, TCLIF, Readout
from tests.learning.toys import toy_recipe


def network(decay: float = 1.0) -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 8), TCLIF(8, recurrent=True), Readout(8, 4, decay=decay))


X = torch.rand(6, 5, 3, generator=torch.Generator().manual_seed(1)) * 2
Y = torch.tensor([0, 1, 2, 3, 0])


def step(model: torch.nn.Sequential, lr: float = 0.1, **training: object) -> tuple[float, int]:
    section = TrainingSection(epochs=1, **{"grad_clip": 0.0, **training})  # type: ignore[arg-type]
    return bptt_step(model, torch.optim.SGD(model.parameters(), lr=lr), X, Y, section)


def gradient(model: torch.nn.Sequential, scale: float) -> tuple[float, list[torch.Tensor]]:
    """The loss written out: minus the mean log-softmax of the right class."""
    loss = -torch.log_softmax(scale * model(X), 1)[torch.arange(5), Y].mean()
    return loss.item(), list(torch.autograd.grad(loss, list(model.parameters())))


@pytest.mark.parametrize(("logits", "scale"), [("sum", 1.0), ("mean", 1 / 6)])
def test_an_update_follows_the_gradient(logits: str, scale: float) -> None:
    model = network()
    loss, grads = gradient(model, scale)
    right = int((model(X).argmax(1) == Y).sum())
    before = [p.detach().clone() for p in model.parameters()]
    result = step(model, logits=logits)
    assert result.loss == pytest.approx(loss, rel=1e-5)
    assert result.correct == right
    for old, grad, new in zip(before, grads, model.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old - 0.1 * grad)
    assert any(grad.abs().max() > 0 for grad in grads[:4])


@pytest.mark.parametrize("name", ["ce_rate", "ce_membrane", "mse_membrane"])
def test_an_update_by_a_loss_over_time_follows_its_gradient(name: str) -> None:
    model = network(decay=0.9)
    potential = model[-1].sequence(model[:-1](X))
    loss = getattr(losses, name)(potential, Y)
    grads = torch.autograd.grad(loss, list(model.parameters()))
    before = [p.detach().clone() for p in model.parameters()]
    result = step(model, loss=name)
    assert result.loss == pytest.approx(loss.item())
    assert result.correct == int((potential[-1].argmax(1) == Y).sum())
    for old, grad, new in zip(before, grads, model.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old - 0.1 * grad)


def test_an_update_from_checkpoints_is_the_same() -> None:
    whole, parts = network(), network()
    assert step(whole).loss == pytest.approx(step(parts, checkpoint=4).loss, rel=1e-6)
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_rates_out_of_bounds_are_added_to_the_loss_of_every_layer() -> None:
    torch.manual_seed(0)
    inner = torch.nn.Sequential(torch.nn.Linear(8, 6), LIF(6))
    model = torch.nn.Sequential(torch.nn.Linear(3, 8), TCLIF(8), inner, Readout(6, 4))
    first, second = model[:2](X), model[:3](X)
    above, below = losses.rate_above, losses.rate_below
    cost = above(first, 0.02) + above(second, 0.02) + below(first, 0.01) + below(second, 0.01)
    loss = torch.nn.functional.cross_entropy(model(X), Y) + 3 * cost
    assert cost > 0
    grads = torch.autograd.grad(loss, list(model.parameters()))
    before = [p.detach().clone() for p in model.parameters()]
    result = step(model, rates={"upper": 0.02, "lower": 0.01, "weight": 3.0})
    assert result.loss == pytest.approx(loss.item())
    for old, grad, new in zip(before, grads, model.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old - 0.1 * grad)
    assert not model[1]._forward_hooks, "nothing stays behind"


@pytest.mark.slow
@pytest.mark.trains
def test_a_bound_holds_the_rates_down(toy: Path, tmp_path: Path) -> None:
    def rate(weight: float) -> float:
        recipe = toy_recipe(toy, epochs=12, rates={"upper": 0.05, "weight": weight})
        train(recipe, tmp_path / str(weight))
        model, _ = load_trained(tmp_path / str(weight))
        with torch.no_grad(), spikes_of(model) as spikes:
            model(torch.from_numpy(load_task(str(toy)).x_test).transpose(0, 1))
        return float(spikes[0].mean())

    assert rate(100.0) < 0.8 * rate(0.0)


def test_a_large_gradient_is_clipped() -> None:
    model = network()
    before = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    step(model, lr=1.0, grad_clip=1e-3)
    moved = torch.nn.utils.parameters_to_vector(model.parameters()).detach() - before
    assert moved.norm().item() == pytest.approx(1e-3, rel=1e-2)


@given(st.floats(0, 1), st.integers(1, 50))
def test_mean_logits_of_a_constant_input_do_not_depend_on_its_length(decay: float, steps: int) -> None:
    readout = Readout(3, 4, decay=decay)
    model = torch.nn.Sequential(readout)
    x = torch.ones(steps, 1, 3)
    torch.testing.assert_close(logit_scale(model, steps) * model(x), model(x[:1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_changes_nothing(value: float) -> None:
    model = network()
    with torch.no_grad():
        model[-1].bias[0] = value
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(TrainingError, match="the loss is nan and its gradient has the norm nan"):
        step(model)
    for old, new in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old, equal_nan=True, rtol=0, atol=0)


def test_a_readout_is_needed() -> None:
    with pytest.raises(TrainingError, match="the model ends with a TCLIF; a Readout is needed"):
        logit_scale(network()[:2], 6)
