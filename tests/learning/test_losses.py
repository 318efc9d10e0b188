"""Losses of spikes and potentials: their values written out, their gradients, and that a network learns by them."""

from collections.abc import Callable

import pytest
import torch
from snntorch import functional as snn
from torch import Tensor
from torch.nn import functional

from tclif_neuro.data import load_task
from tclif_neuro.data.encode import rate
from tclif_neuro.learning import losses
from tclif_neuro.learning.losses import LossError
from tclif_neuro.neurons.modules import LIF, TCLIF, Readout

T, B, N = 12, 5, 4
Y = torch.tensor([0, 3, 1, 1, 2])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spikes(p: float = 0.3, n: int = N) -> Tensor:
    return torch.bernoulli(torch.full((T, B, n), p), generator=seeded()).requires_grad_()


def first(s: Tensor) -> Tensor:
    """The step of each neuron's first spike; of one that never fires, the last."""
    return torch.where(s.any(0), s.argmax(0), len(s) - 1).float()


def one_hot(on: float, off: float) -> Tensor:
    return off + (on - off) * functional.one_hot(Y, N).float()


WRITTEN_OUT: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "ce_rate": (losses.ce_rate, lambda s: torch.stack([functional.cross_entropy(row, Y) for row in s]).mean()),
    "ce_count": (losses.ce_count, lambda s: functional.cross_entropy(s.sum(0), Y)),
    "ce_latency": (losses.ce_latency, lambda s: functional.cross_entropy(-first(s), Y)),
    "ce_membrane": (losses.ce_membrane, lambda s: functional.cross_entropy(s.amax(0), Y)),
    "mse_rate": (
        lambda s, y: losses.mse_rate(s, y, correct=0.8, incorrect=0.1),
        lambda s: ((s.mean(0) - one_hot(0.8, 0.1)) ** 2).mean(),
    ),
    "mse_count": (
        lambda s, y: losses.mse_count(s, y, correct=0.75, incorrect=0.25),
        lambda s: ((s.sum(0) - one_hot(9, 3)) ** 2).mean() / T,
    ),
    "mse_latency": (
        lambda s, y: losses.mse_latency(s, y, correct=2),
        lambda s: ((first(s) - one_hot(2, T - 1)) ** 2).mean() / T**2,
    ),
    "mse_membrane": (
        lambda s, y: losses.mse_membrane(s, y, correct=0.9, incorrect=-0.1),
        lambda s: ((s - one_hot(0.9, -0.1)) ** 2).mean(),
    ),
}


@pytest.mark.parametrize(("loss", "written_out"), WRITTEN_OUT.values(), ids=WRITTEN_OUT.keys())
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_a_loss_is_its_equation_and_has_a_gradient(loss, written_out, p: float) -> None:
    s = spikes(p)
    value = loss(s, Y)
    assert value.shape == ()
    torch.testing.assert_close(value, written_out(s.detach()))
    (gradient,) = torch.autograd.grad(value, s)
    assert gradient.isfinite().all()
    assert gradient.shape == s.shape
    if p == 0.3:
        assert gradient.abs().max() > 0


# snnTorch adds up ce_rate in single precision.
@pytest.mark.parametrize(
    ("name", "h"),
    [
        ("ce_rate", 1e-2),
        *((name, 1e-6) for name in ("ce_count", "ce_membrane", "mse_rate", "mse_count", "mse_membrane")),
    ],
)
def test_gradients_are_the_derivatives(name: str, h: float) -> None:
    loss = getattr(losses, name)
    x = torch.randn(T, B, N, generator=seeded(), dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(x, Y), x)
    step = torch.randn(x.shape, generator=seeded(1), dtype=torch.float64)
    with torch.no_grad():
        numeric = (loss(x + h * step, Y) - loss(x - h * step, Y)) / (2 * h)
    assert (gradient * step).sum().item() == pytest.approx(numeric.item(), rel=1e-2 * h**0.5 + 1e-6, abs=h**2)


