"""Padding is not read: a sample's answer, spikes and states are those that it has alone, to the bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tclif_neuro as tn
from tclif_neuro.compare.runs import score_of
from tclif_neuro.fixed.run import InputError, Run
from tests.examples import examples
from tests.strategies import inputs, networks

BACKENDS = ("simulator", "reference")


@st.composite
def cases(draw):
    """A network, samples and their lengths; `x` is not zero behind them."""
    net = draw(networks())
    x = draw(inputs(net))
    most = min(len(x), net.steps or len(x))
    return net, x, np.array(draw(st.lists(st.integers(1, most), min_size=x.shape[1], max_size=x.shape[1])))


def alone(net, x, end, backend):
    """One sample without its padding, as a batch of its own."""
    return tn.run(net, x[:end], backend, lengths=[end], record=True)


def check_sample(run, b, end, single):
    for ours, theirs in zip(run.layers, single.layers, strict=True):
        assert np.array_equal(ours.final[:, b], theirs.final[:, 0])
        assert np.array_equal(ours.counts[b], theirs.counts[0])
        assert np.array_equal(ours.spikes[:end, b], theirs.spikes[:, 0]) and not ours.spikes[end:, b].any()
        assert np.array_equal(ours.states[:, :end, b], theirs.states[:, :, 0])
        assert (ours.states[:, end:, b] == ours.final[:, None, b]).all()
    assert np.array_equal(run.outputs[:end, b], single.outputs[:, 0])
    assert np.array_equal(run.outputs[-1, b], run.logits[b])


@pytest.mark.parametrize("backend", BACKENDS)
@examples(30)
@given(cases())
def test_a_sample_is_what_it_is_alone(backend, case):
    net, x, lengths = case
    run = tn.run(net, x, backend, lengths=lengths, record=True)
    singles = [alone(net, x[:, b : b + 1], end, backend) for b, end in enumerate(lengths)]
    for b, (end, single) in enumerate(zip(lengths, singles, strict=True)):
        check_sample(run, b, end, single)
    for i, layer in enumerate(run.layers):
        assert layer.saturations == sum(single.layers[i].saturations for single in singles)
    assert run.steps == lengths.sum()
    joined = Run.join(singles) if len(set(lengths)) == 1 else run
    assert run.outside == pytest.approx(joined.outside)


def network():
    """Two recurrent layers, an undamped TC-LIF among them, and a readout: they go on in silence."""
    import torch

    torch.manual_seed(0)
    hidden = tn.TCLIF(20, recurrent=True), torch.nn.Linear(20, 15), tn.LIF(15, recurrent=True)
    model = torch.nn.Sequential(torch.nn.Linear(6, 20), *hidden, tn.Readout(15, 4, decay=0.9))
    x = torch.bernoulli(torch.full((40, 5, 6), 0.5))
    return tn.quantize(model, x), x.numpy()


@pytest.mark.parametrize("garbage", [0.0, 1.0, np.nan])
def test_whatever_stands_in_the_padding(garbage):
    net, x = network()
    lengths = np.array([40, 1, 13, 40, 28])
    wanted = tn.run(net, x, lengths=lengths, record=True)
    assert all(layer.counts.any() for layer in wanted.layers[:-1])
    for silent in (0, 60, 1000):
        padded = np.concatenate([x, np.full((silent, *x.shape[1:]), garbage, x.dtype)])
        padded[np.arange(len(padded))[:, None] >= lengths] = garbage
        for backend in BACKENDS if silent < 1000 else ("simulator",):
            run = tn.run(net, padded, backend, lengths=lengths, record=True)
            for ours, theirs in zip(run.layers, wanted.layers, strict=True):
                for field in ("final", "counts", "saturations"):
                    assert np.array_equal(getattr(ours, field), getattr(theirs, field))
                assert np.array_equal(ours.spikes[:40], theirs.spikes) and not ours.spikes[40:].any()
                assert np.array_equal(ours.states[:, :40], theirs.states)
            assert run.logits.tolist() == wanted.logits.tolist() and run.outside == wanted.outside


@pytest.mark.parametrize(
    ("lengths", "says"),
    [
        ([1, 2], r"integers \[5\] expected, got int64 \[2\]"),
        ([1.0] * 5, "got float64"),
        ([1, 2, 3, 0, 5], r"0 of sample 3 is outside \[1, 40\]"),
        ([1, 41, 3, 1, 5], r"41 of sample 1 is outside \[1, 40\], the steps that the network was made for"),
    ],
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_lengths_that_do_not_fit_are_refused(backend, lengths, says):
    net, x = network()
    with pytest.raises(InputError, match=says):
        tn.run(net, np.concatenate([x, x]), backend, lengths=lengths)


def test_scores_of_a_run_are_of_what_has_a_target():
    net, x = network()
    run = tn.run(net, x, lengths=[40, 1, 13, 40, 28], record=True)
    classes = run.predictions.copy()
    classes[0] += 1
    assert score_of(run, classes % 4).accuracy == 0.8
    steps = run.outputs.argmax(-1)
    steps[10:] = -100
    steps[0] = (steps[0] + 1) % 4
    found = score_of(run, steps)
    assert (found.accuracy, found.count, found.per_step) == (0.9, 50, True)
    values = run.float_outputs + np.arange(4.0)
    values[20:], values[:, :, 3] = np.nan, np.nan
    found = score_of(run, values)
    assert found.errors[:3] == pytest.approx((0, 1, 2)) and np.isnan(found.errors[3])
    assert found.error == pytest.approx((5 / 3) ** 0.5) and found.count == 100
    assert score_of(run, run.float_logits - 2.0).error == pytest.approx(2)
