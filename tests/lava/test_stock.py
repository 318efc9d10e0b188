"""Networks on stock neurons: what Lava's own unmodified processes give is `loihi.run_stock`'s, to the bit."""

import os
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.fixed.run import encode
from tclif_neuro.lava.guarding.guard import LavaError
from tclif_neuro.lava.hardware.job import run_graph_in_lava, run_network_in_lava, run_stock
from tclif_neuro.loihi.direct import to_direct
from tclif_neuro.loihi.graph import Edge, Graph, Node, run_graph
from tclif_neuro.loihi.stock import to_stock
from tclif_neuro.loihi.stock_run import run_network, same_run, sent_spikes
from tests.loihi.lattice import DRAWN, draw_case
from tests.loihi.nets import lif, network, spikes, tclif

pytestmark = [pytest.mark.slow, pytest.mark.lava]

NETWORKS = int(os.environ.get("TCLIF_STOCK_NETWORKS", DRAWN))  # more of them: docs/loihi.md


@pytest.mark.parametrize("seed", range(NETWORKS))
def test_networks_of_many_layers_and_any_form(seed, processes):
    case = draw_case(seed)
    found = run_stock(case.stock, case.x, record=True)
    for i, (a, b) in enumerate(zip(found.layers, case.run.layers, strict=True)):
        np.testing.assert_array_equal(a.counts, b.counts, err_msg=f"layer {i}: counts")
        np.testing.assert_array_equal(a.final, b.final, err_msg=f"layer {i}: final states")
        assert (a.recorded is None) == (b.recorded is None)
        for one, other in zip(a.recorded or (), b.recorded or (), strict=True):
            np.testing.assert_array_equal(one, other, err_msg=f"layer {i}")
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
