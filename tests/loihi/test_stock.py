"""The stock path: its constants against TC-LIF in float, its integers against a judge of its own, its refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.loihi.graph import Edge, Graph, Node
from tclif_neuro.loihi.graph_arrays import from_arrays, to_arrays
from tclif_neuro.loihi.stock import StockError, to_stock
from tclif_neuro.loihi.stock_run import run_stock
from tclif_neuro.loihi.terms import INTEGER_MAX, TermError, fraction_terms, integer_terms
from tclif_neuro.network import FormatError
from tests.examples import examples
from tests.loihi.lattice import DRAWN, draw_case
from tests.loihi.nets import lif, network, small_threshold, spikes, tclif

RESETS, SIXTEENTHS = ("delayed", "immediate"), st.integers(1, 15)


def neuron(current, a1, a2, b1, b2, gamma, vth, reset, recurrent):
    """TC-LIF in float64, as its paper writes it; current [T, N]. Returns spikes."""
    ud, us, s = np.zeros((3, current.shape[1]))
    out = np.zeros_like(current)
    for t, row in enumerate(current):
        late = reset == "delayed"
        ud = a1 * ud + b1 * us + row + recurrent @ s - late * gamma * s
        us = a2 * us + b2 * ud - late * vth * s
        s = out[t] = (us >= vth) * 1.0
        if not late:
            ud, us = ud - gamma * s, us - vth * s
    return out


def stock(current, a1, a2, b1, b2, gamma, vth, reset, recurrent):
    """The three stock neurons in float64, as docs/loihi.md writes them; every synapse a step late."""
    n, threshold = current.shape[1], vth
    if reset == "immediate":
        gamma, vth = a1 * gamma + b1 * vth, a2 * vth
    k, rho = a1 + b1 * b2, recurrent - gamma * np.eye(n)
    to_d, to_z = k * rho - b1 * vth * np.eye(n), b2 * rho - vth * np.eye(n)
    d, z, f = np.zeros((3, n))
    out = np.zeros_like(current)
    for t, row in enumerate(current):
        d, z = d + (k - 1) * d + b1 * a2 * z + to_d @ f + row, z + (a2 - 1) * z + b2 * d + to_z @ f
        f = out[t] = (z >= threshold) * 1.0
    return out


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("constants", [(1, 1, -0.5, 0.5, 0.5), (0.95, 0.9, -0.5, 1.0, 0.3), (0.8, 0.99, -0.3, 0.6, 1)])
def test_the_constants_make_up_for_the_late_step(reset, recurrent, constants):
    rng = np.random.default_rng(7)
    n = 40
    current = (rng.random((300, 24)) < 0.1) @ rng.normal(0.03, 0.2, (24, n))
    back = rng.normal(0, 0.1, (n, n)) * recurrent
    right, found = (f(current, *constants, 1.0, reset, back) for f in (neuron, stock))
    assert right.sum() > 100
    np.testing.assert_array_equal(found[1:], right[:-1])


def judge(net, x):
    """One feed-forward layer with the delayed reset and no decay, in Python's integers; x [T, M]. Spikes and D, Z."""
    (layer,) = net.layers
    loss = to_stock(net).loss[0]
    down, coarse, vth = loss.bits_dropped, loss.coarse, loss.threshold
    gamma = layer.neuron.gamma / 2**down
    rows = []
    for n in range(layer.size):
        b1, b2 = (int(c[min(n, len(c) - 1)]) // 16 for c in (layer.neuron.b1, layer.neuron.b2))  # 256ths
        bb = b1 * b2 // 256
        to_d = round(-(1 + bb / 256) * gamma - b1 / 256 * vth)
        exact = -b2 / 256 * gamma - vth
        to_z, to_f = round(exact), round(exact / 2**coarse)
        d = z = f = 0
        row = []
        for t in range(len(x) + 1):
            total = int(layer.synapses.weight[n] @ x[t]) if t < len(x) else 0
            current = (total << layer.synapses.exponent + 6 >> down) + round(int(layer.bias[n]) / 2**down)
            seen = (z >> coarse) + (b2 * d >> 8 + coarse) + to_f * f
            d, z = d + (bb * d >> 8) + (b1 * z >> 8) + to_d * f + current, z + (b2 * d >> 8) + to_z * f
            f = int(seen >= vth >> coarse)
            row.append((f, d, z))
        rows.append(row)
    return np.array(rows).transpose(2, 1, 0)


@examples(10)
@given(st.integers(0, 2**32 - 1), st.lists(st.tuples(SIXTEENTHS, SIXTEENTHS), min_size=1, max_size=5))
def test_the_integers_are_those_of_the_judge(seed, couplings):
    rng = np.random.default_rng(seed)
    b1, b2 = -256 * np.array(couplings).T[0], 256 * np.array(couplings).T[1]
    net = network(tclif(rng, 6, len(couplings), b1=b1, b2=b2))
    x = spikes(rng, 60, 1, 6, rate=0.3)
    fire, dendrite, soma = judge(net, x[:, 0].astype(int))
    (found,) = run_stock(to_stock(net), x, record=True).layers
    np.testing.assert_array_equal(found.spikes[:, 0], fire[1:])
    np.testing.assert_array_equal(found.states[:, :, 0], np.stack([dendrite, soma])[:, :-1])


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("decay", [4096, 4064])
def test_it_spikes_as_the_network_does(reset, recurrent, decay):
    """Products round differently, so not to the bit; the same seed gives the same integers everywhere."""
    rng = np.random.default_rng(5)
    layers = [tclif(rng, m, 24, reset=reset, recurrent=recurrent, a1=[[decay]], a2=[[decay]]) for m in (20, 24)]
    net = network(*layers, lif(rng, 24, 5, readout=True, v_decay=0))
    x = spikes(rng, 80, 3, 20)
    right, found = run_reference(net, x, record=True), run_stock(to_stock(net), x, record=True)
    for a, b in zip(right.layers[:2], found.layers[:2], strict=True):
        assert a.spikes.sum() > 15
        assert (a.spikes & b.spikes).sum() > 0.8 * (a.spikes | b.spikes).sum()
    assert all(layer.saturations == 0 for layer in found.layers)


def test_a_readout_without_a_two_compartment_layer_is_the_network_itself():
    rng = np.random.default_rng(1)
    net = network(lif(rng, 6, 8, bias=False), lif(rng, 8, 3, readout=True))
    x = spikes(rng, 30, 4, 6)
    right, found = run_reference(net, x), run_stock(to_stock(net), x)
    np.testing.assert_array_equal(right.logits, found.logits)
    for a, b in zip(right.layers, found.layers, strict=True):
        np.testing.assert_array_equal(a.counts, b.counts)
    np.testing.assert_array_equal(right.layers[1].final, found.layers[1].final)


def test_what_has_no_stock_form_is_refused():
    rng = np.random.default_rng(2)
    cases = [
        ("schedule", network(tclif(rng, 4, 3, a1=[[4096], [4000]], a2=[[4096], [4000]]))),
        ("lattice", network(tclif(rng, 4, 3, b1=[-1229], b2=[2458]), steps=784)),
        ("neuron-format", network(lif(rng, 4, 3), tclif(rng, 3, 3))),
        ("neuron-format", small_threshold()),
    ]
    for code, net in cases:
        with pytest.raises(StockError) as caught:
            to_stock(net)
        assert caught.value.code == code, caught.value


def test_the_networks_that_lava_confirms_have_every_form():
    forms = frozenset.union(*(draw_case(seed).axes for seed in range(DRAWN)))
    per = {f"{name} per {what}" for name in ("a1", "b1") for what in ("layer", "neuron")}
    fading = {f"{name} {what}" for name in ("a1", "a2") for what in ("fades", "stays")}
    signs = {"signed", "unsigned", "b1 of either sign"}
    kinds = {"delayed", "immediate", "recurrent", "feed-forward", "bias", "no bias", "LIF", "behind a LIF", "readout"}
    assert forms == per | fading | signs | kinds | {"calibrated", "input of 0 bits", "input of 8 bits"}


@examples(30)
@given(st.lists(st.integers(-INTEGER_MAX, INTEGER_MAX), min_size=1, max_size=6))
def test_integers_are_exact_sums_of_weights(values):
    terms = integer_terms(np.array(values))
    total = sum((m.astype(int) << e for m, e in terms), np.zeros(len(values), int))
    assert total.tolist() == values
    assert all(np.abs(m).max() <= 255 and ((m >= 0).all() or (m <= 0).all()) for m, _ in terms)


@examples(30)
@given(st.lists(st.integers(-512, 512), min_size=1, max_size=6), st.integers(0, 4))
def test_couplings_are_exact_sums_of_weights(values, coarser):
    values = np.array(values)
    try:
        terms = fraction_terms(values, coarser)
    except TermError:
        assert coarser and (np.abs(values) % 2**coarser).any()
        return
    total = sum((m * 2.0 ** (e + 8 + coarser) for m, e in terms), np.zeros(len(values)))
    assert total.tolist() == values.tolist()
    assert all(-8 <= e <= 7 and np.abs(m).max() <= 255 for m, e in terms)
    assert all((m >= 0).all() or (m <= 0).all() for m, _ in terms)


def test_a_graph_goes_through_a_file_and_nothing_else_does():
    rng = np.random.default_rng(3)
    graph = to_stock(network(tclif(rng, 4, 3, recurrent=True), lif(rng, 3, 2, readout=True))).graph
    text, arrays = to_arrays(graph)
    again = from_arrays(text, arrays)
    assert [n.name for n in again.nodes] == [n.name for n in graph.nodes]
    assert to_arrays(again)[0] == text
    hostile = [
        ("{", arrays),
        ("[" * 100_000, arrays),
        ("[]", arrays),
        (text.replace('"sigma"', '"shell"'), arrays),
        (text.replace('"exponent": 5', '"exponent": "5"'), arrays),
        (text.replace('"0.Z"', '"nobody"', 1), arrays),
        (text, {}),
        (text, {name: array.astype(float) for name, array in arrays.items()}),
        (text, {name: array[..., :1] for name, array in arrays.items()}),
        (text, {name: array * 1000 for name, array in arrays.items()}),
    ]
    for words, data in hostile:
        with pytest.raises(FormatError):
            from_arrays(words, data)


def test_a_graph_has_one_source_and_matching_shapes():
    source, node = Node(name="x", kind="source", size=2), Node(name="s", kind="sigma", size=3)
    Graph(nodes=(source, node), edges=(Edge(source="x", targets=("s",), weight=np.ones((3, 2), int)),))
    for nodes, shape in [((node,), None), ((source, source), None), ((source, node), (2, 3)), ((source, node), (3,))]:
        edges = () if shape is None else (Edge(source="x", targets=("s",), weight=np.ones(shape, int)),)
        with pytest.raises(FormatError):
            Graph(nodes=nodes, edges=edges)
