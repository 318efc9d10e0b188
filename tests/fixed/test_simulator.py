"""The fast simulator against the reference: every spike, every state, every count."""

import time
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.fixed import simulator
from tclif_neuro.fixed.program import SPARSE, compile_network
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
from tests.examples import examples
from tests.strategies import inputs, networks


def assert_equal(run, reference):
    assert run.predictions.tolist() == reference.predictions.tolist()
    for ours, theirs in zip(run.layers, reference.layers, strict=True):
        np.testing.assert_array_equal(ours.counts, theirs.counts)
        np.testing.assert_array_equal(ours.final, theirs.final)
        assert ours.saturations == theirs.saturations
        if ours.recorded is not None:
            np.testing.assert_array_equal(ours.spikes, theirs.spikes)
            np.testing.assert_array_equal(ours.states, theirs.states)


# First, since each of its two cases compiles the simulator where that has not been done.
@pytest.mark.parametrize(("largest", "real"), [(60, np.float32), (127, np.float64)])
def test_float64_takes_over_where_float32_would_round(largest, real):
    """Sums beyond 2^23, with states that hold the lowest bit: float32 would lose it."""
    rng = np.random.default_rng(8)
    weight = np.full((40, 60), 2 * largest)
    weight[:, ::2] *= -1
    layer = Layer(
        synapses=Synapses(weight=weight, exponent=6 if real == np.float64 else 0),
        neuron=TCLIFNeuron(a1=[[4095]], a2=[[4093]], b1=[-4095], b2=[4091], vth_mant=90_000, gamma_mant=70_001),
        bias_mant=rng.integers(-4096, 4096, 40),
    )
    net, x = QuantizedNetwork(layers=(layer,)), rng.random((60, 4, 60)) < 0.5
    assert compile_network(net).bias.dtype == real
    assert_equal(simulate(net, x, record=True), run_reference(net, x, record=True))


@examples(150)
@given(networks().flatmap(lambda net: st.tuples(st.just(net), inputs(net))))
def test_random_networks(case):
    net, x = case
    reference = run_reference(net, x, record=True)
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
    reference = run_reference(net, x, record=True)
    assert all(layer.spikes.any() if odd else 0.005 < layer.spikes.mean() < 0.95 for layer in reference.layers[:2])
    assert_equal(simulate(net, x, record=True), reference)


def test_a_stream_is_the_sequence():
    rng = np.random.default_rng(1)
    net = wide_network(rng, recurrent=True, reset="delayed")
    x = rng.random((90, 3, 12)) < 0.3
    reference = run_reference(net, x, record=True)
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
    """A run allocates its encoded input, which it returns, and apart from that the same for any T."""
    net = wide_network(np.random.default_rng(3), recurrent=True, reset="delayed")
    chip = Simulator(net, 2)
    chip.run(np.zeros((1, 2, 12)))
    peaks = []
    for steps in (10_000, 40_000):
        x = np.zeros((steps, 2, 12))
        tracemalloc.start()
        run = chip.run(x)
        peaks.append(tracemalloc.get_traced_memory()[1] - run.input.nbytes)
        tracemalloc.stop()
        assert all(layer.recorded is None for layer in run.layers)
    assert abs(peaks[1] - peaks[0]) < 50_000  # float64 inputs of the other 30,000 steps would be 5.8 MB


def cpu_seconds(run):
    """CPU time of `run()` in this thread and in the whole process, the least of five."""
    times = []
    for _ in range(5):
        thread, process = time.thread_time(), time.process_time()
        run()
        times.append((time.thread_time() - thread, time.process_time() - process))
    return min(times)


def test_a_single_sample_runs_in_the_calling_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    net = wide_network(np.random.default_rng(5), recurrent=True, reset="delayed")
    x = np.zeros((20_000, 8, 12))
    one, eight = Simulator(net, 1), Simulator(net, 8)
    one.run(x[:9, :1])
    eight.run(x[:9])
    thread, process = cpu_seconds(lambda: one.run(x[:, :1]))
    assert thread > 0.8 * process
    thread, process = cpu_seconds(lambda: eight.run(x))
    assert thread < 0.5 * process  # it only encodes the input


def test_time_is_linear_in_steps():
    net = wide_network(np.random.default_rng(6), recurrent=True, reset="delayed")
    x = np.random.default_rng(6).random((32_000, 1, 12)) < 0.3
    short, long = (cpu_seconds(lambda t=t: Simulator(net).run(x[:t]))[0] for t in (8_000, 32_000))
    assert 2 < long / short < 8


def test_silent_inputs_cost_little():
    layer = Layer(
        synapses=Synapses(weight=np.ones((512, 2000), int)),
        neuron=LIFNeuron(i_decay=4096, v_decay=4096, vth_mant=MANT_MAX),
        bias_mant=np.zeros(512, int),
    )
    chip = Simulator(QuantizedNetwork(layers=(layer,)))
    silent, loud = (cpu_seconds(lambda v=v: chip.run(np.full((200, 1, 2000), v)))[0] for v in (0, 1))
    assert loud > 3 * silent


@st.composite
def sparse_networks(draw):
    """Two layers whose matrices are mostly zero, so that they are stored sparsely; narrow and wide weights."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes, density = (draw(st.integers(60, 90)), 1100, 1080), draw(st.sampled_from([0.0, 0.001, 0.004]))

    def synapses(n, m):
        odd = draw(st.booleans())
        weight = rng.integers(1, 256, (n, m)) if odd else rng.integers(-128, 128, (n, m)) * 2
        return Synapses(weight=weight * (rng.random((n, m)) < density), exponent=draw(st.integers(-3, 3)))

    layers = tuple(
        Layer(
            synapses=synapses(n, m),
            recurrent=synapses(n, n),
            neuron=TCLIFNeuron(a1=[[4000]], a2=[[4096]], b1=[-500], b2=[1000], vth_mant=100, gamma_mant=50),
            bias_mant=rng.integers(-10, 2000, n),
        )
        for m, n in pairwise(sizes)
    )
    return QuantizedNetwork(layers=layers), rng.random((12, 2, sizes[0])) < draw(st.sampled_from([0.05, 0.5, 1.0]))


@examples(15)
@given(sparse_networks())
def test_sparse_matrices(case):
    net, x = case
    assert (compile_network(net).matrices["kind"] == SPARSE).all()
    assert_equal(simulate(net, x, record=True), run_reference(net, x, record=True))


def test_sums_of_graded_inputs_with_a_sign():
    """127 (17 + 113) + 128 128 leaves 16 bits, though the weights of neither sign alone can."""
    layer = Layer(
        synapses=Synapses(weight=np.array([[34, -256, 226]])),
        neuron=LIFNeuron(i_decay=4096, v_decay=4096, vth_mant=MANT_MAX),
        bias_mant=[0],
    )
    net = QuantizedNetwork(layers=(layer,), input=InputCoding(bits=8, signed=True))
    x = np.array([[[127, -128, 127]]])
    assert_equal(simulate(net, x, record=True), run_reference(net, x, record=True))


def test_a_dense_matrix_is_not_stored_sparsely():
    net = wide_network(np.random.default_rng(7), recurrent=True, reset="delayed")
    assert (compile_network(net).matrices["kind"] != SPARSE).all()


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
    for batch in (1.5, "4", None, True):
        with pytest.raises(InputError, match="batch: .* a whole number"):
            Simulator(net, batch)
