"""Study files: their jobs, and what is refused before any is started."""

import json

import pytest

from tclif_neuro.errors import TclifError
from tclif_neuro.learning.recipe.sections import TCLIFSection, retyped
from tclif_neuro.study.folder import Folder, line
from tclif_neuro.study.spec import load_study
from tclif_neuro.study.summary import summarise
from tests.study.studies import RECIPE, TWELVE, write

SEARCH = """
recipe = "toy.toml"
[search]
trials = 3
[search.keys]
training.lr = { low = 1e-3, high = 1e-1, log = true }
model.layers.0.size = { choices = [4, 6] }
"""
VARIANTS = """
recipe = "toy.toml"
seeds = [1, 2]
[grid]
training.lr = [1e-2, 3e-3]
[variants."LIF, learnt leak"]
model.layers."*" = { type = "lif", learn_beta = true }
[variants.Adaptive]
model.layers.0 = { type = "adaptive", schedule = { theta = 3.0 } }
training.epochs = 1
[variants."as it is"]
"""
VALIDATED = RECIPE + "validation = 0.2\n"


def test_a_grid_with_seeds_is_every_combination(tmp_path):
    study = load_study(write(tmp_path))
    jobs = study.jobs()
    assert len({line(job) for job in jobs}) == 12
    assert jobs[0] == {"training.lr": 0.01, "model.layers.*.recurrent": True, "training.seed": 1}
    assert [job["training.seed"] for job in jobs[:4]] == [1, 2, 3, 1]
    recipe = study.changed(jobs[-1])
    assert (recipe.training.lr, recipe.training.seed, recipe.model.layers[0].recurrent) == (3e-3, 3, False)
    assert [len(load_study(write(tmp_path, SEARCH, VALIDATED)).jobs())] == [3]


def test_variants_are_settings_with_a_name_combined_with_grid_and_seeds(tmp_path):
    study = load_study(write(tmp_path, VARIANTS, RECIPE.replace("size = 6", "size = 6\ngamma = 0.25")))
    jobs = study.jobs()
    assert jobs[0] == {"variant": "LIF, learnt leak", "training.lr": 0.01, "training.seed": 1}
    assert len({line(job) for job in jobs}) == 12
    lif, adaptive, tclif = (study.changed(jobs[i]) for i in (3, 4, 8))
    layer = lif.model.layers[0]
    assert (layer.type, layer.learn_beta, layer.size, layer.recurrent) == ("lif", True, 6, True)
    assert (lif.training.lr, lif.training.seed, lif.training.epochs) == (3e-3, 2, 2)
    layer = adaptive.model.layers[0]
    assert (layer.type, layer.schedule.theta, layer.schedule.k, layer.gamma) == ("adaptive", 3.0, 2.0, 0.25)
    assert layer.a1 == 0.9 and adaptive.training.epochs == 1, (
        "what the old type had by default is the new one's default"
    )
    assert tclif.model == study.recipe.model


def test_a_type_that_is_changed_keeps_what_both_types_have():
    layer = {"type": "tclif", "size": 5, "c1": 2.0, "vth": 1.0, "per_neuron": True, "dropout": 0.5}
    whole = TCLIFSection.model_validate(layer).model_dump(mode="json")
    liquid = retyped(whole, "liquid")
    assert (liquid["size"], liquid["dropout"], liquid["vth"], liquid["per_neuron"]) == (5, 0.5, 0.1, True)
    assert "c1" not in liquid and liquid["adaptation"] == 1.8
    assert retyped(whole, "tclif") == whole and retyped(whole, "none")["type"] == "none"
    assert retyped({"type": "rate", "steps": 3}, "lif") == {"type": "lif", "steps": 3}, "of a code, no layer"
    assert retyped(whole, ["lif"])["type"] == ["lif"] and retyped(whole, "custom")["type"] == "custom"


