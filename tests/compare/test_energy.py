"""The energy estimate: [T] table 2's figures, a network counted by hand, and the cases in which a term is not there."""

import dataclasses

import numpy as np
import pytest

from tclif_neuro import QuantizedNetwork, simulate
from tclif_neuro.compare.energy import energy, lif_operations, lstm_nj, picojoules, tclif_operations
from tclif_neuro.network import DECAY_ONE, InputCoding, Layer, LIFNeuron, Synapses, TCLIFNeuron

SIZES = ((1, 64), (64, 256), (256, 256))


def test_the_lstm_of_table_2_counts_no_recurrence_in_its_third_layer():
    whole = sum(lstm_nj(m, n) for m, n in SIZES)
    third = picojoules(0, 4 * 256 * 256) / 1000
    assert whole == pytest.approx(4040.64) and third == pytest.approx(1205.8624)
    assert whole - third == pytest.approx(2834.7776)  # printed: 2834.7


def test_the_second_compartment_costs_a_multiplication_a_neuron_and_an_addition_a_spike():
    lif, tclif = lif_operations(3.0, 2.0, 10, True), tclif_operations(3.0, 2.0, 10, True)
    assert lif == (3 * 10 + 10 * 2 + 2, 10)
    assert tclif == (lif[0] + 2, 20)
    assert tclif_operations(3.0, 2.0, 10, True, decays=2) == (lif[0] + 2, 40)


def network(neuron, recurrent=True, bits=0):
    rng = np.random.default_rng(5)

    def synapses(n, m):
        return Synapses(weight=2 * rng.integers(-60, 60, (n, m)), exponent=2)

    hidden = Layer(
        synapses=synapses(7, 4),
        recurrent=synapses(7, 7) if recurrent else None,
        neuron=neuron,
        bias_mant=np.full(7, 40),
        bias_exp=5,
    )
    integrator = LIFNeuron(i_decay=DECAY_ONE, v_decay=0, vth_mant=2**17 - 1)
    out = Layer(synapses=synapses(3, 7), neuron=integrator, bias_mant=np.zeros(3, int), readout=True)
    return QuantizedNetwork(layers=(hidden, out), input=InputCoding(bits=bits))


VANILLA = TCLIFNeuron(a1=[[DECAY_ONE]], a2=[[DECAY_ONE]], b1=[-2048], b2=[2048], vth_mant=200, gamma_mant=100)
X = np.random.default_rng(6).integers(0, 2, (9, 5, 4)).astype(float)


@pytest.mark.parametrize("recurrent", [True, False])
def test_a_network_counted_by_hand(recurrent):
    net = network(VANILLA, recurrent)
    run = simulate(net, X)
    spikes = run.layers[0].counts.sum() / X.shape[0] / X.shape[1]
    assert spikes > 0.5, "a silent network would count nothing"
    found = energy(net, run)
    events = X.sum() / 45
    assert found.layers[0].accumulates == pytest.approx(events * 7 + recurrent * 7 * spikes + 2 * spikes)
    assert found.layers[0].multiplies == 14
    assert (found.layers[1].accumulates, found.layers[1].multiplies) == (pytest.approx(3 * spikes), 0)
    pj = 0.9 * sum(layer.accumulates for layer in found.layers) + 4.6 * 14
    assert found.nj_per_step == pytest.approx(pj / 1000)
    assert found.uj_per_sample == pytest.approx(pj / 1000 * 9 / 1000)
    assert found.nj_per_step - found.lif_nj_per_step == pytest.approx((4.6 * 7 + 0.9 * spikes) / 1000)
    assert found.lstm_nj_per_step == lstm_nj(4, 7)


def test_a_graded_input_multiplies_and_a_decay_multiplies():
    net, graded = network(VANILLA), network(VANILLA, bits=8)
    run = simulate(graded, X * 3)
    assert energy(graded, run).layers[0].multiplies == pytest.approx(14 + X.sum() / 45 * 7)
    relaxed = network(dataclasses.replace(VANILLA, a1=[[4000]], a2=[[3900]]))
    assert energy(relaxed, simulate(relaxed, X)).layers[0].multiplies == 14 + 14
    assert energy(net, simulate(net, X)).layers[0].multiplies == 14


def test_a_lif_written_as_two_compartments_is_counted_as_a_lif():
    passive = TCLIFNeuron(a1=[[0]], a2=[[3700]], b1=[0], b2=[DECAY_ONE], vth_mant=200, gamma_mant=0)
    net = network(passive)
    found = energy(net, simulate(net, X)).layers[0]
    assert found.multiplies == 7 and found.nj == found.lif_nj


def paper(rate, operations, readout):
    """nJ per step of the recurrent 1-64-256-256(-10) at one rate in all layers, its input silent."""
    (_, first), (_, second), (_, third) = SIZES
    counts = [
        operations(0, rate * first, first, True),
        operations(rate * first, rate * second, second, True),
        operations(rate * second, rate * third, third, False),
    ]
    added = rate * third * 10 if readout else 0
    return picojoules(sum(a for a, _ in counts) + added, sum(m for _, m in counts)) / 1000


@pytest.mark.parametrize(
    ("printed", "operations", "readout", "rate"),
    [(23.8, lif_operations, False, 0.154), (28.2, tclif_operations, True, 0.164)],
)
def test_the_printed_energies_are_those_of_plausible_rates(printed, operations, readout, rate):
    """The paper's rates are not at hand: the mean rate that gives the energy, as it is linear in the rate."""
    silent, full = paper(0, operations, readout), paper(1, operations, readout)
    assert silent == pytest.approx(4.6 * 576 * (2 if operations is tclif_operations else 1) / 1000)
    assert (printed - silent) / (full - silent) == pytest.approx(rate, abs=5e-4)
