"""Reading the model: what is folded, dropped and flattened, and every error."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import tclif_neuro as tn
from tclif_neuro.quantization import ConversionError, quantize
from tclif_neuro.quantization.stages import canonical, parse


def x(inputs: int = 3) -> torch.Tensor:
    return torch.rand(5, 4, inputs, generator=torch.Generator().manual_seed(0))


def settled_norm(size: int, affine: bool, generator: torch.Generator) -> tn.BatchNorm:
    norm = tn.BatchNorm(size, affine=affine)
    for tensor, low in ((norm.running_mean, -1), (norm.running_var, 0.1), (norm.weight, -1), (norm.bias, -1)):
        if tensor is not None:
            tensor.data.uniform_(low, 2, generator=generator)
    return norm


@given(st.booleans(), st.booleans(), st.integers(0, 2**31))
def test_batch_norm_is_folded_exactly(before: bool, affine: bool, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    norm = settled_norm(3 if before else 6, affine, generator)
    linear = nn.Linear(3, 6)
    model = nn.Sequential(*([norm, linear] if before else [linear, norm]), tn.TCLIF(6)).double().eval()
    (stage,) = parse(model)
    signal = torch.rand(7, 5, 3, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        wanted = model[:2](signal)
        folded = signal @ stage.weight.T + stage.bias
    torch.testing.assert_close(folded, wanted, rtol=1e-13, atol=1e-13)


def test_batch_norm_of_spikes_is_folded_into_the_readout() -> None:
    torch.manual_seed(0)
    norm = settled_norm(6, True, torch.Generator().manual_seed(1))
    model = nn.Sequential(nn.Linear(3, 6), tn.LIF(6, vth=0.3), norm, tn.Readout(6, 2, decay=0.9)).double().eval()
    signal = x().double()
    with torch.no_grad():
        assert model[:2](signal).sum() > 0
        torch.testing.assert_close(canonical(parse(model))(signal), model(signal), rtol=1e-12, atol=1e-12)


def test_nested_models_are_flattened_and_named_by_their_path() -> None:
    inner = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Identity(), tn.TCLIF(4, recurrent=True))
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), tn.LIF(4), inner, tn.Readout(4, 2))
    stages = parse(model)
    assert [s.name for s in stages] == ["2", "3.2", "4"]
    assert stages[1].recurrent is not None and stages[0].recurrent is None
    assert not stages[1].bias.any()


def test_a_module_used_twice_is_two_layers() -> None:
    linear, neurons = nn.Linear(3, 3), tn.TCLIF(3)
    assert len(parse(nn.Sequential(linear, neurons, linear, neurons))) == 2


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(3, 4), tn.BatchNorm(4), tn.TCLIF(4), tn.Readout(4, 2)).train()
    before = copy.deepcopy(model.state_dict())
    quantize(model, x())
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class Twisted(tn.TCLIF):
    def forward(self, current: torch.Tensor) -> torch.Tensor:
        return super().forward(2 * current)


def with_nan() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(3, 4), tn.TCLIF(4))
    model[0].weight.data[1, 2] = float("nan")
    return model


def with_infinite_variance() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(3, 4), tn.BatchNorm(4), tn.TCLIF(4))
    model[1].running_var[0] = float("inf")
    return model


L, S = nn.Linear, nn.Sequential
SLOW = tn.Schedule(theta=1e5)

ERRORS = [
    (lambda: nn.Linear(3, 4), "model: an nn.Sequential expected, got Linear"),
    (lambda: S(), "model: has no layer"),
    (lambda: S(nn.Identity()), "model: has no layer"),
    (lambda: S(L(3, 4), tn.TCLIF(4), L(4, 4), nn.ReLU()), r"module 3 \(ReLU\): has no counterpart"),
    (lambda: S(L(3, 4), S(nn.Flatten(), tn.TCLIF(4))), r"module 1.0 \(Flatten\): has no counterpart"),
    (lambda: S(L(3, 4), Twisted(4)), r"module 1 \(Twisted\): has a forward of its own and the scan of the library"),
    (lambda: S(L(3, 4), nn.BatchNorm1d(4), tn.TCLIF(4)), r"module 1 \(BatchNorm1d\): .*use tclif_neuro.BatchNorm"),
    (lambda: S(tn.TCLIF(3)), r"module 0 \(TCLIF\): has no Linear before it"),
    (lambda: S(L(3, 4), tn.TCLIF(4), tn.LIF(4)), r"module 2 \(LIF\): has no Linear before it"),
    (lambda: S(L(3, 4), L(4, 4), tn.TCLIF(4)), r"module 1 \(Linear\): follows the Linear of module 0"),
    (lambda: S(L(3, 4), tn.Readout(4, 2)), r"module 1 \(Readout\): follows the Linear of module 0"),
    (lambda: S(L(3, 4), tn.TCLIF(5)), r"module 1 \(TCLIF\): has 5 neurons, the Linear before has 4"),
    (lambda: S(L(3, 4), tn.TCLIF(4), L(5, 2), tn.LIF(2)), r"module 2 \(Linear\): takes 5 inputs.* has 4"),
    (lambda: S(L(3, 4), tn.TCLIF(4), tn.Readout(3, 2)), r"module 2 \(Readout\): takes 3 inputs.* has 4"),
    (lambda: S(L(3, 4), tn.TCLIF(4), L(4, 2)), r"module 2 \(Linear\): drives no neurons"),
    (lambda: S(L(3, 4), tn.TCLIF(4), tn.BatchNorm(4)), r"module 2 \(BatchNorm\): drives no neurons"),
    (lambda: S(tn.Readout(3, 2), tn.LIF(2)), r"module 1 \(LIF\): follows the readout \(module 0\)"),
    (lambda: S(tn.Readout(3, 2), tn.BatchNorm(2)), r"module 1 \(BatchNorm\): follows the readout"),
    (lambda: S(L(3, 4), tn.BatchNorm(5), tn.TCLIF(4)), r"module 1 \(BatchNorm\): has 5 features, .* has 4"),
    (
        lambda: S(tn.BatchNorm(5), L(3, 4), tn.TCLIF(4)),
        r"module 1 \(Linear\): takes 3 inputs, the BatchNorm before has 5",
    ),
    (lambda: S(tn.BatchNorm(3), tn.BatchNorm(3), L(3, 4), tn.LIF(4)), r"module 1 .*follows the BatchNorm of module 0"),
    (lambda: S(L(3, 4), tn.BatchNorm(4, track_running_stats=False), tn.LIF(4)), "module 1 .*no running statistics"),
    (with_nan, "parameter 0.weight: contains NaN"),
    (with_infinite_variance, "parameter 1.running_var: contains NaN or infinity"),
    (
        lambda: S(L(3, 4), tn.AdaptiveTCLIF(4, schedule=SLOW)),
        r"module 1 \(AdaptiveTCLIF\): schedule: g\(t\) is still above",
    ),
]


@pytest.mark.parametrize(("model", "message"), ERRORS)
def test_every_error_names_the_module(model, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        quantize(model(), x())


def test_stock_takes_stock_neurons_only() -> None:
    for neuron in (tn.TCLIF(4), tn.LIF(4, reset="delayed")):
        with pytest.raises(ConversionError, match=r"module 1 \(\w+\): is not a stock neuron"):
            quantize(nn.Sequential(nn.Linear(3, 4), neuron), x(), stock=True)


def test_one_stock_layer_has_one_decay() -> None:
    neurons = tn.LIF(4, reset="zero", learn_beta=True, per_neuron=True)
    model = nn.Sequential(nn.Linear(3, 4), neurons)
    assert quantize(model, x()).layers[0].neuron.v_decay == 4096 - round(0.9 * 4096)
    neurons.raw_beta.data[2] += 0.1
    with pytest.raises(ConversionError, match=r"module 1 \(LIF\): .* has one per neuron"):
        quantize(model, x())


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (torch.zeros(5, 3), r"\[steps, batch, 3\] expected, got shape \[5, 3\]"),
        (torch.zeros(5, 2, 4), r"got shape \[5, 2, 4\]"),
        (torch.zeros(0, 2, 3), r"got shape \[0, 2, 3\]"),
        (torch.full((5, 2, 3), float("inf")), "contains NaN or infinity"),
    ],
)
def test_a_calibration_that_does_not_fit(calibration: torch.Tensor, message: str) -> None:
    with pytest.raises(ConversionError, match=f"calibration: .*{message}"):
        quantize(nn.Sequential(nn.Linear(3, 4), tn.TCLIF(4)), calibration)
