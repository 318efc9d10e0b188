import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from tclif_neuro.compare.activity import of_run, of_trace
from tclif_neuro.errors import TclifError
from tclif_neuro.show.plots import INK, ONLY_FLOAT, ONLY_INTEGER, Sample, activity_figure


class Traced:
    """The float side, as `neurons.trace` gives it: here the integers', with some spikes changed."""

    def __init__(self, layer, done):
        self.spikes = done.spikes.copy()
        self.states = done.states / 2.0**layer.scale_bits


@pytest.fixture
def sample(net, run):
    traces = [Traced(layer, done) for layer, done in zip(net.layers, run.layers, strict=True)]
    traces[0].spikes[2, 1] = 1 - run.spikes[0][2, 1]
    return Sample(
        input=run.input[:, 1],
        integers=of_run(net, run),
        floats=of_trace(net, traces),
        index=1,
        classes=net.classes,
        label=2,
    )


def png(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def dots(axes):
    """How many dots of each colour a raster has."""
    return {to_hex(c.get_facecolor()[0]): len(c.get_offsets()) for c in axes.collections if len(c.get_offsets())}


def test_a_dot_for_every_spike_coloured_where_float_and_integers_differ(sample, run):
    figure = activity_figure(sample, title="digits.net, sample 1")
    raster = next(axes for axes in figure.axes if axes.get_title("left").startswith("layer 0: recurrent TC-LIF"))
    spikes, at = run.spikes[0][:, 1], run.spikes[0][2, 1]
    gained, lost = int((at == 0).sum()), int((at == 1).sum())
    wanted = {INK: int(spikes.sum()) - lost, ONLY_FLOAT: gained, ONLY_INTEGER: lost}
    assert dots(raster) == {colour.lower(): count for colour, count in wanted.items() if count}


def test_both_compartments_of_chosen_neurons_the_float_model_under_them_and_the_threshold(sample, net):
    figure = activity_figure(sample, title="", neurons=[3])
    axes = next(axes for axes in figure.axes if axes.get_title("left") == "layer 0, neuron 3")
    wide, thin, wide_soma, thin_soma, threshold, *_ = axes.lines
    assert wide.get_linewidth() > thin.get_linewidth()
    np.testing.assert_array_equal(thin.get_ydata(), sample.integers[0].states["dendrite"][:, 1, 3])
    np.testing.assert_array_equal(thin_soma.get_ydata(), sample.integers[0].states["soma"][:, 1, 3])
    np.testing.assert_array_equal(wide_soma.get_ydata(), sample.floats[0].states["soma"][:, 1, 3])
    assert set(threshold.get_ydata()) == {net.layers[0].neuron.vth / 2**14}
    assert threshold.get_linestyle() == "--"


def test_a_neuron_that_never_spikes_can_be_drawn(sample, run):
    silent = np.flatnonzero(run.spikes[1][:, 1].sum(axis=0) == 0)
    assert silent.size, "the network has no such neuron"
    figure = activity_figure(sample, title="", neurons=[int(silent[0])])
    assert png(figure).startswith(b"\x89PNG")


def test_without_a_choice_the_busiest_neurons_are_drawn(sample, run):
    figure = activity_figure(sample, title="")
    busiest = np.argsort(-run.spikes[0][:, 1].sum(axis=0, dtype=int), kind="stable")[:2]
    titles = [axes.get_title("left") for axes in figure.axes]
    assert all(f"layer 0, neuron {neuron}" in titles for neuron in busiest)


def test_the_figure_says_file_sample_and_prediction(sample, run):
    figure = activity_figure(sample, title="digits.net, sample 1")
    assert figure.get_suptitle() == "digits.net, sample 1"
    prediction = ("left", "right", "straight")[run.predictions[1]]
    titles = [axes.get_title("left") for axes in figure.axes]
    assert any(f"predicts {prediction}, truly straight" in title for title in titles)


def test_the_same_input_draws_the_same_bytes(sample):
    first, second = (png(activity_figure(sample, title="twice")) for _ in range(2))
    assert first == second and first.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("neurons", "message"), [([10], "neuron 10: the .* layer has neurons 0 to"), ([-1], "neuron -1")]
)
def test_a_neuron_that_is_not_there_is_named(sample, neurons, message):
    with pytest.raises(TclifError, match=message):
        activity_figure(sample, title="", neurons=neurons)


def test_more_neurons_than_a_figure_has_room_for_are_refused(sample):
    with pytest.raises(TclifError, match="9 asked for, a figure has room for 8"):
        activity_figure(sample, title="", neurons=[0] * 9)


def test_without_labels_and_float_model_the_integers_are_drawn_alone(net, run):
    sample = Sample(input=run.input[:, 0], integers=of_run(net, run), floats=None, index=0)
    figure = activity_figure(sample, title="")
    raster = next(axes for axes in figure.axes if axes.get_title("left").startswith("layer 0: recurrent TC-LIF"))
    assert list(dots(raster)) == [INK.lower()]
    assert any(
        axes.get_title("left") == f"at the end of the sample: predicts {run.predictions[0]}" for axes in figure.axes
    )


@pytest.mark.parametrize("name", [r"$\frac$", "$x^$", "$5-$9", "$" + "{" * 20 + "$"])
def test_the_name_of_a_class_is_no_formula(sample, name):
    figure = activity_figure(replace(sample, classes=(name, name + "2", name + "3")), title=f"predicts {name}")
    figure.savefig(io.BytesIO(), format="svg", metadata={"Date": None})
    named = [text for text in figure.findobj(Text) if name in text.get_text()]
    assert named and not any(text.get_parse_math() for text in named)
