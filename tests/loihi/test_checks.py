"""Every check finds its network, and leaves a good one alone."""

from dataclasses import replace

import numpy as np
import pytest

from tclif_neuro.loihi.checks import Question, check
from tclif_neuro.loihi.limits import BOARDS
from tclif_neuro.network import DECAY_ONE, Synapses
from tests.loihi.nets import lif, network, small_threshold, tclif

RNG = np.random.default_rng(11)
BOARD = BOARDS["oheogulch"]


def forged(layer, **synapses):
    """A layer that the hub would not make."""
    bad = Synapses(weight=layer.synapses.weight)
    for name, value in synapses.items():
        object.__setattr__(bad, name, value)
    made = replace(layer)
    object.__setattr__(made, "synapses", bad)
    return made


def wide(inputs, neurons, **weights):
    """A layer of LIF whose size is all that matters."""
    made = lif(RNG, 1, 1, bias=False)
    synapses = Synapses(weight=np.full((neurons, inputs), 8), **weights)
    return replace(made, synapses=synapses, bias_mant=np.zeros(neurons, int))


def small(**neuron):
    return network(tclif(RNG, 6, 4, **neuron), steps=50)


ODD = np.array([[1, -3], [5, 7]])
FAILING = {
    "weight-format": (lambda: network(forged(lif(RNG, 2, 2), weight=ODD)), "lif", "error", {}),
    "weight-after-netx": (lambda: network(lif(RNG, 6, 4, bias=False), wide(4, 3, exponent=-4)), "lif", "error", {}),
    "neuron-format": (small_threshold, "stock", "error", {}),
    "neuron-unknown": (small, "lif", "error", {}),
    "dv-range": (lambda: network(lif(RNG, 6, 4, v_decay=DECAY_ONE)), "lif", "warning", {}),
    "sum-range": (lambda: network(wide(300, 2, exponent=7)), "lif", "warning", {}),
    "saturation": (lambda: network(wide(300, 2, exponent=7)), "lif", "warning", {"samples": np.ones((30, 1, 300))}),
    "fan-in": (lambda: network(wide(8_570, 1)), "lif", "warning", {}),
    "core-neurons": (lambda: network(wide(1, 4_096)), "lif", "note", {}),
    "core-groups": (
        lambda: network(tclif(RNG, 6, 12, b1=-100 * np.arange(12) - 100)),
        "microcode",
        "note",
        {"ncmodel": True},
    ),
    "core-axons": (lambda: network(wide(16_001, 1)), "lif", "warning", {}),
    "core-synapses": (lambda: network(wide(12_001, 1)), "lif", "warning", {}),
    "core-words": (lambda: network(wide(9_000, 1)), "lif", "warning", {}),
    "chip-cores": (lambda: network(wide(8_000, 800)), "lif", "warning", {"board": BOARDS["kapohopoint"]}),
    "board-chips": (lambda: network(wide(8_000, 800)), "lif", "warning", {}),
    "lattice": (lambda: network(tclif(RNG, 6, 4, b1=[-1229], b2=[2458]), steps=784), "stock", "error", {}),
    "schedule": (lambda: small(a1=[[4096], [4000]], a2=[[4096], [4000]]), "stock", "error", {}),
    "reset-leak": (small, "stock", "error", {"one_run": True}),
    "io-width": (lambda: network(wide(2, 901)), "lif", "warning", {}),
    "tail-latency": (small, "stock", "note", {}),
}


def findings(net, path, **options):
    return check(net, Question(**{"board": BOARD, "path": path} | options))


@pytest.mark.parametrize("code", FAILING)
def test_a_check_finds_its_network(code):
    make, path, severity, options = FAILING[code]
    found = [f for f in findings(make(), path, **options) if f.code == code and f.severity == severity]
    assert found, f"no {severity} {code}"
    assert all(f.text and f.remedy for f in found)


def test_a_board_with_too_few_neurons_is_an_error():
    net = network(wide(1, 1_000_000))
    assert ("board-chips", "error") in {(f.code, f.severity) for f in findings(net, "lif")}


def test_a_measured_overflow_of_the_stock_path_is_an_error():
    """Without samples a soma is expected to stay below 16 thresholds; here the input drives it far beyond."""
    layer = tclif(RNG, 6, 4, bias=False)
    net = network(replace(layer, synapses=Synapses(weight=np.full((4, 6), 255), exponent=7)))
    found = findings(net, "stock", samples=np.ones((40, 1, 6)))
    assert [f.code for f in found if f.severity == "error"] == ["sum-range"]


def test_a_network_on_the_lattice_has_no_error_on_its_path():
    net = network(tclif(RNG, 6, 8, recurrent=True), lif(RNG, 8, 3, readout=True), steps=784)
    assert {f.severity for f in findings(net, "stock")} <= {"warning", "note"}
    assert {f.code for f in findings(net, "stock") if f.severity == "warning"} >= {"dv-range", "weight-format"}
    assert "neuron-unknown" in {f.code for f in findings(net, "lif") if f.severity == "error"}
    assert "neuron-unknown" not in {f.code for f in findings(net, "microcode", ncmodel=True)}
