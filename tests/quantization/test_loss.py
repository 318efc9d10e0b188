"""The report counts what it says it counts."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import tclif_neuro as tn
from tclif_neuro.errors import TclifError
from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.fixed.run import InputError
from tclif_neuro.network import STATE_MAX
from tclif_neuro.neurons.trace import trace
from tclif_neuro.quantization import quantize, report


def example() -> tuple[nn.Sequential, torch.Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 12), tn.TCLIF(12, recurrent=True), nn.Linear(12, 6), tn.LIF(6), tn.Readout(6, 3))
    return model, 2 * torch.rand(20, 150, 4)  # over two chunks


def test_every_figure_against_its_definition() -> None:
    model, x = example()
    net = quantize(model, x, weight_bits=4)
    x = 1.02 * x
    y = torch.arange(150) % 3
    loss = report(model, net, x, y)
    run, floats = run_reference(net, x.double().numpy(), record=True), trace(model.double(), x.double())
    for layer, ints, traced in zip(loss.layers, run.layers, floats, strict=True):
        spikes = traced.spikes.numpy()
        assert layer.float_rate == pytest.approx(spikes.mean())
        assert layer.integer_rate == pytest.approx(ints.spikes.mean())
        assert layer.spikes_differ == pytest.approx((spikes != ints.spikes).mean())
        assert layer.state_used == pytest.approx(np.abs(ints.states).max() / STATE_MAX)
        assert layer.saturations == ints.saturations
    assert loss.layers[0].spikes_differ > 0
    wanted = floats[-1].states[0, -1].argmax(-1).numpy()
    assert loss.agreement == (wanted == run.predictions).mean()
    assert loss.float_accuracy == (wanted == y.numpy()).mean()
    assert loss.integer_accuracy == (run.predictions == y.numpy()).mean()
    assert loss.input_clipped == pytest.approx((x.double().numpy() * net.input.scale > 255.5).mean())
    assert loss.input_clipped > 0
    assert (loss.samples, loss.steps, loss.input_bits) == (150, 20, 8)
    assert [(la.name, la.kind, la.neurons) for la in loss.layers] == [
        ("1", "TCLIF", 12),
        ("3", "LIF", 6),
        ("4", "Readout", 3),
    ]


def test_weights_clipped_and_rounded() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), tn.LIF(2))
    model[0].weight.data = torch.tensor([[0.5, -0.25], [0.125, 0.0]])
    x = torch.ones(3, 1, 2)
    net = quantize(model, x)
    assert report(model, net, x).layers[0].weight.error == 0
    model[0].weight.data = torch.tensor([[5.0, -0.25], [0.125, 0.0]])  # the network stays as it is
    weight = report(model, net, x).layers[0].weight
    assert weight.clipped == 0.25
    assert weight.error == pytest.approx(4.5 / float(model[0].weight.detach().norm()))
    assert weight.largest == np.abs(net.layers[0].synapses.weight).max()


def test_a_threshold_and_a_bias_that_are_off() -> None:
    model = nn.Sequential(nn.Linear(2, 2), tn.TCLIF(2))
    x = torch.ones(3, 1, 2)
    net = quantize(model, x)
    loss = report(model, net, x).layers[0]
    assert loss.threshold_error == 0 and 0 < loss.bias_error < 1e-3
    layer = net.layers[0]
    neuron = replace(layer.neuron, vth_mant=layer.neuron.vth_mant * 3 // 4)
    off = replace(net, layers=(replace(layer, neuron=neuron, bias_mant=layer.bias_mant * 0),))
    loss = report(model, off, x).layers[0]
    assert (loss.threshold_error, loss.bias_error) == (0.25, 1.0)


def test_without_labels_and_as_json() -> None:
    model, x = example()
    loss = report(model, quantize(model, x), x[:, :5])
    assert loss.float_accuracy is None and loss.integer_accuracy is None
    data = json.loads(json.dumps(loss.to_dict(), allow_nan=False))
    assert data["layers"][0]["recurrent"]["exponent"] == loss.layers[0].recurrent.exponent
    assert data["layers"][1]["recurrent"] is None


def test_spike_counts_decide_without_a_readout() -> None:
    model, x = example()
    model = model[:4]
    loss = report(model, quantize(model, x), x)
    counts = trace(model.double(), x.double())[-1].spikes.sum(0)
    assert loss.agreement > 0.5
    labels = counts.argmax(-1)
    assert report(model, quantize(model, x), x, labels).float_accuracy == 1


def test_what_does_not_fit() -> None:
    model, x = example()
    net = quantize(model, x)
    with pytest.raises(InputError, match="labels: shape"):
        report(model, net, x, torch.zeros(7))
    with pytest.raises(InputError, match="channels"):
        report(model, net, x[..., :2])
    with pytest.raises(InputError, match="has 3 layers, the model 2"):
        report(model[:4], net, x)
    with pytest.raises(InputError, match="recurrent"):
        report(model, replace(net, layers=(replace(net.layers[0], recurrent=None), *net.layers[1:])), x)


MASKED = np.ma.masked_array(np.ones((20, 3, 4)), mask=np.eye(3, 4) * np.ones((20, 1, 1)))


@pytest.mark.parametrize(
    "bad",
    [
        np.ones((20, 3, 4), "c8"),
        torch.ones(20, 3, 4, dtype=torch.complex64),
        np.full((20, 3, 4), "1"),
        MASKED,
        None,
        np.ones((20, 3, 4), object),
        np.zeros((20, 3, 4), "M8[s]"),
    ],
)
def test_what_is_no_array_of_real_numbers_is_refused(bad) -> None:
    model, x = example()
    net = quantize(model, x)
    with pytest.raises(TclifError, match="^calibration: "):
        quantize(model, bad)
    with pytest.raises(TclifError, match="^input: "):
        report(model, net, bad)


def test_numbers_in_any_order_of_memory_and_bytes_are_the_same_numbers() -> None:
    model, x = example()
    net, array = quantize(model, x), x.double().numpy()
    for same in (array.astype(">f8"), array[::-1].copy()[::-1], array.astype("g"), array.tolist()):
        found = quantize(model, same)
        assert all(
            (a.synapses.weight == b.synapses.weight).all() for a, b in zip(net.layers, found.layers, strict=True)
        )
        assert report(model, net, same).agreement == report(model, net, x).agreement


def test_labels_beyond_the_outputs_are_refused() -> None:
    model, x = example()
    net = quantize(model, x)
    for y in (np.full(x.shape[1], net.outputs), np.full(x.shape[1], 2**63, "u8"), np.ones(x.shape[1], bool)):
        with pytest.raises(InputError, match=f"labels: classes 0 to {net.outputs - 1} expected"):
            report(model, net, x, y)
