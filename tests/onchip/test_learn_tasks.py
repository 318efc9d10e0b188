"""What the tasks show, in which order; recipes and their errors."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tclif_neuro.data import DataError, load_task
from tclif_neuro.data.spec import parse_task
from tclif_neuro.data.toml import parse_toml
from tclif_neuro.network import FormatError
from tclif_neuro.netx import save
from tclif_neuro.onchip.tasks.first_setup import StartError, first_setup
from tclif_neuro.onchip.tasks.recipe_file import LearnRecipeError, changed, load_learn_recipe, parse_learn_recipe
from tclif_neuro.onchip.tasks.session import Session
from tclif_neuro.onchip.tasks.stream import make_stream

RECIPES = sorted((Path(__file__).resolve().parents[2] / "models" / "onchip").glob("*.toml"))


GIVEN = {"learning.target": 2.0, "learning.error_shift": 11, "learning.hidden": {}, "learning.readout": {}}


def recipe(task, **changes):
    return changed(parse_learn_recipe({"task": task, "learning": {"passes": 2}}), **changes)


def test_digits_are_all_shown_in_each_pass_each_time_in_another_order():
    stream = make_stream(recipe({"name": "digits-rows"}))
    first, second = stream.order[: stream.size], stream.order[stream.size :]
    assert len(second) == stream.size and not np.array_equal(first, second)
    assert np.array_equal(np.sort(first), np.arange(stream.size)) and np.array_equal(np.sort(second), np.sort(first))
    again = make_stream(recipe({"name": "digits-rows"}))
    assert again.digest() == stream.digest()
    other = make_stream(recipe({"name": "digits-rows"}, **{"learning.seed": 1}))
    assert other.digest() != stream.digest()


@pytest.mark.parametrize("replay", [0.0, 0.5, 2.0])
def test_new_classes_come_last_among_as_many_old_samples_as_asked_for(replay):
    stream = make_stream(recipe({"name": "new-class", "passes": 3, "replay": replay, "freeze": True}))
    old, new = stream.phases
    y = stream.y[stream.order]
    assert y[: old.samples].max() == 7 and old.hidden and not new.hidden
    shown = y[old.samples :]
    counts = int((shown >= 8).sum()), int((shown < 8).sum())
    assert counts[0] == 3 * int((stream.y >= 8).sum()) and counts[1] == pytest.approx(replay * counts[0], abs=3)
    assert stream.tests["old"][1].max() == 7 and stream.tests["new"][1].min() == 8


def test_drift_permutes_the_channels_of_samples_and_tests():
    stream = make_stream(recipe({"name": "drift", "passes": 1}))
    n = stream.size
    permutation = [int(np.flatnonzero((stream.x[:, :n] == stream.x[:, n:, [m]]).all((0, 1)))[0]) for m in range(1, 7)]
    assert len(set(permutation)) == 6 and permutation != [1, 2, 3, 4, 5, 6]
    assert (stream.order[: 2 * n] < n).all() and (stream.order[2 * n :] >= n).all()
    np.testing.assert_array_equal(np.sort(stream.tests["after"][0]), np.sort(stream.tests["before"][0]))


def test_a_cue_leaves_nothing_but_memory():
    stream = make_stream(recipe({"name": "cue", "silence": 20, "classes": 3}))
    steps = 5 + 20 + 10
    assert stream.x.shape == (steps, 400, 4 * 4) and set(np.unique(stream.x)) == {0, 1}
    assert not stream.x[5:25].any()
    shown = stream.x[:5].reshape(5, 400, 4, 4).any((0, 3))
    assert (shown[np.arange(400), stream.y]).mean() > 0.99
    assert not shown[:, 3].any() and shown.sum(1).max() == 1
    assert stream.asked == 25
    assert np.bincount(stream.y).tolist() == [134, 133, 133]


def test_the_target_waits_until_it_is_asked_for():
    described = recipe({"name": "cue", "silence": 20}, **GIVEN, **{"learning.target_others": -0.5})
    setup = first_setup(described, make_stream(described))
    assert (setup.target[:25] == -(2**15)).all() and setup.target[-1] == 2**17
    assert (np.diff(setup.target[25:]) > 0).all()


@pytest.mark.parametrize("given", [{}, GIVEN])
def test_the_target_waits_as_long_as_a_recipe_says(given):
    """Of any data; of a cue in the place of its own."""
    for task, own in (({"name": "digits-rows"}, 0), ({"name": "cue", "silence": 20}, 25)):
        plain = first_setup(recipe(task, **given), make_stream(recipe(task, **given)))
        late = recipe(task, **given, **{"learning.asked": 6})
        setup = first_setup(late, make_stream(late))
        assert not setup.target[:6].any() and (np.diff(setup.target[5:]) > 0).all()
        assert setup.target[-1] == plain.target[-1] and not plain.target[:own].any() and plain.target[own] > 0
    with pytest.raises(DataError, match=r"learning.asked = 8: a sample has 8 steps, 0 to 7"):
        make_stream(recipe({"name": "digits-rows"}, **{"learning.asked": 8}))


def test_a_network_from_a_file_gets_outputs_for_the_new_classes(tmp_path):
    digits = recipe({"name": "digits-rows"}, **{"network.hidden": 6})
    ten = first_setup(digits, make_stream(digits)).net
    readout = ten.layers[1]
    eight = replace(
        readout, synapses=replace(readout.synapses, weight=readout.synapses.weight[:8]), bias_mant=np.zeros(8, int)
    )
    save(replace(ten, layers=(ten.layers[0], eight), classes=()), tmp_path / "eight.net")
    begun = parse_learn_recipe({"task": {"name": "new-class"}, "network": {"start": str(tmp_path / "eight.net")}})
    stream = make_stream(begun)
    assert [phase.name for phase in stream.phases] == ["new"]
    net = first_setup(begun, stream).net
    assert net.outputs == 10 and not net.layers[1].synapses.weight[8:].any()
    np.testing.assert_array_equal(net.layers[1].synapses.weight[:8], ten.layers[1].synapses.weight[:8])
    cue = parse_learn_recipe({"task": {"name": "cue"}, "network": {"start": str(tmp_path / "eight.net")}})
    with pytest.raises(StartError, match=r"eight.net: has 8 inputs and 8 outputs; the task has 12 and 2"):
        first_setup(cue, make_stream(cue))


def test_any_data_are_a_task_and_stay_with_the_network(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (40, 6, 3)).astype(np.float32)
    path = tmp_path / "own.npz"
    np.savez(path, x=x, y=np.arange(40) % 2)
    described = parse_learn_recipe({"task": {"name": str(path)}, "network": {"hidden": 4}})
    assert described.task.name == "all" and described.task.data.name == str(path)
    stream = make_stream(described)
    coding = first_setup(described, stream).net.input
    assert coding.signed and 0 < (coding.encode(stream.x) < 0).mean() < 1
    assert parse_task(parse_toml(stream.recipe, "text", DataError), "text").name == str(path)
    assert first_setup(described, stream).net.recipe == stream.recipe
    digits = recipe({"name": "digits-rows"})
    assert not first_setup(digits, make_stream(digits)).net.input.signed


def test_a_task_has_the_keys_that_it_has_in_training_and_paths_relative_to_the_recipe(tmp_path, monkeypatch):
    for label, channel in (("a", 0), ("b", 3)):
        (tmp_path / "set" / label).mkdir(parents=True)
        for i in range(5):
            (tmp_path / "set" / label / f"{i}.csv").write_text(f"0.1,{channel}\n0.{i + 3},{channel + i % 2}\n")
    monkeypatch.setenv("TCLIF_CACHE", str(tmp_path / "cache"))
    keys = 'name = "./set"\nbins = { steps = 5, duration = 1.0 }\nencoding = { type = "delta" }\n'
    texts = [
        f"[task]\n{keys}",
        f'[task]\nname = "all"\n[task.data]\n{keys}',
        f'[task]\nname = "drift"\n[task.data]\n{keys}',
    ]
    streams = []
    for text in texts:
        (tmp_path / "recipe.toml").write_text(f"{text}[network]\nhidden = 4\n")
        streams.append(make_stream(load_learn_recipe(tmp_path / "recipe.toml")))
    plain, table, drift = streams
    assert plain.x.shape == (5, 8, 10) and plain.classes == ("a", "b")
    assert plain.digest() == table.digest() != drift.digest()
    kept = parse_task(parse_toml(drift.recipe, "text", DataError), "text")
    assert load_task(kept).steps == 5
    begun = parse_learn_recipe({"task": {"name": "cue"}, "network": {"start": "a.net"}}).placed(tmp_path)
    assert begun.network.start == str(tmp_path / "a.net")


def test_calibrated_rates_halve_by_themselves_where_all_classes_are_learnt_from_the_beginning():
    def rates(task, **changes):
        session = Session(described := recipe(task, **{"learning.passes": 10, **changes}), make_stream(described))
        first = session.setup(0, session.first.net).plasticity[-1].rate_shift
        return [
            session.setup(p * session.stream.size, session.first.net).plasticity[-1].rate_shift - first
            for p in range(10)
        ]

    digits = {"name": "digits-rows"}
    assert rates(digits) == [0, 0, 0, 0, 1, 1, 2, 2, 3, 4]
    assert rates(digits, **{"learning.slower": [5]}) == [0] * 5 + [1] * 5
    assert rates(digits, **GIVEN) == rates(digits, **{"learning.slower": []}) == [0] * 10
    assert rates({"name": "drift"}) == [0] * 10


@pytest.mark.parametrize("bits", [2, 5, 8])
def test_weights_begin_on_the_grid_of_their_bits(bits):
    described = recipe({"name": "digits-rows"}, **{"learning.weight_bits": bits, "network.recurrent": True})
    setup = first_setup(described, make_stream(described))  # a setup checks its grid
    assert setup.weight_bits == bits


def test_a_setup_is_checked():
    described = recipe({"name": "digits-rows"}, **{"learning.update_every": 63})
    assert first_setup(described, make_stream(described)).update_every == 63
    with pytest.raises(FormatError, match="error_shift"):
        replace(first_setup(described, make_stream(described)), error_shift=30)


WRONG = {
    '[task]\nname = "cues"': "task.name = 'cues': did you mean 'cue'? one of all, new-class, drift, cue",
    "[task]\nseed = 1": "task.name: is missing; one of",
    '[task]\nname = "cue"\nsilense = 5': "task.silense = 5: there is no such key; did you mean 'silence'? allowed are",
    '[task]\nname = "drift"\npasses = 0': "task.passes = 0: should be greater than or equal to 1",
    '[task]\nname = "cue"\n[learning]\nupdate_every = 64': "learning.update_every = 64: should be less than or",
    '[task]\nname = "cue"\n[learning]\nvariant = "exakt"': "learning.variant = 'exakt': 'exact' expected",
    '[task]\nname = "cue"\n[learning]\nvariant = "native"': "'native': a recipe learns by \"exact\"",
    '[task]\nname = "cue"\n[learning]\ntarget = 2.0': "target is given, error_shift is not: give target, error_shift,",
    '[task]\nname = "cue"\n[network]\nvth = 128.0': "network.vth = 128.0: should be less than 128",
    '[task]\nname = "cue"\n[learning.hidden]\nrate = 3': "learning.hidden.rate = 3: there is no such key; did you mean",
    '[task]\nname = "cue"\n[network]\nneuron = "lif"\na1 = 0.5': 'network: a1 = 0.5: neuron = "lif" has',
    '[task]\nname = "cue"\n[network]\nstart = "a.net"\nhidden = 3': "start is given, and so is hidden",
    "[learning]": "task: is missing",
    "task = 3": "task = 3: a table expected",
    "x": "is not TOML",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_recipe_is_refused_by_its_key(text, tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(LearnRecipeError) as error:
        load_learn_recipe(path)
    assert str(error.value).startswith(f"{path}: ") and WRONG[text] in str(error.value)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_that_come_with_it(path):
    described = load_learn_recipe(path)
    if (
        getattr(described.task, "data", None)
        and described.task.data.name == "nmnist"
        and not os.environ.get("TCLIF_DATA")
    ):
        pytest.skip("set TCLIF_DATA to a folder with events/nmnist-small.zip")
    if described.network.start is None:
        first_setup(described, make_stream(described))


@pytest.mark.parametrize(
    ("arrays", "what", "instead"),
    [
        ({"y": np.arange(12) % 2, "lengths": np.full(12, 3)}, "has lengths", "cut all to the shortest"),
        ({"y": np.arange(48).reshape(12, 4) % 2}, "has a class per step", "windows of one length"),
        ({"y": np.random.default_rng(0).random((12, 2))}, "has real targets", "make classes of them"),
    ],
)
def test_what_the_rule_has_no_place_for_is_refused_with_what_to_do(tmp_path, arrays, what, instead):
    np.savez(tmp_path / "own.npz", x=np.random.default_rng(1).random((12, 4, 3)), **arrays)
    with pytest.raises(DataError, match=what) as refusal:
        make_stream(recipe({"name": "all", "data": str(tmp_path / "own.npz")}))
    assert instead in str(refusal.value) and 'rule = "eprop"' in str(refusal.value)


def test_lengths_that_leave_nothing_out_are_no_hindrance(tmp_path):
    x = np.random.default_rng(1).random((12, 4, 3))
    np.savez(tmp_path / "own.npz", x=x, y=np.arange(12) % 2, lengths=np.full(12, 4))
    assert make_stream(recipe({"name": "all", "data": str(tmp_path / "own.npz")})).x.shape == (4, 9, 3)
