"""Lava gives the reference's spikes and states, to the bit, whatever the network."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

import tclif_neuro as tn
from tclif_neuro.fixed.reference import run_reference
from tclif_neuro.fixed.run import InputError, Run, encode
from tclif_neuro.lava import guarded, run
from tclif_neuro.lava.inference.job import read_job, write_job
from tclif_neuro.network import (
    DECAY_ONE,
    MANT_MAX,
    STATE_MAX,
    InputCoding,
    Layer,
    LIFNeuron,
    QuantizedNetwork,
    Synapses,
    TCLIFNeuron,
)
from tests.examples import examples
from tests.strategies import inputs, networks

pytestmark = [pytest.mark.slow, pytest.mark.lava]
MODELS = Path(__file__).resolve().parent.parent.parent / "models"

BINARY, GRADED, SIGNED = InputCoding(), InputCoding(bits=8), InputCoding(bits=8, signed=True)


@pytest.fixture(scope="module")
def run_all(tmp_path_factory):
    """`run(net, x, record=True)` of many (net, x), in one child process: most of a run's time is the import of Lava."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent / "tasks")

        def run_cases(cases):
            folder = tmp_path_factory.mktemp("jobs")
            encoded = [encode(net, x) for net, x in cases]
            for i, (net, _) in enumerate(cases):
                (folder / f"job{i:02}").mkdir()
                write_job(folder / f"job{i:02}", net, encoded[i], record=True)
            guarded("lava_tasks:jobs", folder, timeout=200)
            layers = [read_job(folder / f"job{i:02}", len(net.layers)) for i, (net, _) in enumerate(cases)]
            return [Run.of(net, x, done) for (net, _), x, done in zip(cases, encoded, layers, strict=True)]

        yield run_cases


def assert_equal(net, ours, reference):
    """Every recorded number of every layer is the same; stock layers do not count saturations."""
    assert np.array_equal(ours.input, reference.input)
    for i, (a, b, layer) in enumerate(zip(ours.layers, reference.layers, net.layers, strict=True)):
        for field in ("spikes", "states", "final", "counts"):
            left, right = getattr(a, field), getattr(b, field)
            assert left.dtype == right.dtype and np.array_equal(left, right), f"layer {i}: {field}"
        assert a.saturations == (-1 if isinstance(layer.neuron, LIFNeuron) else b.saturations), f"layer {i}"
    assert np.array_equal(ours.logits, reference.logits)


def integers(rng, low, high, shape):
    return rng.integers(low, high, shape, endpoint=True)


def integrator(rng, n, inputs):
    """A readout."""
    return Layer(
        synapses=Synapses(weight=2 * integers(rng, -60, 60, (n, inputs)), exponent=1),
        neuron=LIFNeuron(i_decay=DECAY_ONE, v_decay=0, vth_mant=MANT_MAX),
        bias_mant=integers(rng, -40, 40, n),
        readout=True,
    )


cases = networks(max_layers=4, max_size=6).flatmap(lambda net: st.tuples(st.just(net), inputs(net, 9, 4)))


@examples(3, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(cases, min_size=9, max_size=9))
def test_any_network_gives_the_references_spikes_and_states(run_all, cases):
    for ours, (net, x) in zip(run_all(cases), cases, strict=True):
        assert_equal(net, ours, run_reference(net, x, record=True))


def busy(rng, inputs, coding=BINARY):
    """TC-LIF with both resets, LIF, schedules and recurrence in one network whose layers all spike; then a readout."""

    def layer(n, m, neuron, exponent=3):
        return Layer(
            synapses=Synapses(weight=2 * integers(rng, -128, 127, (n, m)), exponent=exponent),
            recurrent=Synapses(weight=2 * integers(rng, -100, 100, (n, n)), exponent=1),
            neuron=neuron,
            bias_mant=integers(rng, 0, 90, n),
            bias_exp=6,
        )

    def two_compartments(n, reset, table):
        decays = integers(rng, 3500, DECAY_ONE, (2, table, n))
        return TCLIFNeuron(a1=decays[0], a2=decays[1], b1=[-1000], b2=[2048], vth_mant=600, gamma_mant=200, reset=reset)

    leaky = LIFNeuron(i_decay=2000, v_decay=500, vth_mant=800)
    layers = (
        layer(7, inputs, two_compartments(7, "delayed", 4), 0 if coding.bits else 3),
        layer(6, 7, leaky),
        layer(5, 6, two_compartments(5, "immediate", 1)),
        integrator(rng, 3, 5),
    )
    return QuantizedNetwork(layers=layers, input=coding)


