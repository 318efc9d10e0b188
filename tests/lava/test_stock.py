"""Networks on stock neurons: what Lava's own unmodified processes give is `loihi.run_stock`'s, to the bit."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.fixed.run import encode
from tclif_neuro.lava.guarding.guard import LavaError
from tclif_neuro.lava.hardware.job import run_graph_in_lava, run_network_in_lava, run_stock
from tclif_neuro.loihi.direct import to_direct
from tclif_neuro.loihi.graph import Edge, Graph, Node, run_graph
from tclif_neuro.loihi.stock import StockError, to_stock
from tclif_neuro.loihi.stock_run import run_network, same_run, sent_spikes
from tclif_neuro.loihi.stock_run import run_stock as expected_run
from tests.loihi.nets import lif, network, spikes, tclif

pytestmark = [pytest.mark.slow, pytest.mark.lava]

slow_property = settings(  # a run starts some fifty processes
    max_examples=5,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)


def check_same(net, x):
    stock = to_stock(net)
    found, right = run_stock(stock, x, record=True), expected_run(stock, x, record=True)
    for i, (a, b) in enumerate(zip(found.layers, right.layers, strict=True)):
        np.testing.assert_array_equal(a.counts, b.counts, err_msg=f"layer {i}: counts")
        np.testing.assert_array_equal(a.final, b.final, err_msg=f"layer {i}: final states")
        assert (a.recorded is None) == (b.recorded is None)
        for one, other in zip(a.recorded or (), b.recorded or (), strict=True):
            np.testing.assert_array_equal(one, other, err_msg=f"layer {i}")
    return right


@slow_property
@given(
    seed=st.integers(0, 2**32 - 1),
    reset=st.sampled_from(["delayed", "immediate"]),
    recurrent=st.booleans(),
    bias=st.booleans(),
    decays=st.tuples(*[st.sampled_from([4096, 4064, 3072])] * 2),
    couplings=st.lists(st.tuples(st.integers(1, 15), st.integers(1, 15)), min_size=5, max_size=5),
)
def test_one_layer_of_any_form(seed, reset, recurrent, bias, decays, couplings, processes):
    rng = np.random.default_rng(seed)
    b1, b2 = -256 * np.array(couplings).T[0], 256 * np.array(couplings).T[1]
    form = {"reset": reset, "recurrent": recurrent, "bias": bias, "b1": b1, "b2": b2}
    net = network(tclif(rng, 6, 5, a1=[[decays[0]]], a2=[[decays[1]]], **form))
    try:
        to_stock(net)
    except StockError as error:  # with a decay, sixteenths may leave the lattice: refused, which tests/loihi holds
        assert error.code == "lattice"
        reject()
    check_same(net, spikes(rng, 60, 1, 6, rate=0.3))
    assert processes.alive() == []


@pytest.mark.parametrize("reset", ["delayed", "immediate"])
def test_three_layers_a_lif_and_a_readout(reset, processes):
    """Recurrent, with biases and decays, each layer beginning when the spikes of the one before arrive."""
    rng = np.random.default_rng(4)
    form = {"reset": reset, "recurrent": True, "a1": [[4064]], "a2": [[4096]]}
    layers = [tclif(rng, 8, 12, **form), tclif(rng, 12, 10, gain=1, **form), tclif(rng, 10, 8, gain=2, reset=reset)]
    net = network(*layers, lif(rng, 8, 4), lif(rng, 4, 3, readout=True, v_decay=12))
    run = check_same(net, spikes(rng, 60, 2, 8, rate=0.35))
    assert all(layer.counts.sum() > 0 for layer in run.layers[:4])
    assert processes.alive() == []


def test_a_network_on_its_own_neurons_through_adapters_and_what_ran_where(processes):
    """TC-LIF of both resets and a schedule, a bias that has to be quenched, a readout: the path microcode on a CPU."""
    rng = np.random.default_rng(8)
    loud = replace(tclif(rng, 6, 8, recurrent=True), bias_mant=np.full(8, 4000), bias_exp=7)
    loud = replace(loud, neuron=replace(loud.neuron, vth_mant=3000))
    adaptive = tclif(rng, 8, 5, gain=1, reset="immediate", a1=[[4096], [3000]], a2=[[4000], [2000]])
    net = network(loud, adaptive, lif(rng, 5, 3, readout=True, v_decay=9))
    x = spikes(rng, 25, 2, 6, rate=0.3)
    direct, encoded = to_direct(net, adapter_steps=1), encode(net, x)
    done = run_network_in_lava(direct, encoded.values)
    assert same_run(direct, done.got, run_network(direct, encoded.values))
    for a, b in zip(sent_spikes(direct, done.got, encoded), run_reference(net, x, record=True).spikes, strict=True):
        np.testing.assert_array_equal(a, b)
    models = Counter(choice.model for choice in done.placement)
    assert models["PyTCLIFFixed"] == 2 and models["PySparseModelBitAcc"] == 4  # adapters: one in, three out
    assert all(choice.on_host and choice.resources for choice in done.placement) and done.profile == {}
    assert processes.alive() == []


def test_the_stock_path_through_adapters_and_samples_of_their_own_lengths():
    rng = np.random.default_rng(9)
    net = network(tclif(rng, 6, 5, recurrent=True), lif(rng, 5, 3, readout=True))
    stock, encoded = to_stock(net, adapter_steps=1), encode(net, spikes(rng, 20, 2, 6, rate=0.3), [20, 8])
    done = run_network_in_lava(stock, encoded.values, lengths=encoded.lengths)
    assert same_run(stock, done.got, run_network(stock, encoded.values, encoded.lengths))


def test_sums_that_leave_24_and_32_bits_do_the_same():
    """A sigma wraps at 32 bits and says nothing; a LIF's current wraps at 24."""
    nodes = (
        Node(name="x", kind="source", size=2),
        Node(name="s", kind="sigma", size=2),
        Node(name="t", kind="sigma", size=2),
        Node(name="f", kind="lif", size=2, du=1000, dv=3000, vth=900, bias_mant=np.array([-7, 9]), bias_exp=3),
    )
    weight = np.array([[254, -256], [100, 90]])
    edges = (
        Edge(source="x", targets=("s",), weight=weight, exponent=7, message_bits=8),
        Edge(source="s", targets=("t", "f"), weight=np.array([-255, -3]), exponent=-3, message_bits=24),
        Edge(source="t", targets=("s",), weight=np.array([7, 1]), exponent=5, message_bits=24),
        Edge(source="f", targets=("f",), weight=np.array([[0, 4], [2, 0]]), exponent=2),
    )
    graph = Graph(nodes=nodes, edges=edges)
    x = np.random.default_rng(6).integers(-128, 128, (40, 2, 2)).astype(np.int16)
    names = ("s", "t", "f")
    found, right = run_graph_in_lava(graph, x, 45, names).got, run_graph(graph, x, 45, names)
    for name in ("s", "t", "f"):
        np.testing.assert_array_equal(found.sent[name], right.sent[name], err_msg=name)
    np.testing.assert_array_equal(found.final["f"], right.final["f"])
    assert right.left["s"] > 0 and right.left["f"] > 0 and right.sent["f"].any()


def test_a_run_beyond_its_deadline_ends(processes):
    rng = np.random.default_rng(1)
    stock = to_stock(network(tclif(rng, 4, 3)))
    with pytest.raises(LavaError, match="timeout of 0.5 s"):
        run_stock(stock, spikes(rng, 50, 1, 4), timeout=0.5)
    assert processes.alive() == []
