"""The fast simulator against the reference: every spike, every state, every count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tclif_neuro.fixed import simulator
from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.fixed.run import InputError
from tclif_neuro.fixed.simulator import Simulator, simulate
from tclif_neuro.network import (
    MANT_MAX,
    FormatError,
    InputCoding,
    Layer,
    LIFNeuron,
    QuantizedNetwork,
    Synapses,
    TCLIFNeuron,
)
from tests.strategies import inputs, networks


def assert_equal(run, reference):
    assert run.predictions.tolist() == reference.predictions.tolist()
    for ours, theirs in zip(run.layers, reference.layers, strict=True):
        np.testing.assert_array_equal(ours.counts, theirs.counts)
        np.testing.assert_array_equal(ours.final, theirs.final)
        assert ours.saturations == theirs.saturations
        if ours.spikes is not None:
            np.testing.assert_array_equal(ours.spikes, theirs.spikes)
            np.testing.assert_array_equal(ours.states, theirs.states)


@settings(max_examples=150)
@given(networks().flatmap(lambda net: st.tuples(st.just(net), inputs(net))))
def test_random_networks(case):
    net, x = case
    reference = run_reference(net, x)
    assert_equal(simulate(net, x, record=True), reference)
    assert_equal(simulate(net, x), reference)


def wide_network(rng, *, recurrent, reset, exponent=0, bits=0, odd=False):
    """Two-compartment and LIF layers of realistic width and activity, with a readout."""

    def synapses(n, m, largest):
        weight = rng.integers(-largest, largest + 1, (n, m)) * 2
        return Synapses(weight=np.abs(weight) | 1 if odd else weight, exponent=exponent)

    def tclif(n, m, largest, schedule=1):
        decay = np.linspace(4096, 3900, schedule).astype(int)[:, None]
        return Layer(
            synapses=synapses(n, m, largest),
            recurrent=synapses(n, n, 20) if recurrent else None,
            neuron=TCLIFNeuron(
                a1=decay,
                a2=decay,
                b1=rng.integers(-4000, -100, n),
                b2=[2048],
                vth_mant=300,
                gamma_mant=150,
                reset=reset,
            ),
            bias_mant=rng.integers(-4, 12, n),
            bias_exp=5,
        )

    lif = Layer(
        synapses=synapses(40, 96, 60),
        recurrent=synapses(40, 40, 20) if recurrent else None,
        neuron=LIFNeuron(i_decay=3000, v_decay=200, vth_mant=500),
        bias_mant=np.zeros(40, int),
        bias_exp=6,
    )
    readout = Layer(
        synapses=synapses(10, 40, 60),
        neuron=LIFNeuron(i_decay=4096, v_decay=0, vth_mant=MANT_MAX),
        bias_mant=np.zeros(10, int),
        readout=True,
    )
    coding = InputCoding(bits=bits, scale=100.0 if bits else 1.0, signed=bool(bits))
    return QuantizedNetwork(layers=(tclif(64, 12, 60), tclif(96, 64, 60, 5), lif, readout), input=coding)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("reset", ["delayed", "immediate"])
@pytest.mark.parametrize(("exponent", "bits", "odd"), [(0, 0, False), (-2, 8, False), (-3, 0, True)])
def test_wide_networks_over_many_chunks(recurrent, reset, exponent, bits, odd):
    rng = np.random.default_rng(0)
    net = wide_network(rng, recurrent=recurrent, reset=reset, exponent=exponent, bits=bits, odd=odd)
    x = rng.normal(0, 0.5, (3 * simulator.CHUNK + 7, 5, 12)) if bits else rng.random((150, 5, 12)) < 0.3
    reference = run_reference(net, x)
    assert all(layer.spikes.any() if odd else 0.005 < layer.spikes.mean() < 0.95 for layer in reference.layers[:2])
    assert_equal(simulate(net, x, record=True), reference)


def test_a_stream_is_the_sequence():
    rng = np.random.default_rng(1)
    net = wide_network(rng, recurrent=True, reset="delayed")
    x = rng.random((90, 3, 12)) < 0.3
    reference = run_reference(net, x)
    chip = Simulator(net, 3)
    for _ in range(2):
        potentials = np.stack([chip.step(row) for row in x])
        np.testing.assert_array_equal(potentials, reference.states[-1][1])
        chip.reset()
    first = chip.run(x[:40], record=True)
    rest = chip.run(x[40:], record=True)
    for i, layer in enumerate(reference.layers):
        np.testing.assert_array_equal(np.concatenate([first.spikes[i], rest.spikes[i]]), layer.spikes)
    np.testing.assert_array_equal(rest.logits, reference.logits)


def test_samples_do_not_see_each_other():
    rng = np.random.default_rng(2)
    net = wide_network(rng, recurrent=True, reset="immediate")
    x = rng.random((30, 40, 12)) < 0.3
    together = simulate(net, x)
    for b in (0, 17, 39):
        np.testing.assert_array_equal(together.logits[b], simulate(net, x[:, b : b + 1]).logits[0])


def test_memory_is_flat_in_time_unless_recording():
    """Nothing that the simulator keeps between chunks has a time axis."""
    net = wide_network(np.random.default_rng(3), recurrent=True, reset="delayed")
    chip = Simulator(net, 2)
    sizes = []
    for steps in (10, 1000):
        chip.reset()
        run = chip.run(np.zeros((steps, 2, 12)))
        assert run.spikes == (None,) * 4 and run.states == (None,) * 4
        sizes.append(sum(array.nbytes for memory in chip._memories for array in memory))
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.zeros((5, 12)), "[5, 12]"),
        (np.zeros((5, 0, 12)), "empty"),
        (np.zeros((5, 2, 11)), "11 channels"),
        (np.full((5, 2, 12), np.nan), "NaN"),
    ],
)
@pytest.mark.parametrize("execute", [simulate, run_reference])
def test_input_that_does_not_fit(execute, x, says):
    net = wide_network(np.random.default_rng(4), recurrent=False, reset="delayed")
    with pytest.raises((InputError, FormatError)) as caught:
        execute(net, x)
    assert says in str(caught.value)


def test_batch_of_another_size():
    net = wide_network(np.random.default_rng(4), recurrent=False, reset="delayed")
    with pytest.raises(InputError, match="3 samples, the simulator was made for 2"):
        Simulator(net, 2).run(np.zeros((4, 3, 12)))
    with pytest.raises(InputError, match="batch: 0"):
        Simulator(net, 0)