def test_every_kind_of_layer_in_one_busy_network(run_all):
    cases = []
    for coding in (BINARY, GRADED, SIGNED):
        rng = np.random.default_rng(3)
        x = integers(rng, *coding.range, (20, 3, 4))
        x[0, 0], x[1, 0] = coding.range
        cases.append((busy(rng, 4, coding), x))
    for ours, case in zip(run_all(cases), cases, strict=True):
        reference = run_reference(*case, record=True)
        assert all(layer.counts.any() and not layer.spikes.all() for layer in reference.layers[:-1])
        assert_equal(case[0], ours, reference)


def test_a_sample_does_not_know_its_predecessors(run_all):
    rng = np.random.default_rng(5)
    net, x = busy(rng, 4), rng.random((9, 3, 4)) > 0.5
    together, *each = run_all([(net, x), *((net, x[:, [sample]]) for sample in range(3))])
    for sample, alone in enumerate(each):
        for a, b in zip(together.layers, alone.layers, strict=True):
            assert np.array_equal(a.spikes[:, [sample]], b.spikes)
            assert np.array_equal(a.states[:, :, [sample]], b.states)


def test_samples_of_one_step():
    rng = np.random.default_rng(7)
    net, x = busy(rng, 4), rng.random((1, 6, 4)) > 0.3
    reference = run_reference(net, x, record=True)
    assert reference.layers[0].counts.any()
    assert_equal(net, run(net, x, record=True), reference)


def test_the_largest_numbers_of_every_format(run_all):
    """Weights, exponents, biases, thresholds and decays at both ends; states at both ends of their 24 bits."""

    def driven(neuron):
        ends = [[254, 254, 254, 254], [-256, -256, -256, -256], [254, -256, 254, -256]]
        synapses = Synapses(weight=np.array(ends), exponent=7)
        return Layer(synapses=synapses, neuron=neuron, bias_mant=[4095, -4096, 0], bias_exp=7)

    layers = []
    for reset in ("delayed", "immediate"):
        neuron = TCLIFNeuron(
            a1=[[DECAY_ONE]],
            a2=[[DECAY_ONE]],
            b1=[0, -DECAY_ONE, 0],
            b2=[DECAY_ONE, DECAY_ONE, 1],
            vth_mant=MANT_MAX,
            gamma_mant=MANT_MAX,
            reset=reset,
        )
        layers.append(driven(neuron))
    for i_decay, v_decay in ((1, 0), (DECAY_ONE, DECAY_ONE), (DECAY_ONE, 0)):
        neuron = LIFNeuron(i_decay=i_decay, v_decay=v_decay, vth_mant=MANT_MAX)
        layers.append(driven(neuron))
    x = np.repeat([[[127, 127, 127, 127]], [[-128, 127, -128, 127]]], 6, axis=0).astype(float)
    # One layer a network: each is driven to its limits by the input itself.
    cases = [(QuantizedNetwork(layers=(layer,), input=SIGNED), x) for layer in layers]
    for ours, case in zip(run_all(cases), cases, strict=True):
        reference = run_reference(*case, record=True)
        assert (abs(reference.layers[0].states) == STATE_MAX).any()
        assert_equal(case[0], ours, reference)


def test_without_record_only_the_totals():
    rng = np.random.default_rng(11)
    net, x = busy(rng, 4), rng.random((9, 2, 4)) > 0.5
    told = []
    ours, reference = run(net, x, progress=lambda *at: told.append(at)), run_reference(net, x, record=True)
    assert all(layer.recorded is None for layer in ours.layers)
    for a, b in zip(ours.layers, reference.layers, strict=True):
        assert np.array_equal(a.final, b.final) and np.array_equal(a.counts, b.counts)
    assert np.array_equal(ours.logits, reference.logits)
    assert told[-1] == (9 * 2 + 4, 9 * 2 + 4) and told == sorted(told)


def test_nothing_is_printed_and_nothing_is_left(capfd, processes):
    rng = np.random.default_rng(13)
    run(busy(rng, 4), rng.random((3, 1, 4)) > 0.5)
    assert capfd.readouterr() == ("", "")
    assert processes.alive() == []


def test_an_input_that_does_not_fit_is_refused_before_lava_starts(processes):
    with pytest.raises(InputError, match="3 channels, the network has 4"):
        run(busy(np.random.default_rng(1), 4), np.zeros((2, 1, 3)))


def test_padding_changes_no_bit():
    net = dataclasses.replace(tn.load(MODELS / "digits-rows.net"), steps=0)
    x, lengths = np.random.default_rng(0).random((8, 3, net.inputs)), [8, 5, 2]
    padded = np.concatenate([x, np.full((20, 3, net.inputs), np.nan)])
    plain, long = (tn.run(net, samples, "lava", lengths=lengths) for samples in (x, padded))
    alone = [tn.run(net, x[:end, i : i + 1], "reference").logits[0] for i, end in enumerate(lengths)]
    assert (plain.logits == long.logits).all() and (plain.logits == alone).all()
