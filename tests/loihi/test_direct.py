"""A network on its own neurons as a graph: the bits of the reference, adapters or not, whatever a neuron is."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.fixed.run import encode
from tclif_neuro.loihi.direct import to_direct
from tclif_neuro.loihi.graph import Node, run_graph
from tclif_neuro.loihi.graph_arrays import from_arrays, to_arrays
from tclif_neuro.loihi.limits import find_board
from tclif_neuro.loihi.mapper import place
from tclif_neuro.loihi.stock import StockError, to_stock
from tclif_neuro.loihi.stock_run import as_run, run_network, same_run, sent_spikes
from tclif_neuro.network import FormatError, Synapses
from tests.examples import examples
from tests.loihi.nets import lif, network, spikes, tclif

ROWS = st.sampled_from([[[4096]], [[4064], [3000], [4096]]])


@examples(15)
@given(
    seed=st.integers(0, 2**32 - 1),
    reset=st.sampled_from(["delayed", "immediate"]),
    recurrent=st.booleans(),
    rows=ROWS,
    late=st.integers(0, 1),
)
def test_its_graph_has_the_bits_of_the_reference(seed, reset, recurrent, rows, late):
    rng = np.random.default_rng(seed)
    form = {"reset": reset, "recurrent": recurrent, "a1": rows, "a2": rows, "b1": [-1500], "bias": True}
    net = network(tclif(rng, 6, 8, **form), tclif(rng, 8, 7, gain=1, **form), lif(rng, 7, 3, readout=True, v_decay=40))
    x = spikes(rng, 30, 2, 6, rate=0.4)
    direct, encoded = to_direct(net, adapter_steps=late), encode(net, x)
    got, right = run_network(direct, encoded.values), run_reference(net, x, record=True)
    found = as_run(direct, encoded, got, record=True)
    for i, (spikes_, layer) in enumerate(zip(sent_spikes(direct, got, encoded), right.layers, strict=True)):
        np.testing.assert_array_equal(spikes_, layer.spikes, err_msg=f"layer {i}")
    np.testing.assert_array_equal(found.layers[-1].final, right.layers[-1].final)
    np.testing.assert_array_equal(found.logits, right.logits)


@examples(8)
@given(seed=st.integers(0, 2**32 - 1), late=st.integers(0, 1), way=st.sampled_from(["stock", "direct"]))
def test_a_sample_of_a_batch_with_lengths_is_what_it_is_alone(seed, late, way):
    rng = np.random.default_rng(seed)
    net = network(tclif(rng, 5, 6, recurrent=True), tclif(rng, 6, 4, gain=1), lif(rng, 4, 3, readout=True))
    x, lengths = spikes(rng, 20, 4, 5, rate=0.4), rng.integers(1, 21, 4)
    chip, encoded = (to_stock if way == "stock" else to_direct)(net, adapter_steps=late), encode(net, x, lengths)
    got = run_network(chip, encoded.values, encoded.lengths)
    found, sent = as_run(chip, encoded, got, record=False), sent_spikes(chip, got, encoded)
    for b, own in enumerate(lengths):
        alone = encode(net, x[:own, b : b + 1])
        got_alone = run_network(chip, alone.values)
        right = as_run(chip, alone, got_alone, record=False)
        np.testing.assert_array_equal(found.logits[b], right.logits[0])
        for i, (one, other) in enumerate(zip(found.layers, right.layers, strict=True)):
            np.testing.assert_array_equal(one.final[:, b], other.final[:, 0], err_msg=f"layer {i}")
            np.testing.assert_array_equal(one.counts[b], other.counts[0], err_msg=f"layer {i}")
        for i, (one, other) in enumerate(zip(sent, sent_spikes(chip, got_alone, alone), strict=True)):
            np.testing.assert_array_equal(one[:own, b], other[:, 0], err_msg=f"layer {i}")
            assert not one[own:, b].any()


def test_an_input_layer_of_one_synapse_per_neuron_is_sparse_and_placed_so():
    """As lava-dl's input neurons are read: a diagonal, which takes an axon's entry per neuron and no matrix."""
    rng = np.random.default_rng(6)
    first = lif(rng, 700, 700, bias=False, vth_mant=1)
    first = replace(first, synapses=Synapses(weight=np.eye(700, dtype=np.int64)))
    net = network(first, lif(rng, 700, 3, readout=True))
    x, direct = spikes(rng, 12, 2, 700), to_direct(net)
    assert [edge.diagonal for edge in direct.graph.edges] == [True, False]
    encoded = encode(net, x)
    got, right = run_network(direct, encoded.values), run_reference(net, x)
    np.testing.assert_array_equal(as_run(direct, encoded, got, record=False).logits, right.logits)
    assert [len(layer.parts) for layer in place(net, find_board("oheogulch"), "lif").layers] == [1, 1]


@pytest.mark.parametrize("reset", ["delayed", "immediate"])
def test_an_adapter_moves_the_stock_path_in_time_and_no_bit(reset):
    rng = np.random.default_rng(2)
    net = network(tclif(rng, 6, 8, reset=reset), tclif(rng, 8, 5, reset=reset, gain=1), lif(rng, 5, 3, readout=True))
    encoded = encode(net, spikes(rng, 40, 2, 6, rate=0.4))
    values = encoded.values
    plain, late = to_stock(net), to_stock(net, adapter_steps=1)
    one, other = run_network(plain, values), run_network(late, values)
    for a, b in zip(sent_spikes(plain, one, encoded), sent_spikes(late, other, encoded), strict=True):
        np.testing.assert_array_equal(a, b)
    assert same_run(plain, one, run_network(plain, values)) and not same_run(plain, one, other)


@pytest.mark.parametrize("neuron", [tclif, lif])
def test_a_bias_that_fires_before_the_sample_into_recurrent_synapses_is_quenched(neuron):
    rng = np.random.default_rng(3)
    loud = replace(neuron(rng, 4, 3, recurrent=True), bias_mant=np.array([4000, 3500, -90]), bias_exp=7)
    loud = replace(loud, neuron=replace(loud.neuron, vth_mant=3000))
    net, x = network(lif(rng, 4, 4, bias=False), loud, lif(rng, 3, 2, readout=True)), spikes(rng, 20, 2, 4)
    direct = to_direct(net, adapter_steps=1)
    assert any(node.name == "ticks" for node in direct.graph.nodes)
    encoded = encode(net, x)
    got = run_network(direct, encoded.values)
    for a, b in zip(sent_spikes(direct, got, encoded), run_reference(net, x, record=True).spikes, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(StockError, match="before its sample begins"):
        to_direct(network(replace(loud, synapses=net.layers[1].synapses)))


def test_tclif_goes_through_a_file_and_its_fields_are_checked():
    rng = np.random.default_rng(4)
    direct = to_direct(network(tclif(rng, 4, 3, b1=[-1, -2, -3], a1=[[5], [6]], a2=[[7], [8]])))
    text, arrays = to_arrays(direct.graph)
    again = from_arrays(text, arrays)
    assert to_arrays(again)[0] == text
    x = spikes(rng, 9, 1, 4).astype(int)
    one, other = (run_graph(graph, x, 11, ("0.F",)) for graph in (direct.graph, again))
    np.testing.assert_array_equal(one.sent["0.F"], other.sent["0.F"])
    for bad in (text.replace('"delayed"', '"never"'), text.replace('"vth_mant": 16384', '"vth_mant": "x"')):
        with pytest.raises(FormatError):
            from_arrays(bad, arrays)
    with pytest.raises(FormatError):
        from_arrays(text, {name: array[..., :2] if "b1" in name else array for name, array in arrays.items()})
    with pytest.raises(FormatError, match="belong to the kind tclif"):
        Node(name="n", kind="lif", size=1, neuron=direct.graph.nodes[1].neuron)