@pytest.mark.parametrize(
    ("study", "recipe", "words"),
    [
        ("seeds = [1]", RECIPE, "either recipe or"),
        ('recipe = "none.toml"', RECIPE, "none.toml"),
        ('recipe = "toy.toml"\ngrid.training.rate = [1]', RECIPE, "no key 'rate'"),
        ('recipe = "toy.toml"\ngrid.training.lr = [-1.0]', RECIPE, "training.lr = -1.0"),
        ('recipe = "toy.toml"\ngrid.training.lr = []', RECIPE, "a value or more"),
        ('recipe = "toy.toml"\ngrid.model.layers.3.size = [5]', RECIPE, "none of the 1 elements"),
        ('recipe = "toy.toml"\nseeds = [1, 1]', RECIPE, "no value twice"),
        ('recipe = "toy.toml"\nseeds = [1]\ngrid.training.seed = [1]', RECIPE, "varied twice"),
        ('recipe = "toy.toml"\ngrid.training.lr = [1.0]\nvariants.a.training.lr = 2.0', RECIPE, "lr is varied twice"),
        ('recipe = "toy.toml"\nvariants.a.training.rate = 2', RECIPE, "no key 'rate'"),
        ('recipe = "toy.toml"\nvariants.a.model.layers.0.type = "no"', RECIPE, "layers.0.type|'no'"),
        (
            'recipe = "toy.toml"\nvariants.a.model.layers.0.type = "liquid"\nvariants.a.model.layers.0.c1 = 1',
            RECIPE,
            "c1",
        ),
        ('recipe = "toy.toml"\nvariants = [1]', RECIPE, "variants"),
        ('recipe = "toy.toml"\nvariants.a = 1', RECIPE, "variants"),
        ('recipe = "toy.toml"\nseed = [1]', RECIPE, "did you mean 'seeds'"),
        (SEARCH, RECIPE, "training.validation"),
        (SEARCH.replace("high = 1e-1", "high = 1e-9"), VALIDATED, "low < high"),
        (SEARCH + "\n[grid]\ntraining.lr = [1.0]", VALIDATED, "cannot be combined with"),
    ],
)
def test_what_cannot_be_is_refused_before_a_job_is_started(tmp_path, study, recipe, words):
    with pytest.raises(TclifError, match=words):
        load_study(write(tmp_path, study, recipe))


def test_a_folder_takes_more_jobs_of_the_same_study_and_none_of_another(tmp_path):
    folder = Folder(tmp_path / "out")
    folder.begin(load_study(write(tmp_path)))
    jobs = folder.begin(load_study(write(tmp_path, TWELVE.replace("[1, 2, 3]", "[1, 2, 3, 4]"))))
    assert [json.loads(text) for text in (tmp_path / "out/jobs.jsonl").read_text().splitlines()] == jobs
    assert len(jobs) == 16 and folder.study().jobs() == jobs
    other = load_study(write(tmp_path, recipe=RECIPE.replace("epochs = 2", "epochs = 3")))
    with pytest.raises(TclifError, match=r"recipe\.training\.epochs is 2 there and 3 here"):
        folder.begin(other)
    folder = Folder(tmp_path / "variants")
    folder.begin(load_study(write(tmp_path, VARIANTS)))
    assert len(folder.begin(load_study(write(tmp_path, VARIANTS + "[variants.more]\ntraining.epochs = 9")))) == 16
    with pytest.raises(TclifError, match=r"theta.* is 3\.0 there and 4\.0 here"):
        folder.begin(load_study(write(tmp_path, VARIANTS.replace("theta = 3.0", "theta = 4.0"))))


def test_a_damaged_result_is_named(tmp_path):
    folder = Folder(tmp_path / "out")
    job = folder.begin(load_study(write(tmp_path)))[0]
    assert folder.result(job) is None and folder.collect([job]) == []
    folder.keep(job, {"test_accuracy": 1.0})
    assert folder.result(job) == {"test_accuracy": 1.0}
    (folder.place(job) / "result.json").write_text("[1")
    with pytest.raises(TclifError, match="is not JSON"):
        folder.result(job)
    (folder.place(job) / "result.json").write_text('{"job": {}, "result": {}}')
    with pytest.raises(TclifError, match="is not of the job"):
        folder.result(job)


def test_the_table_has_mean_spread_and_rates_per_setting():
    def done(lr, seed, accuracy, rate):
        result = {"test_accuracy": accuracy, "validation_accuracy": None, "rates": [rate], "parameters": 9}
        return {"training.lr": lr, "training.seed": seed}, result

    rows = summarise([done(0.1, 1, 0.5, 0.2), done(0.1, 2, 0.75, 0.4), done(0.2, 1, 0.25, 0.1)]).rows
    assert [(row.mean, row.seeds) for row in rows] == [(0.625, (1, 2)), (0.25, (1,))]
    assert rows[0].spread == pytest.approx(0.125 * 2**0.5) and rows[1].spread == 0
    assert rows[0].rates == (pytest.approx(0.3),) and rows[0].settings == {"training.lr": 0.1}
    slices = [(3, 2, 0.5), (1, 1, 0.1)]
    whole = summarise([({}, {"samples": n, "right": r, "steps": n, "rates": [rate]}) for n, r, rate in slices])
    assert (whole.accuracy, whole.samples, whole.rates) == (0.75, 4, (pytest.approx(0.4),))