def test_an_earlier_spike_of_the_right_neuron_costs_less() -> None:
    late, early = torch.zeros(T, 1, 2), torch.zeros(T, 1, 2)
    late[9, 0, 0] = early[3, 0, 0] = 1
    y = torch.tensor([0])
    assert losses.ce_latency(early, y) < losses.ce_latency(late, y)
    assert losses.mse_latency(early, y) < losses.mse_latency(late, y)
    assert losses.mse_latency(early, y, correct=5, tolerance=3) == 0


def test_a_population_is_pooled_as_snntorch_counts_it() -> None:
    s = spikes(n=3 * N)
    theirs = snn.ce_count_loss(population_code=True, num_classes=N)(s, Y)
    torch.testing.assert_close(losses.ce_count(losses.pool(s, N), Y), theirs)
    pooled = losses.pool(s, N)
    assert pooled.shape == (T, B, N)
    assert torch.equal(pooled[..., 1], s[..., 3:6].sum(-1))
    with pytest.raises(LossError, match=r"pool: \[T, B, 5 times some\] expected, got \[12, 5, 12\]"):
        losses.pool(s, 5)
    with pytest.raises(LossError, match="a pooled population has no latency"):
        losses.ce_latency(losses.pool(torch.ones(T, B, 2 * N), N), Y)


def test_rates_within_bounds_cost_nothing() -> None:
    s = spikes(0.4)
    low, high = s.mean(0).min().item(), s.mean((0, 2)).max().item()
    assert losses.rate_below(s, low) == 0
    assert losses.rate_above(s, high + 1e-6) == 0
    assert losses.rate_below(s, low + 0.1) > 0
    assert losses.rate_above(s, high - 0.1) > 0


def test_bounds_are_of_the_population_above_and_of_each_neuron_below() -> None:
    s = torch.zeros(10, 1, 2)
    s[:, 0, 0] = 1  # rates 1 and 0: 0.5 together
    assert losses.rate_above(s, 0.5) == 0
    assert losses.rate_above(s, 0.2).item() == pytest.approx(0.09)
    assert losses.rate_below(s, 0.5).item() == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("output", "y", "says"),
    [
        (torch.zeros(B, N), Y, r"got \[5, 4\], \[5\]"),
        (torch.zeros(T, B, N), Y[:3], r"got \[12, 5, 4\], \[3\]"),
        (torch.zeros(T, B, 3), Y, "classes 0 to 3; there are 3 outputs"),
        (torch.zeros(T, B, N), Y - 1, "classes -1 to 2"),
    ],
)
def test_errors_name_shape_and_value(output: Tensor, y: Tensor, says: str) -> None:
    for loss, _ in WRITTEN_OUT.values():
        with pytest.raises(LossError, match=says):
            loss(output, y)


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.parametrize("code", ["population", "membrane"])
def test_digits_in_rates_are_learnt(code: str, seed: int) -> None:
    task = load_task("digits-rows")
    torch.manual_seed(seed)
    last = [Readout(60, 10, decay=0.9)] if code == "membrane" else [torch.nn.Linear(60, 30), LIF(30)]
    model = torch.nn.Sequential(torch.nn.Linear(8, 60), TCLIF(60, recurrent=True), *last)
    optimiser, generator = torch.optim.Adam(model.parameters(), 1e-2), seeded(seed)

    def output(x: Tensor) -> Tensor:
        spikes = rate(x, 2, generator=generator)
        return model[-1].sequence(model[:-1](spikes)) if code == "membrane" else losses.pool(model(spikes), 10)

    loss = losses.ce_membrane if code == "membrane" else losses.ce_count
    x, y = torch.from_numpy(task.x_train).transpose(0, 1), torch.from_numpy(task.y_train)
    for _ in range(150):
        batch = torch.randint(len(y), (64,), generator=generator)
        optimiser.zero_grad()
        loss(output(x[:, batch]), y[batch]).backward()
        optimiser.step()
    with torch.no_grad():
        seen = output(torch.from_numpy(task.x_test).transpose(0, 1))
    answers = (seen.amax(0) if code == "membrane" else seen.sum(0)).argmax(1)
    assert (answers == torch.from_numpy(task.y_test)).float().mean() > 0.3, "ten classes: chance is 0.1"
