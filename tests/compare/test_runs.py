import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tclif_neuro as tn
from tclif_neuro import run_reference
from tclif_neuro.compare.activity import of_trace
from tclif_neuro.compare.runs import compare_float, compare_runs
from tclif_neuro.errors import TclifError
from tclif_neuro.neurons.trace import trace
from tclif_neuro.show.tables import as_json, comparison_sheet, difference_text, share

NAMES = ("reference", "lava")
STATES = (("dendrite", "soma"), ("current", "potential"), ("current", "potential"))


def changed(run, layer, field, at, value):
    """`run` with one number replaced."""
    if layer < 0:
        array = run.input.copy()
        array[at] = value
        return dataclasses.replace(run, input=array)
    done = run.layers[layer]
    array = getattr(done, field).copy()
    array[at] = value
    if field in ("spikes", "states"):
        field, array = "recorded", done.recorded._replace(**{field: array})
    layers = list(run.layers)
    layers[layer] = dataclasses.replace(done, **{field: array})
    return dataclasses.replace(run, layers=tuple(layers))


def test_a_run_equals_itself(net, run):
    result = compare_runs(net, run, run, names=NAMES, labels=run.predictions)
    assert result.identical and result.first is None
    assert result.predictions == 1 and result.accuracy == (1, 1)
    assert all(layer.agreement == 1 and layer.state_rms == 0 for layer in result.layers)
    assert (result.steps, result.samples) == run.input.shape[:2]


@given(data=st.data())
def test_one_flipped_bit_is_found_where_it_is(net, run, data):
    layer = data.draw(st.integers(-1, 2), "layer")
    field = "input" if layer < 0 else data.draw(st.sampled_from(["spikes", "states", "final", "counts"]), "field")
    array = run.input if layer < 0 else getattr(run.layers[layer], field)
    at = tuple(data.draw(st.integers(0, n - 1), "index") for n in array.shape)
    bit = data.draw(st.integers(0, 0 if field in ("spikes", "input") else 22), "bit")
    flipped = int(array[at]) ^ (1 << bit)

    found = compare_runs(net, run, changed(run, layer, field, at, flipped), names=NAMES).first

    assert (found.layer, found.sample, found.neuron) == (layer, at[-2], at[-1])
    assert (found.left, found.right) == (int(array[at]), flipped)
    sequence = field in ("spikes", "states", "input")
    assert found.step == (at[-3] if sequence else None)
    names = {"input": "input", "spikes": "spike", "counts": "spike count"}
    if field in ("states", "final"):
        names["states"] = STATES[layer][at[0]]
        names["final"] = f"final {STATES[layer][at[0]]}"
    assert found.quantity == names[field]


def test_the_first_of_several_is_the_earliest_step_then_the_lowest_layer_then_the_state(net, run):
    def flip(run, layer, field, at):
        array = getattr(run.layers[layer], field)
        return changed(run, layer, field, at, int(array[at]) ^ 1)

    other = flip(run, 1, "states", (0, 3, 0, 0))
    other = flip(other, 0, "spikes", (3, 1, 1))
    other = flip(other, 0, "states", (1, 3, 2, 4))
    other = flip(other, 0, "states", (0, 4, 0, 0))
    other = flip(other, 2, "final", (0, 0, 0))
    first = compare_runs(net, run, other, names=NAMES).first
    assert (first.step, first.layer, first.quantity, first.sample, first.neuron) == (3, 0, "soma", 2, 4)
    layers = compare_runs(net, run, other, names=NAMES).layers
    assert [(d.first.step, d.first.quantity) for d in layers] == [(3, "soma"), (3, "current"), (None, "final current")]


def test_totals_are_compared_when_sequences_were_not_kept(net, x, run):
    short = run_reference(net, x, record=False)
    result = compare_runs(net, run, short, names=NAMES)
    assert result.identical
    assert all(layer.agreement is None and layer.state_rms is None for layer in result.layers)
    assert result.layers[0].rates[0] == result.layers[0].rates[1] == pytest.approx(run.spikes[0].mean())
    off = changed(short, 1, "counts", (2, 3), 99)
    first = compare_runs(net, run, off, names=NAMES).first
    assert (first.step, first.layer, first.quantity, first.right) == (None, 1, "spike count", 99)


def test_saturations_that_an_executor_does_not_count_are_none(net, run):
    layers = tuple(dataclasses.replace(layer, saturations=-1) for layer in run.layers)
    result = compare_runs(net, run, dataclasses.replace(run, layers=layers), names=NAMES)
    assert result.identical
    assert result.layers[0].saturations == (run.layers[0].saturations, None)


