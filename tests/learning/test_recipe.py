"""Recipes: every wrong key or value is refused with a message that names it and says what is right."""

import copy
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tclif_neuro.data import load_task
from tclif_neuro.data.encode import encoded
from tclif_neuro.learning import RecipeError, build_model, load_recipe, parse_recipe
from tclif_neuro.learning.recipe import sections
from tclif_neuro.neurons.layer import SpikingLayer, TwoCompartment
from tclif_neuro.neurons.liquid import LiquidLIF
from tclif_neuro.neurons.modules import LIF, TCLIF, AdaptiveTCLIF, Readout, RelaxedTCLIF
from tclif_neuro.neurons.schedule import Schedule

MODELS = Path(__file__).parents[2] / "models"
GOOD: dict[str, Any] = {
    "task": {"name": "digits-rows"},
    "model": {
        "layers": [
            {"type": "tclif", "size": 16, "recurrent": True},
            {"type": "adaptive", "size": 8, "schedule": {"k": 3.0}},
            {"type": "relaxed", "size": 8},
            {"type": "lif", "size": 8},
            {"type": "liquid", "size": 8, "adaptation": 0.5},
        ]
    },
    "training": {"epochs": 3},
}


def at(*path: str | int, **change: Any) -> Callable[[dict], None]:
    """An edit of the table under `path`: values to set, or ... to take a key away."""

    def edit(data: Any) -> None:
        for part in path:
            data = data[part]
        for key, value in change.items():
            if value is ...:
                del data[key]
            else:
                data[key] = value

    return edit


BAD = {
    "misspelt key": (
        at("model", "layers", 0, recurent=True),
        r"model\.layers\[0\]\.recurent = True: there is no such key; did you mean 'recurrent'\? allowed are batch_norm",
    ),
    "misspelt section": (at(trainin={}), r"trainin = {}: there is no such key; did you mean 'training'\?"),
    "misspelt needed key": (at("training", epochs=..., epohcs=3), r"training\.epohcs = 3: .*did you mean 'epochs'\?"),
    "key of another neuron": (at("model", "layers", 3, gamma=0.1), r"layers\[3\]\.gamma = 0.1: there is no such key"),
    "nested key": (at("model", "layers", 1, schedule={"teta": 1.0}), r"schedule\.teta = 1.0: .*did you mean 'theta'"),
    "key that is always off": (
        at("model", "layers", 4, per_neuron=True),
        r"layers\[4\]\.per_neuron = True: False expected",
    ),
    "nested key of a rule": (at("training", fptt={"alfa": 1.0}), r"fptt\.alfa = 1.0: .*did you mean 'alpha'"),
    "no pull": (at("training", fptt={"alpha": 0.0}), r"training\.fptt\.alpha = 0.0: should be greater than 0"),
    "key of another code": (
        at("task", encoding={"type": "rate", "threshold": 0.1}),
        r"task\.encoding: threshold is no key of a rate code; allowed are fresh, steps",
    ),
    "no such code": (at("task", encoding={"type": "morse"}), r"task\.encoding\.type = 'morse': 'rate', 'latency' or"),
    "misspelt key of a code": (
        at("task", encoding={"type": "delta", "of": "none"}),
        r"encoding\.of = 'none': there is no such key; did you mean 'off'\?",
    ),
    "loss of another rule": (
        at("training", loss="ce_rate", rule="fptt"),
        r'training: loss = "ce_rate" is for rule = "bptt"; the rule is "fptt"',
    ),
    "bounds of another rule": (
        at("training", rates={"weight": 0.5}, rule="eprop"),
        r'training: rates.weight = 0.5 is for rule = "bptt"; the rule is "eprop"',
    ),
    "smoothing of another loss": (
        at("training", loss="mse_membrane", label_smoothing=0.1),
        r'training: loss = "mse_membrane" has neither label_smoothing nor',
    ),
    "checkpoints of another rule": (
        at("training", checkpoint=8, rule="eprop"),
        r'training: checkpoint = 8 is for rule = "bptt"; the rule is "eprop"',
    ),
    "checkpoints and what sees every step": (
        at("training", checkpoint=8, rates={"weight": 0.5}),
        r"training: checkpoint = 8 cannot be combined with rates.weight = 0.5, which looks at every step",
    ),
    "checkpoints and batch_norm": (
        lambda data: (at("training", checkpoint=8)(data), at("model", "layers", 0, batch_norm=True)(data)),
        "training.checkpoint cannot be combined with batch_norm",
    ),
    "missing key": (at("training", epochs=...), r"training\.epochs: is missing"),
    "missing section": (at(task=...), "task: is missing"),
    "missing type": (at("model", "layers", 2, type=...), r"layers\[2\]\.type: is missing; one of tclif, relaxed"),
    "misspelt type": (at("model", "layers", 0, type="tlif"), r"layers\[0\]\.type = 'tlif': did you mean 'tclif'\?"),
    "text for a number": (at("model", "layers", 0, size="16"), r"layers\[0\]\.size = '16': should be a valid integer"),
    "truth for a number": (at("training", epochs=True), "training.epochs = True: should be a valid integer"),
    "fraction for a count": (at("training", batch_size=3.5), "batch_size = 3.5: should be a valid integer"),
    "number for a truth": (at("model", "layers", 0, recurrent=1), "recurrent = 1: should be a valid boolean"),
    "too small": (at("model", "layers", 0, size=0), r"size = 0: should be greater than or equal to 1"),
    "not finite": (at("training", lr=float("nan")), "training.lr = nan: should be a finite number"),
    "outside": (at("model", readout={"decay": 1.5}), "model.readout.decay = 1.5: should be less than or equal to 1"),
    "no such choice": (
        at("training", optimiser="rmsprop"),
        "training.optimiser = 'rmsprop': 'adam', 'adamw' or 'sgd' expected",
    ),
    "other neuron's choice": (at("model", "layers", 0, reset="zero"), "reset = 'zero': 'delayed' or 'immediate'"),
    "seed too large": (at("training", seed=2**32), "training.seed = 4294967296: should be less than"),
    "no layers": (at("model", layers=[]), r"a list of at least one table expected, \[\[model\.layers\]\]"),
    "one layer as a table": (at("model", layers={"type": "tclif"}), r"list of at least one table expected"),
    "a layer that is none": (at("model", layers=[3]), r"model\.layers\[0\] = 3: a table expected"),
    "a section that is none": (at(training=3), "training = 3: a table expected"),
    "beta that cannot be learnt": (
        at("model", "layers", 3, learn_beta=True, beta=1.0),
        r"layers\[3\]: beta = 1.0 cannot be learnt",
    ),
    "impossible schedule": (
        at("model", "layers", 1, schedule={"form": "density", "k": 0.5}),
        r"schedule: schedule k: 0.5 must be positive \(density: at least 1\)",
    ),
}


