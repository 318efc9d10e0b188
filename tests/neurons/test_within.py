"""Modules of samples with lengths: states, spikes, logits and gradients without what stands in the padding."""

import pytest
import torch
from torch import nn

import tclif_neuro as tn
from tclif_neuro.neurons.trace import trace

STEPS, BATCH = 9, 5
LENGTHS = torch.tensor([9, 2, 5, 1, 5])
LAYERS = {
    "tclif": lambda: tn.TCLIF(6, recurrent=True),
    "adaptive": lambda: tn.AdaptiveTCLIF(6, schedule=tn.Schedule(theta=3)),
    "lif": lambda: tn.LIF(6, recurrent=True, learn_beta=True),
    "liquid": lambda: tn.LiquidLIF(6),
}


def padded(x, value):
    return torch.where((torch.arange(len(x))[:, None] < LENGTHS)[..., None], x, value)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_returns_the_state_at_each_sample_s_own_end(name):
    torch.manual_seed(0)
    layer, current = LAYERS[name](), 2 * torch.rand(STEPS, BATCH, 6)
    spikes, state = layer.scan(padded(current, torch.nan), lengths=LENGTHS)
    assert torch.equal(spikes, layer(padded(current, 7.0), LENGTHS)) and spikes.any()
    for b, end in enumerate(LENGTHS):
        alone, own = layer.scan(current[:end, b : b + 1])
        assert torch.equal(spikes[:end, b : b + 1], alone) and not spikes[end:, b].any()
        for ours, theirs in zip(state, own, strict=True):
            torch.testing.assert_close(ours[b : b + 1], theirs)


def model():
    torch.manual_seed(1)
    hidden = tn.BatchNorm(8), tn.TCLIF(8, recurrent=True), nn.Sequential(nn.Linear(8, 7), tn.LIF(7))
    return nn.Sequential(nn.Linear(4, 8), *hidden, tn.Readout(7, 3, decay=0.9))


@pytest.mark.parametrize("silent", [0, 60])
def test_logits_and_gradients_do_not_depend_on_the_padding(silent):
    x = torch.rand(STEPS, BATCH, 4)
    garbage = torch.cat([padded(x, torch.nan), torch.full((silent, BATCH, 4), torch.nan)])
    found = []
    for given in (padded(x, 0.0), garbage):
        net = model()
        logits = tn.logits(net, given, LENGTHS)
        logits.square().sum().backward()
        outputs = tn.outputs(net.eval(), given, LENGTHS)
        torch.testing.assert_close(outputs[-1], tn.logits(net, given, LENGTHS))
        found.append([logits, outputs[:STEPS], *(p.grad for p in net.parameters()), *net.state_dict().values()])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_each_sample_says_what_it_says_alone():
    net, x = model().eval(), torch.rand(STEPS, BATCH, 4)
    with torch.no_grad():
        logits, layers = tn.logits(net, x, LENGTHS), trace(net, x, LENGTHS)
        for b, end in enumerate(LENGTHS):
            torch.testing.assert_close(logits[b : b + 1], net(x[:end, b : b + 1]))
            assert not layers[0].spikes[end:, b].any()
            assert (layers[-1].states[0, end:, b] == layers[-1].states[0, end - 1, b]).all()
    spikes = torch.bernoulli(torch.full((STEPS, BATCH, 7), 0.5))
    torch.testing.assert_close(net[-1].scan(spikes, lengths=LENGTHS)[0], net[-1](spikes, LENGTHS))


@pytest.mark.parametrize("lengths", [[1, 2], [0, 1, 1, 1, 1], [10, 1, 1, 1, 1], [1.0] * 5])
def test_lengths_that_do_not_fit_are_refused(lengths):
    with pytest.raises(tn.TclifError, match="lengths"):
        tn.logits(model(), torch.rand(STEPS, BATCH, 4), torch.tensor(lengths))