def test_runs_of_other_batches_or_networks_are_refused(net, x, run):
    with pytest.raises(TclifError, match=r"shapes \[9, 4, 6\] and \[9, 3, 6\]"):
        compare_runs(net, run, run_reference(net, x[:, :3], record=True), names=NAMES)
    with pytest.raises(TclifError, match=r"lava: a run of layers \[10, 8\]"):
        compare_runs(net, run, dataclasses.replace(run, layers=run.layers[:2]), names=NAMES)


@dataclasses.dataclass(frozen=True)
class Traced:
    """The float side of a comparison, as `neurons.trace` gives it."""

    spikes: np.ndarray
    states: np.ndarray


def as_float(net, run):
    return [
        Traced(done.spikes.astype(float), done.states / 2.0**layer.scale_bits)
        for layer, done in zip(net.layers, run.layers, strict=True)
    ]


def test_float_units_are_integers_over_two_to_the_scale_bits(net, run):
    result = compare_float(net, as_float(net, run), run, labels=run.predictions)
    assert result.identical and not result.exact
    assert [layer.state_rms for layer in result.layers] == [0, 0, 0]
    assert result.accuracy == (1, 1)


def test_the_first_different_spike_of_float_and_integers_comes_with_both_states(net, run):
    traces = as_float(net, run)
    traces[0].spikes[5, 2, 7] = 1 - traces[0].spikes[5, 2, 7]
    traces[0].states[1, 5, 2, 7] += 0.25
    result = compare_float(net, traces, run)
    first = result.first
    assert (first.step, first.layer, first.sample, first.neuron, first.quantity) == (5, 0, 2, 7, "spike")
    (dendrite, left, right), (soma, low, high) = first.around
    assert (dendrite, soma) == ("dendrite", "soma")
    assert left == right and low == high + 0.25
    assert result.layers[0].agreement == 1 - 1 / run.spikes[0].size
    assert result.layers[0].state_rms == pytest.approx(0.25 / np.sqrt(run.states[0].size))


def test_of_real_targets_it_is_said_how_far_the_outputs_are_apart(net, run):
    traces = as_float(net, run)
    traces[-1].states[:] += 0.5
    values = run.float_logits
    found = comparison_sheet(compare_float(net, traces, run, labels=values)).title
    assert "outputs 0.5 apart, root mean square, on" in found and "class" not in found
    assert "the same class for" in comparison_sheet(compare_float(net, traces, run)).title


def test_a_float_model_of_other_layers_is_refused(net, run):
    with pytest.raises(TclifError, match="the float model has 2 layers, the network has 3"):
        compare_float(net, as_float(net, run)[:2], run)


def test_text_and_json_say_where_and_what(net, run):
    value = int(run.states[0][1, 3, 2, 4])
    other = changed(run, 0, "states", (1, 3, 2, 4), value + 1)
    result = compare_runs(net, run, other, names=NAMES)
    assert difference_text(result.first, *NAMES) == (
        f"first difference at step 3, layer 0, sample 2, neuron 4: soma {value} (reference), {value + 1} (lava)"
    )
    sheet = comparison_sheet(result)
    assert "DIFFER" in sheet.title and sheet.rows[0][0] == "0 recurrent TC-LIF"
    assert sheet.markdown().splitlines()[1].count("---") == len(sheet.columns)
    assert json.loads(as_json(result))["first"]["right"] == value + 1


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "100 %"), (0.0, "0 %"), (1 - 1e-5, "99.9990 %"), (0.5, "50.00 %"), (None, "–")]
)
def test_a_share_says_100_only_when_it_is_all(value, text):
    assert share(value) == text


def test_json_has_no_nan():
    assert as_json({"loss": float("nan"), "array": np.arange(2)}) == '{"loss": null, "array": [0, 1]}'


@pytest.mark.parametrize("reset", ["delayed", "immediate"])
def test_a_float_lif_is_compared_by_its_potential_alone(reset, seed):
    """Its dendrite in integers is what comes in, which the float model does not keep."""
    import torch

    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), tn.LIF(6, reset=reset, recurrent=True), tn.Readout(6, 2))
    x = torch.bernoulli(torch.full((12, 5, 4), 0.5))
    net = tn.quantize(model, x)
    activities = of_trace(net, trace(model, x))
    assert [list(activity.states) for activity in activities] == [["soma"], ["potential"]]
    result = compare_float(net, trace(model, x), run_reference(net, x, record=True))
    assert result.layers[0].state_rms < 0.2 and all(name == "soma" for name, *_ in getattr(result.first, "around", ()))
