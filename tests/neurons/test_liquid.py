"""The liquid neuron against independent NumPy, its derivatives, and what follows from its equations."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.liquid import LiquidLIF
from tclif_neuro.neurons.modules import Readout
from tclif_neuro.neurons.surrogate import Surrogate
from tclif_neuro.quantization import ConversionError, quantize
from tests.examples import examples


class Smooth(Surrogate):
    """A spike that is a sigmoid: the whole layer can then be differentiated numerically."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.sigmoid(3 * x)


def layer(seed: int = 0, size: int = 5, **arguments: object) -> LiquidLIF:
    torch.manual_seed(seed)
    return LiquidLIF(size, **arguments).double()  # type: ignore[arg-type]


def currents(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def published_neuron(current: np.ndarray, w: dict[str, np.ndarray], vth: float, beta: float) -> np.ndarray:
    """The neuron as published, one sample and step after the other."""

    def gate(name, *inputs):
        return 1 / (1 + np.exp(-(w[f"{name}.weight"] @ np.concatenate(inputs) + w[f"{name}.bias"])))

    spikes = np.zeros_like(current)
    for sample in range(current.shape[1]):
        u = b = s = np.zeros(current.shape[2])
        for t in range(len(current)):
            i = current[t, sample] + w["recurrent.weight"] @ s
            rho = gate("adaptation_gate", i, b)
            b = rho * b + (1 - rho) * s
            u = u + gate("potential_gate", i, u) * (i - u)
            s = (u >= vth + beta * b).astype(float)
            u = np.where(s == 1, 0, u)
            spikes[t, sample] = s
    return spikes


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_published_neuron(seed: int) -> None:
    neuron, x = layer(seed, recurrent=True), currents(seed, 60, 3, 5)
    spikes = neuron(x).detach().numpy()
    weights = {name: p.detach().numpy() for name, p in neuron.named_parameters()}
    assert 0.05 < spikes.mean() < 0.9
    np.testing.assert_array_equal(spikes, published_neuron(x.numpy(), weights, 0.1, 1.8))


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("adaptation", [0.0, 1.8])
def test_steps_are_the_sequence(recurrent: bool, adaptation: float) -> None:
    neuron, x = layer(recurrent=recurrent, adaptation=adaptation), currents(1, 20, 3, 5)
    state, spikes = None, []
    for t, row in enumerate(x):
        spike, state = neuron.step(row, state, t)
        spikes.append(spike)
    assert torch.equal(torch.stack(spikes), neuron(x))
    assert 0 < neuron(x).mean() < 1


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("adaptation", [0.0, 1.8])
def test_gradients_are_the_derivatives(recurrent: bool, adaptation: float) -> None:
    neuron = layer(size=2, recurrent=recurrent, adaptation=adaptation, surrogate=Smooth())
    x, names = currents(2, 4, 2, 2).requires_grad_(), [name for name, _ in neuron.named_parameters()]

    def run(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(neuron, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *neuron.parameters()))


def test_a_detached_reset_passes_no_gradient() -> None:
    def gradient(reset_grad: str) -> Tensor:
        neuron = layer(size=1, adaptation=0.0, reset_grad=reset_grad)
        x = currents(3, 2, 40, 1).requires_grad_()
        spikes = neuron(x)
        return torch.autograd.grad(spikes[1].sum(), x)[0][0] * spikes[0].detach()

    # After a spike the potential is 0 whatever the first current was: only the reset's own gradient is left.
    assert gradient("detach").abs().max() == 0
    assert gradient("keep").abs().max() > 0


@examples(20)
@given(st.integers(0, 1000), st.floats(0.1, 3))
def test_the_potential_stays_between_zero_and_the_currents(seed: int, scale: float) -> None:
    neuron, state = layer(), None
    x = scale * currents(seed, 15, 2, 5)
    for row in x:
        _, state = neuron.step(row, state)
        assert state.potential.min() >= min(x.min(), 0)
        assert state.potential.max() <= max(x.max(), 0)
        assert state.adaptation.min() >= 0
        assert state.adaptation.max() <= 1


def test_lasting_spiking_raises_the_threshold() -> None:
    x = torch.ones(50, 1, 5, dtype=torch.float64)
    assert layer(adaptation=1.8)(x).sum() < layer(adaptation=0.0)(x).sum()


def test_no_steps_give_no_spikes() -> None:
    assert layer()(currents(0, 0, 2, 5)).shape == (0, 2, 5)


def test_quantize_refuses_it_by_name() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), LiquidLIF(5), Readout(5, 2))
    with pytest.raises(ConversionError, match=r"module 1 \(LiquidLIF\): has no counterpart in integers"):
        quantize(model, torch.rand(4, 2, 3))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: LiquidLIF(4, adaptation=-1.0), "adaptation -1.0"),
        (lambda: LiquidLIF(4, adaptation=float("nan")), "adaptation nan"),
        (lambda: LiquidLIF(4, vth=0.0), "vth 0.0"),
        (lambda: LiquidLIF(4)(torch.zeros(3, 2, 5)), r"got \[3, 2, 5\]"),
        (lambda: LiquidLIF(4).step(torch.zeros(2, 5)), r"got \[2, 5\]"),
    ],
)
def test_errors_name_the_value(make, says) -> None:
    with pytest.raises(TclifError, match=says):
        make()
