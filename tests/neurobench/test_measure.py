"""NeuroBench's figures equal counts by hand; a measure that fails is an error; without the package, a line says so."""

import importlib.util
import os

import numpy as np
import pytest
import torch

import tclif_neuro as tn
from tclif_neuro.neurobench import measure as room
from tclif_neuro.neurobench.measure import NeuroBenchError, measure
from tests.cli.calls import refused, tclif

INSTALLED = importlib.util.find_spec("neurobench") is not None


@pytest.fixture
def _neurobench():
    if not INSTALLED and os.environ.get("TCLIF_REQUIRE_NEUROBENCH") == "1":
        pytest.fail("TCLIF_REQUIRE_NEUROBENCH=1, but neurobench is not installed: run `make setup`")
    if not INSTALLED:
        pytest.skip("neurobench is not installed: the extra `neurobench`")


T, B = 5, 6


def network(*, graded: bool, readout: bool = True):
    """A recurrent TC-LIF of 4 and a LIF of 3 behind 2 inputs, in floats and in integers, and samples."""
    torch.manual_seed(1)
    layers = [
        torch.nn.Linear(2, 4),
        tn.TCLIF(4, recurrent=True, vth=0.2),
        torch.nn.Linear(4, 3),
        tn.LIF(3, vth=0.1),
    ]
    model = torch.nn.Sequential(*layers, *([tn.Readout(3, 2)] if readout else []))
    with torch.no_grad():
        layers[0].weight.abs_()
        layers[2].weight[0, 1] = 0
    x = torch.rand(T, B, 2) if graded else (torch.rand(T, B, 2) < 0.5).float()
    return model, tn.quantize(model, x), x.numpy()


def by_hand(net, x, lengths) -> tuple[int, int, int]:
    """Operations with spikes, with graded values, and all, one product at a time."""
    run = tn.run(net, x, "reference", lengths=lengths, record=True)
    counts = {"spikes": 0, "graded": 0, "dense": 0}
    kind = "graded" if set(np.unique(run.input)) - {0, 1} else "spikes"
    for b in range(x.shape[1]):
        for t in range(lengths[b]):
            before, now = run.input[t, b], kind
            for layer, done in zip(net.layers, run.layers, strict=True):
                received = [(layer.synapses.weight, before, now)]
                if layer.recurrent is not None:
                    last = done.spikes[t - 1, b] if t else np.zeros(layer.size)
                    received.append((layer.recurrent.weight, last, "spikes"))
                for weight, values, which in received:
                    for row in weight:
                        for w, value in zip(row, values, strict=True):
                            counts["dense"] += 1
                            counts[which] += bool(w) and bool(value)
                before, now = done.spikes[t, b], "spikes"
    return counts["spikes"], counts["graded"], counts["dense"]


@pytest.mark.usefixtures("_neurobench")
@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("numbers", [1, 2**23])  # a batch of one sample, and of all
def test_operations_are_those_counted_by_hand(graded: bool, numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "NUMBERS", numbers)
    _, net, x = network(graded=graded)
    lengths, y = np.array([5, 3, 1, 5, 4, 2]), np.arange(B) % 2
    found = measure(net, x, y, lengths=lengths)
    own, (spikes, values, dense) = int(lengths.sum()), by_hand(net, x, lengths)
    assert spikes > 0 and (found.accumulates, found.multiplies, found.dense) == pytest.approx(
        (spikes / B, values / B, dense / B), abs=0, rel=1e-12
    )
    assert dense == own * (2 * 4 + 4 * 4 + 4 * 3 + 3 * 2) and found.dense == dense / B
    run = tn.simulate(net, x, lengths=lengths)
    assert found.accuracy == pytest.approx(np.mean(run.predictions == y))
    per_step = 2 * 4 + 2 * 3 + 2  # a LIF that subtracts is of two compartments among the integers; a readout of one
    assert found.membrane_updates == own / B * per_step


@pytest.mark.usefixtures("_neurobench")
def test_footprint_and_sparsity_are_those_of_what_is_kept() -> None:
    model, net, x = network(graded=True)
    found = measure(net, x)
    weights = [m.weight for layer in net.layers for m in (layer.synapses, layer.recurrent) if m is not None]
    zeros, total = sum((w == 0).sum() for w in weights), sum(w.size for w in weights)
    assert found.weights == total == 42 and found.connection_sparsity == round(zeros / total, 4) > 0
    # 9 biases of two bytes; twice a1, a2, b1, b2 and two thresholds; a readout's two decays and threshold
    assert found.footprint == 42 + 9 * 2 + 2 * (4 * 2 + 2 * 4) + (2 * 2 + 4)
    spikes = tn.simulate(net, x, record=True).spikes[:2]
    rates = [s.sum() for s in spikes]
    assert found.activation_sparsity == pytest.approx(1 - sum(rates) / sum(s.size for s in spikes))
    floats = measure(net, x, floats=model)
    assert floats.numbers == "float32" and floats.weights == 4 * 42 and floats.accuracy is None
    assert floats.dense == found.dense and floats.footprint >= 4 * (42 + 9)


@pytest.mark.usefixtures("_neurobench")
def test_labels_of_steps_count_where_there_are_any() -> None:
    _, net, x = network(graded=False)
    y, lengths = np.random.default_rng(0).integers(-1, 2, (T, B)), np.array([5, 5, 4, 3, 5, 5])
    y[np.arange(T)[:, None] >= lengths] = -1
    run = tn.simulate(net, x, lengths=lengths, record=True)
    known = y >= 0
    found = measure(net, x, y, lengths=lengths)
    assert found.per_step and found.accuracy == np.mean((run.outputs.argmax(-1) == y)[known])


@pytest.mark.usefixtures("_neurobench")
def test_a_measure_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """NeuroBench prints it, and goes on with 0."""
    from neurobench.metrics.static import ConnectionSparsity
    from neurobench.metrics.workload import SynapticOperations

    def fail(*_: object) -> None:
        raise RuntimeError("no such luck")

    _, net, x = network(graded=False)
    for metric in (SynapticOperations, ConnectionSparsity):
        with monkeypatch.context() as patch:
            patch.setattr(metric, "__call__", fail)
            with pytest.raises(NeuroBenchError, match=rf"metric '{metric.__name__}': no such luck"):
                measure(net, x)


@pytest.mark.usefixtures("_neurobench")
def test_digits_rows_has_the_figures_of_its_page() -> None:
    result = tclif("neurobench", "models/digits-rows.net")
    assert result.exit_code == 0, result.output
    for figure in ("97.50 %", "52,028 bytes, 51,456", "0.020", "0.859", "49,038", "4,149", "411,648", "4,176"):
        assert figure in result.stdout


@pytest.mark.skipif(INSTALLED, reason="neurobench is installed")
def test_without_the_package_a_line_says_how_to_get_it() -> None:
    refused(tclif("neurobench", "models/digits-rows.net"), 'pip install "tclif-neuro[neurobench]"')
