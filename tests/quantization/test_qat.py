"""Training on the grid: the network after is the integers of the training, to the last one."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import tclif_neuro as tn
from tclif_neuro.network import DECAY_ONE
from tclif_neuro.quantization import ConversionError, QATModel, finish_qat, prepare_qat, quantize, report
from tclif_neuro.quantization.grid import DECAYS, weight_grid
from tclif_neuro.quantization.qat import RoundDecay, RoundToGrid


def example(last: nn.Module | None = None) -> tuple[nn.Sequential, torch.Tensor]:
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Linear(4, 10),
        tn.BatchNorm(10),
        tn.TCLIF(10, recurrent=True, vth=0.7, gamma=0.3),
        nn.Dropout(0.2),
        nn.Sequential(nn.Linear(10, 8), tn.RelaxedTCLIF(8, per_neuron=True)),
        nn.Linear(8, 6),
        last or tn.LIF(6, learn_beta=True, recurrent=True),
        tn.Readout(6, 3, decay=0.9),
    )
    return model, torch.rand(12, 16, 4)


def step(model: nn.Module, x: torch.Tensor, rate: float = 0.05) -> None:
    optimiser = torch.optim.Adam(model.parameters(), rate)
    for _ in range(3):
        loss = nn.functional.cross_entropy(model(x), torch.arange(x.shape[1]) % 3)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@pytest.mark.parametrize("weight_bits", [8, 3])
def test_prepared_is_converted_as_the_model_itself(weight_bits: int) -> None:
    model, x = example()
    assert quantize(prepare_qat(model, x, weight_bits=weight_bits), x) == quantize(model, x, weight_bits=weight_bits)


@pytest.mark.parametrize("last", [None, tn.LIF(6, reset="zero", learn_beta=True), tn.LIF(6, beta=0.3)])
@pytest.mark.parametrize("weight_bits", [8, 3])
def test_conversion_after_training_loses_nothing(weight_bits: int, last: nn.Module | None) -> None:
    model, x = example(copy.deepcopy(last))
    prepared = prepare_qat(model, x, weight_bits=weight_bits)
    before = quantize(prepared, x)
    step(prepared, x)
    net = quantize(prepared, x)
    assert net != before
    assert [la.scale_bits for la in net.layers] == [la.scale_bits for la in before.layers]
    for layer in report(prepared, net, x).layers:
        assert layer.weight.error < 1e-7 and layer.bias_error < 1e-7 and layer.threshold_error == 0
        assert layer.recurrent is None or layer.recurrent.error < 1e-7
    linears = [m for m in prepared if isinstance(m, nn.Linear)]
    for i, (linear, layer) in enumerate(zip(linears, net.layers, strict=True)):
        unit = 2.0 ** (layer.synapses.exponent + 6 - layer.scale_bits) * (net.input.scale if i == 0 else 1)
        np.testing.assert_allclose(linear.weight.detach(), layer.synapses.weight * unit, rtol=1e-6)
    for module, layer in zip(
        [m for m in prepared if isinstance(m, tn.TCLIF | tn.RelaxedTCLIF)], net.layers, strict=False
    ):
        exact = [c.detach().double().numpy() * DECAY_ONE for c in module.coefficients(1)]
        for trained, integer in zip(
            exact, (layer.neuron.a1, layer.neuron.a2, layer.neuron.b1, layer.neuron.b2), strict=True
        ):
            np.testing.assert_allclose(trained, integer, atol=2e-3)


def test_everything_learnt_before_is_learnt_after() -> None:
    model, x = example()
    prepared = prepare_qat(model, x)
    prepared(x).sum().backward()
    assert len(list(prepared.parameters())) == 15
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in prepared.parameters())


def test_finished_is_plain_and_computes_the_same() -> None:
    model, x = example()
    prepared = prepare_qat(model, x, weight_bits=4)
    step(prepared, x)
    kept = copy.deepcopy(prepared)
    plain = finish_qat(prepared)
    assert type(plain) is nn.Sequential
    assert [type(m) for m in plain] == [nn.Linear, tn.TCLIF, nn.Linear, tn.RelaxedTCLIF, nn.Linear, tn.LIF, tn.Readout]
    torch.testing.assert_close(plain(x), prepared(x))
    assert torch.equal(kept(x), prepared(x))  # neither the model nor a copy of it was touched
    assert quantize(kept, x) == quantize(prepared, x)
    for layer in report(plain, quantize(plain, x), x).layers:
        assert layer.weight.error < 1e-7


def test_a_checkpoint_can_be_resumed() -> None:
    model, x = example()
    prepared = prepare_qat(model, x)
    step(prepared, x)
    other = prepare_qat(model, x)
    other.load_state_dict(prepared.state_dict())
    assert quantize(other, x) == quantize(prepared, x)


def test_the_model_itself_is_not_touched() -> None:
    model, x = example()
    before = copy.deepcopy(model.state_dict())
    prepared = prepare_qat(model, x)
    step(prepared, x)
    assert isinstance(prepared, QATModel)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_options_are_the_preparations() -> None:
    model, x = example()
    with pytest.raises(ConversionError, match="prepared with its own"):
        quantize(prepare_qat(model, x), x, weight_bits=4)


@given(st.integers(2, 8), st.booleans(), st.integers(0, 2**31))
def test_straight_through(bits: int, mixed: bool, seed: int) -> None:
    """Forward the grid, backward the identity where the grid reaches and nothing beyond."""
    grid = weight_grid(-1.0 if mixed else 0.0, 1.0, bits, unit=2.0**-7, exponent=0)
    x = (4 * torch.randn(50, generator=torch.Generator().manual_seed(seed))).requires_grad_()
    y = RoundToGrid(grid)(x)
    y.sum().backward()
    assert torch.equal(y, grid.values(x.detach()).float())
    inside = (x >= grid.low * grid.unit) & (x <= grid.high * grid.unit)
    assert torch.equal(x.grad, inside.float())
    again = RoundToGrid(grid)(y.detach())
    assert torch.equal(again, y)


@given(st.floats(-30, 30))
def test_decays_on_their_grid(logit: float) -> None:
    rounded = RoundDecay()(torch.tensor([logit]))
    k = DECAYS.integers(torch.sigmoid(rounded.double())).item()
    assert 1 <= k <= DECAY_ONE - 1
    assert abs(k - DECAY_ONE * torch.sigmoid(torch.tensor(logit, dtype=torch.float64)).item()) <= 1
    assert torch.equal(RoundDecay()(rounded), rounded)


@pytest.mark.slow
@pytest.mark.trains
def test_fine_tuning_recovers_what_coarse_weights_lost(trained, digits, fine_tune, seed) -> None:
    """Training on the grid with three draws of noise: each wins back more than twice what they differ by."""
    (x, y), test = digits
    calibration = x[:, :256]
    coarse = report(trained, quantize(trained, calibration, weight_bits=2), *test)
    accuracies = []
    for draw in range(3):
        prepared = prepare_qat(trained, calibration, weight_bits=2)
        fine_tune(prepared, (x, y), 8, 4e-3, seed + draw)
        accuracies.append(report(prepared, quantize(prepared, calibration), *test).integer_accuracy)
    spread = max(accuracies) - min(accuracies)
    assert min(accuracies) > coarse.integer_accuracy + 2 * spread
