"""The shapes that go in and the results that come out, the same for all executors."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tclif_neuro as tn
from tclif_neuro.errors import TclifError
from tclif_neuro.fixed.run import NOT_COUNTED, InputError, NotRecorded, Run
from tclif_neuro.network import MANT_MAX, Layer, LIFNeuron, QuantizedNetwork, Synapses
from tests.strategies import inputs, networks

BACKENDS = ("simulator", "reference")


def network(steps):
    integrator = LIFNeuron(i_decay=4096, v_decay=0, vth_mant=MANT_MAX)
    synapses = Synapses(weight=[[2, -4, 6]])
    layer = Layer(synapses=synapses, neuron=integrator, bias_mant=[0], scale_bits=9, readout=True)
    return QuantizedNetwork(layers=(layer,), steps=steps)


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_number_of_steps_is_refused(backend):
    x = np.zeros((8, 5, 3))
    for given_ in (x.swapaxes(0, 1), x[:7], np.concatenate([x, x])):
        with pytest.raises(InputError, match=rf"{len(given_)} steps, .* made for 8; \[steps, batch, inputs\]"):
            tn.run(network(8), given_, backend)
    tn.run(network(8), x, backend), tn.run(network(0), x[:5], backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_masked_array_is_refused_and_not_read_through_its_mask(backend):
    x = np.ma.masked_array(np.ones((8, 2, 3)), False)
    tn.run(network(8), x, backend)
    x[3, 1, 2] = np.ma.masked
    with pytest.raises(InputError, match="masked array"):
        tn.run(network(8), x, backend)


def test_a_step_of_another_shape_is_refused_by_its_own_shape():
    for x in (np.ones(3), np.ones((8, 1, 3))):
        with pytest.raises(
            InputError, match=rf"one step, \[batch, 3\], expected, got shape {re.escape(str(list(x.shape)))}"
        ):
            tn.Simulator(network(8)).step(x)


def test_a_stream_may_come_in_parts_but_not_beyond_its_sample():
    chip, x = tn.Simulator(network(8)), np.ones((8, 1, 3))
    chip.run(x[:3]), chip.run(x[3:])
    for go_on in (lambda: chip.step(x[0]), lambda: chip.run(x[:2])):
        with pytest.raises(InputError, match=r"step (9|10) of a sample, the network was made for 8; reset\(\)"):
            go_on()
    chip.reset()
    assert chip.run(x).logits.tolist() == tn.run(network(8), x).logits.tolist()
    endless = tn.Simulator(network(0))
    assert all(endless.run(x) for _ in range(3))


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_was_not_recorded_says_how_to(backend):
    run = tn.run(network(0), np.ones((4, 2, 3)), backend)
    for ask in (
        lambda: run.spikes,
        lambda: run.states,
        lambda: run.layers[0].spikes,
        lambda: run.layers[0].dendrite,
        lambda: run.layers[0].soma,
    ):
        with pytest.raises(NotRecorded, match="record=True"):
            ask()
    layer = tn.run(network(0), np.ones((4, 2, 3)), backend, record=True).layers[0]
    assert layer.dendrite is not layer.soma and layer.soma.shape == layer.spikes.shape == (4, 2, 1)
    assert (layer.states == [layer.dendrite, layer.soma]).all() and (layer.final == layer.states[:, -1]).all()


def test_logits_in_the_units_of_the_float_model():
    run = tn.run(network(0), np.eye(3)[None])
    assert run.logits.tolist() == [[2 << 6], [-4 << 6], [6 << 6]]
    assert run.float_logits.tolist() == [[2 * 64 / 512], [-4 * 64 / 512], [6 * 64 / 512]]


def test_an_unknown_backend_is_refused_and_progress_is_told():
    with pytest.raises(TclifError, match="'gpu': simulator, reference, lava expected"):
        tn.run(network(0), np.ones((1, 1, 3)), "gpu")
    told = []
    tn.run(network(0), np.ones((1, 4, 3)), progress=lambda *at: told.append(at))
    assert told == [(4, 4)]


@given(networks().flatmap(lambda net: st.tuples(st.just(net), inputs(net), st.integers(1, 3), st.booleans())))
def test_joined_batches_are_the_run_of_all(case):
    net, x, size, record = case
    whole = tn.run(net, x, record=record)
    parts = [tn.run(net, x[:, i : i + size], record=record) for i in range(0, x.shape[1], size)]
    joined = Run.join(parts)
    assert joined.outside == pytest.approx(whole.outside)
    assert np.array_equal(joined.input, whole.input) and np.array_equal(joined.logits, whole.logits)
    for a, b in zip(joined.layers, whole.layers, strict=True):
        assert a.saturations == b.saturations != NOT_COUNTED
        assert np.array_equal(a.final, b.final) and np.array_equal(a.counts, b.counts)
        assert not record or (np.array_equal(a.spikes, b.spikes) and np.array_equal(a.states, b.states))
