"""Spikes counted while a model is evaluated are those that it sends, without the padding."""

import torch

import tclif_neuro as tn
from tclif_neuro.learning.training.activity import counted


def test_they_are_counted_layer_by_layer_without_the_padding() -> None:
    torch.manual_seed(0)
    hidden, deep = tn.TCLIF(12, recurrent=True), tn.LIF(5)
    model = torch.nn.Sequential(torch.nn.Linear(4, 12), hidden, torch.nn.Linear(12, 5), deep, tn.Readout(5, 2))
    x, lengths, spikes = 3 * torch.rand(9, 3, 4), torch.tensor([9, 4, 1]), [0.0, 0.0]
    with counted(model) as activity, torch.no_grad():
        activity.begin(x, None)
        model(x)
        activity.begin(x, lengths)
        tn.outputs(model, x, lengths)
    for b, own in enumerate(lengths.tolist()):
        for steps in (9, own):
            one = hidden(model[0](x[:steps, b : b + 1]))
            spikes[0] += one.sum().item()
            spikes[1] += deep(model[2](one)).sum().item()
    assert activity.spikes == spikes and min(spikes) > 0
    assert (activity.samples, activity.steps) == (6, 27 + 14)
    assert activity.rates == (spikes[0] / (41 * 12), spikes[1] / (41 * 5))
    assert activity.spikes_per_sample == sum(spikes) / 6
    model(x)
    assert activity.spikes == spikes, "nothing is counted after the block"