@pytest.mark.parametrize(("edit", "message"), BAD.values(), ids=BAD.keys())
def test_a_wrong_recipe_is_refused(edit: Callable[[dict], None], message: str) -> None:
    data = copy.deepcopy(GOOD)
    edit(data)
    with pytest.raises(RecipeError, match=f"^own.toml: .*{message}"):
        parse_recipe(data, "own.toml")


def test_a_recipe_survives_its_plain_containers() -> None:
    recipe = parse_recipe(GOOD)
    assert parse_recipe(recipe.model_dump(mode="json")) == recipe
    assert recipe.model.layers[0].size == 16
    assert recipe.model.layers[1].schedule.k == 3.0


def test_a_file_is_read_and_named_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        '[task]\nname = "digits-rows"\n[[model.layers]]\ntype = "tclif"\nsize = 4\n[training]\nepochs = 2\nlr = 1\n'
    )
    assert load_recipe(path).training.lr == 1.0
    path.write_text("[task]\nname = \n")
    with pytest.raises(RecipeError, match="own.toml: is not TOML: .*line 2"):
        load_recipe(path)
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(RecipeError, match="own.toml: is not TOML"):
        load_recipe(path)
    with pytest.raises(RecipeError, match="absent.toml: cannot be read: No such file"):
        load_recipe(tmp_path / "absent.toml")
    with pytest.raises(RecipeError, match="cannot be read: it is a folder"):
        load_recipe(tmp_path)


@pytest.mark.parametrize(
    ("encoding", "shape"),
    [
        (None, (8, 8)),
        ({"type": "rate"}, (8, 8)),
        ({"type": "rate", "steps": 3}, (24, 8)),
        ({"type": "latency"}, (64, 8)),
        ({"type": "latency", "steps": 5, "threshold": 0.2, "curve": "log"}, (40, 8)),
        ({"type": "delta"}, (8, 16)),
        ({"type": "delta", "threshold": 0.2, "off": "signed"}, (8, 8)),
    ],
)
def test_a_task_is_loaded_in_its_code(encoding: dict[str, Any] | None, shape: tuple[int, int]) -> None:
    section = parse_recipe({**GOOD, "task": {"name": "digits-rows", "encoding": encoding}}).task
    task = load_task(section)
    assert (task.steps, task.inputs) == shape
    plain = load_task("digits-rows")
    assert (task.digest() == plain.digest()) == (encoding is None)
    assert load_task(section).digest() == task.digest()
    assert encoded(plain.x_test[:3], section).shape == (3, *shape)
    assert (encoded(plain.x_train, section) == task.x_train).all()


def _defaults(*kinds: type) -> dict[str, Any]:
    parameters = {name: p for kind in kinds for name, p in inspect.signature(kind.__init__).parameters.items()}
    return {name: p.default for name, p in parameters.items() if p.default is not p.empty}


@pytest.mark.parametrize(
    ("section", "kinds"),
    [
        (sections.TCLIFSection, (TwoCompartment, TCLIF)),
        (sections.RelaxedSection, (TwoCompartment, RelaxedTCLIF)),
        (sections.AdaptiveSection, (TwoCompartment, RelaxedTCLIF, AdaptiveTCLIF)),
        (sections.LIFSection, (LIF,)),
        (sections.LiquidSection, (LiquidLIF,)),
        (sections.ReadoutSection, (Readout,)),
        (sections.ScheduleSection, (Schedule,)),
    ],
)
def test_a_key_left_out_means_what_the_module_means(section: type[sections.Section], kinds: tuple[type, ...]) -> None:
    defaults = _defaults(*kinds)
    fields = {name: field.default for name, field in section.model_fields.items() if not field.is_required()}
    for name in fields.keys() & defaults.keys() - {"schedule"}:
        assert fields[name] == defaults[name], name
    missing = defaults.keys() - fields.keys() - {"schedule"}
    assert not missing, f"{section.__name__} has no key for {missing}"


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.toml")), ids=lambda path: getattr(path, "stem", "none"))
def test_our_recipes_are_recipes(path: Path) -> None:
    recipe = load_recipe(path)
    inputs = {
        "digits-rows": 8,
        "digits-pixels": 1,
        "smnist-rows": 28,
        "smnist": 1,
        "psmnist": 1,
        "psmnist-rows": 28,
        "nmnist": 2312,
        "ecg": 4,
    }[recipe.task.name]
    model = build_model(recipe, inputs, 10)
    assert sum(isinstance(module, SpikingLayer) for module in model) == len(recipe.model.layers)
