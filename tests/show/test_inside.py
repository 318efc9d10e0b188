"""Figures of single neurons draw the numbers that they are given."""

import numpy as np
import pytest

from tclif_neuro.compare.inside import eligibility, path
from tclif_neuro.show.inside import phase_figure, traces_figure


@pytest.fixture
def busiest(run):
    return [int(n) for n in np.argsort(-run.layers[0].counts[1])[:5]]


def test_a_plane_per_neuron_with_its_path_its_spikes_and_an_arrow_per_reset(net, run, busiest):
    paths = [path(net, run, layer=0, sample=1, neuron=neuron) for neuron in busiest]
    figure = phase_figure(paths, title="t")
    figure.draw_without_rendering()
    for axes, found in zip(figure.axes, paths, strict=False):
        lines = {line.get_label(): line for line in axes.lines}
        np.testing.assert_array_equal(lines["state, a dot per step"].get_xdata()[1:], found.dendrite)
        np.testing.assert_array_equal(lines["state, a dot per step"].get_ydata()[1:], found.soma)
        assert len(lines["spike"].get_xdata()) == found.spikes.sum() and len(axes.texts) == len(found.resets)
        low, high = axes.get_ylim()
        assert low <= found.resets[..., 1].min() and found.resets[..., 1].max() <= high
    assert paths[0].spikes.sum() > 0


def test_the_traces_of_the_inputs_of_which_most_can_be_learnt(net, run, busiest):
    found = eligibility(net, run, layer=0, sample=1, neuron=busiest[0])
    figure = traces_figure(found, title="t")
    figure.draw_without_rendering()
    _, trace, near, product = figure.axes
    drawn = [line for line in trace.lines if line.get_label().startswith("input")]
    assert [line.get_label() for line in drawn] == [f"input {i}" for i in found.busiest[:3]]
    for i, line, times in zip(found.busiest, drawn, product.lines, strict=False):
        np.testing.assert_array_equal(line.get_ydata(), found.soma[i])
        np.testing.assert_array_equal(times.get_ydata(), found.psi * found.soma[i])
    assert len(near.lines[0].get_xdata()) == found.spikes.sum()
