"""Lava against the judge: the boundaries of `test_neurons` and the busy network of `test_learning`."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

import tclif_neuro as tn
from tclif_neuro.network import LIFNeuron
from tests.judge import test_learning, test_neurons

pytestmark = [pytest.mark.slow, pytest.mark.lava]


@pytest.mark.parametrize("which", ["delayed", "immediate", "stock"])
def test_driven_to_every_boundary(which):
    every = {"stock": lambda: test_neurons.driven_lifs(6)}.get(which, lambda: test_neurons.driven_cases(which, 63, 6))
    for net, x, records in every()[:2]:
        few = x[:, ::4]
        run = tn.lava.run(net, few, record=True)
        judged = [
            replace(record, spikes=record.spikes[::4], first=record.first[::4], second=record.second[::4])
            for record in records
        ]
        for ours, record in zip(run.layers, judged, strict=True):
            np.testing.assert_array_equal(ours.spikes.swapaxes(0, 1), record.spikes)
            np.testing.assert_array_equal(ours.states[0].swapaxes(0, 1), record.first)
            np.testing.assert_array_equal(ours.states[1].swapaxes(0, 1), record.second)


def test_saturations_are_counted():
    net, x, _ = test_neurons.driven_cases("immediate", 63, 6)[1]
    few = x[:, ::9]
    (judged,) = test_neurons.judge.run(net, few)
    assert not isinstance(net.layers[0].neuron, LIFNeuron) and judged.saturations > 0
    assert tn.lava.run(net, few).layers[0].saturations == judged.saturations


@pytest.mark.parametrize("index", [0, 2])
def test_a_busy_network_learns(index):
    setup, x, labels, judged = test_learning.judged_busy(index)
    assert any(chain(*judged.records[0].posted[0][0]))
    test_learning.agree(tn.onchip.learn(setup, x, labels, backend="lava", record=True), judged, counted=False)
