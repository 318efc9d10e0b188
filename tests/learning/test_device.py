"""Training on another device than the CPU: nothing forgets where it is, and everything drawn is the same there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tclif_neuro as tn
from tclif_neuro.data import Batches, load_task
from tclif_neuro.data.batches import RESIDENT, _may_stay
from tclif_neuro.errors import TclifWarning
from tclif_neuro.learning import load_checkpoint, load_trained, parse_recipe, train
from tclif_neuro.learning.recipe.training import TrainingSection
from tclif_neuro.learning.training import device as devices
from tclif_neuro.learning.training import train as training_module
from tclif_neuro.learning.training.device import DeviceError, device_of
from tclif_neuro.learning.training.optimiser import make_optimiser
from tclif_neuro.learning.training.run import RULES, Run, evaluate
from tclif_neuro.neurons import parts
from tclif_neuro.neurons.kinds import KINDS
from tclif_neuro.neurons.layer import SpikingLayer
from tests.elsewhere import ELSEWHERE, elsewhere
from tests.learning.toys import toy_recipe

CPU = torch.device("cpu")
LAYERS = [kind.module for kind in KINDS]


def model_of(layer: type[SpikingLayer], **options: Any) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 6), layer(6, **options), nn.Linear(6, 4), tn.LIF(4), tn.Readout(4, 3, decay=0.9))


def updates(model: nn.Sequential, device: torch.device, **options: Any) -> tuple[float, list[Any]]:
    """An update of `model` on `device`: its loss, and all parameters, on the CPU again."""
    generator = torch.Generator().manual_seed(2)
    x, y = 2 * torch.rand(4, 3, 3, generator=generator), torch.tensor([0, 1, 2])
    model.to(device)
    training = TrainingSection(epochs=1, lr=0.01, **options)
    optimiser = make_optimiser(model.parameters(), training)
    loss = RULES[training.rule](model, optimiser, x.to(device), y.to(device), training).loss
    assert all(p.device == device for p in model.parameters())
    return loss, [p.detach().cpu() for p in model.parameters()]


def agree(make: Any, rule: str, **options: Any) -> None:
    plain = updates(make(), CPU, rule=rule, **options)
    with elsewhere():
        there = updates(make(), ELSEWHERE, rule=rule, **options)
    assert there[0] == pytest.approx(plain[0], rel=1e-4)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(plain[1], there[1], strict=True))


@pytest.fixture(autouse=True)
def plain_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU takes the path that other devices take, so that the two differ in where they run alone."""
    monkeypatch.setenv("TCLIF_SCAN", "reference")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("layer", LAYERS)
def test_every_neuron_learns_by_every_rule(layer: type[SpikingLayer], rule: str) -> None:
    if rule == "eprop" and layer is tn.LiquidLIF:
        return  # which e-prop refuses everywhere
    agree(lambda: model_of(layer, recurrent=True), rule)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("layer", "reset"), [(tn.TCLIF, "immediate"), (tn.LIF, "zero")])
def test_so_does_every_reset(layer: type[SpikingLayer], reset: str, rule: str) -> None:
    agree(lambda: model_of(layer, reset=reset, reset_grad="detach"), rule)


OPTIONS: list[dict[str, Any]] = [
    {"logits": "mean", "label_smoothing": 0.1},
    {"rates": {"weight": 1.0, "upper": 0.1, "lower": 0.05}},
    {"loss": "ce_rate"},
    {"loss": "ce_membrane"},
    {"loss": "mse_membrane"},
    {"checkpoint": 3},
    {"class_weights": (1.0, 2.0, 0.5)},
    {"rule": "eprop", "class_weights": (1.0, 2.0, 0.5)},
    {"optimiser": "sgd", "momentum": 0.9},
    {"rule": "eprop", "eprop": {"update_every": 3, "feedback": "random"}, "logits": "mean"},
    {"rule": "eprop", "eprop": {"potential": "step", "loss": "mean_square"}},
    {"rule": "fptt", "fptt": {"update_every": 2}, "logits": "mean"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_and_every_option(options: dict[str, Any]) -> None:
    agree(lambda: model_of(tn.AdaptiveTCLIF, per_neuron=True), **{"rule": "bptt", **options})


def one_epoch(path: Path, device: torch.device, layers: list[dict[str, Any]], **training: Any) -> Run:
    task = load_task(str(path))
    data = {"task": {"name": str(path)}, "model": {"layers": layers}, "training": {"epochs": 1, **training}}
    run = Run(parse_recipe(data), task, device)
    run.epoch(lambda progress: None)
    return run


def tasks(folder: Path) -> dict[str, Path]:
    """Toy data of every kind of target."""
    rng = np.random.default_rng(0)
    x, steps = rng.random((12, 4, 3)).astype(np.float32), rng.integers(-1, 3, (12, 4))
    steps[:, 0] = np.arange(12) % 3
    lengths = rng.integers(2, 5, 12)
    kinds: dict[str, dict[str, Any]] = {
        "classes": {"y": np.arange(12) % 3},
        "lengths": {"y": np.arange(12) % 3, "lengths": lengths},
        "per_step": {"y": steps},
        "values": {"y": rng.random((12, 2)).astype(np.float32)},
        "values_per_step": {"y": rng.random((12, 4, 2)).astype(np.float32)},
    }
    for name, arrays in kinds.items():
        np.savez(folder / f"{name}.npz", x=x, **arrays)
    return {name: folder / f"{name}.npz" for name in kinds}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", ["classes", "lengths", "per_step", "values", "values_per_step"])
def test_an_epoch_on_every_kind_of_target(tmp_path: Path, kind: str, rule: str) -> None:
    """With noise and augmentation, a validation set and measuring: the same run, in the same order."""
    path = tasks(tmp_path)[kind]
    training: dict[str, Any] = {"rule": rule, "batch_size": 5, "input_noise": 0.1, "validation": 0.25}
    training["augment"] = {"time_masks": 1, "time_mask": 2, "channel_masks": 1, "channel_mask": 1, "event_drop": 0.1}
    if kind == "classes":
        training["balanced"] = True
        training["augment"]["shift"] = 2
    if kind.startswith("values"):
        training["loss"] = "mse"
    layers = [{"type": "tclif", "size": 6}, {"type": "lif", "size": 5}]
    plain = one_epoch(path, CPU, layers, **training).log[0]
    with elsewhere():
        there = one_epoch(path, ELSEWHERE, layers, **training).log[0]
    assert there.loss == pytest.approx(plain.loss, rel=1e-3)


def test_without_float64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MPS has none."""
    monkeypatch.setattr(parts, "widest", lambda like: torch.float32)
    layers = [{"type": "adaptive", "size": 6, "dropout": 0.2, "batch_norm": True}]
    with elsewhere(double=False):
        for rule in ("bptt", "fptt"):
            one_epoch(tasks(tmp_path)["values"], ELSEWHERE, layers, rule=rule, loss="mse")


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device of the name "there"."""
    known = device_of
    monkeypatch.setattr(training_module, "device_of", lambda name: ELSEWHERE if name == "there" else known(name))


def test_an_interrupted_run_goes_on_there_as_if_it_had_not_been(toy: Path, tmp_path: Path, there: None) -> None:
    """Dropout's masks too, which that device's own generator draws."""
    options: dict[str, Any] = {"validation": 0.2, "scheduler": "constant", "batch_size": 32}
    before = torch.get_rng_state()
    for epochs, folder in ((2, "whole"), (1, "broken"), (2, "broken")):
        with elsewhere():
            result = train(toy_recipe(toy, epochs=epochs, **options), tmp_path / folder, device="there")
    whole, broken = load_checkpoint(tmp_path / "whole"), load_checkpoint(tmp_path / "broken")
    assert result.device == broken.device == str(ELSEWHERE)
    assert all(torch.equal(whole.model[name], broken.model[name]) for name in whole.model)
    assert whole.rng.keys() == {"torch", "device", "batches"}
    assert all(torch.equal(whole.rng[name], broken.rng[name]) for name in whole.rng)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_run_may_go_on_on_another_device_and_says_so(toy: Path, tmp_path: Path, there: None) -> None:
    one, two, three = (toy_recipe(toy, epochs=n, scheduler="constant", batch_size=48) for n in (1, 2, 3))
    train(one, tmp_path)
    with elsewhere(), pytest.warns(TclifWarning, match="was trained on cpu up to epoch 1, and goes on on meta"):
        train(two, tmp_path, device="there")
    with elsewhere():
        train(two, tmp_path, device="there")  # nothing is left to do, and nothing to say
    with pytest.warns(TclifWarning, match="was trained on meta up to epoch 2, and goes on on cpu"):
        result = train(three, tmp_path)
    assert result.device == "cpu" and result.epochs == 3
    model, _ = load_trained(tmp_path)
    assert all(p.device == CPU for p in model.parameters())


def test_order_and_numbers_are_those_of_the_cpu(tmp_path: Path) -> None:
    path = tasks(tmp_path)["per_step"]
    part = load_task(str(path)).train
    plain = [(x.clone(), y.clone()) for x, y in Batches(part, 7).shuffled(torch.Generator().manual_seed(3))]
    with elsewhere():
        batches = Batches(part, 7, ELSEWHERE)
        assert batches._kept is not None
        moved = [(x.cpu(), y.cpu()) for x, y in batches.shuffled(torch.Generator().manual_seed(3))]
    assert all(torch.equal(a, b) for one, two in zip(plain, moved, strict=True) for a, b in zip(one, two, strict=True))


def test_samples_that_are_drawn_anew_or_too_many_are_not_kept_there(tmp_path: Path) -> None:
    code = {"type": "rate", "steps": 2}
    spec = parse_recipe(
        {
            "task": {"name": str(tasks(tmp_path)["classes"]), "encoding": code},
            "model": {"layers": [{"type": "lif", "size": 2}]},
            "training": {"epochs": 1},
        }
    ).task
    part = load_task(spec).train
    assert not _may_stay(part.x) and not _may_stay(part.x.part(np.arange(3)))
    with elsewhere():
        batches = Batches(part, 8, ELSEWHERE)
        assert batches._kept is None
        drawn = [x.cpu() for x, _ in batches.shuffled(torch.Generator().manual_seed(4))]
    assert all(map(torch.equal, drawn, [x for x, _ in Batches(part, 8).shuffled(torch.Generator().manual_seed(4))]))

    class Many(type(part.x.part(np.arange(1)))):  # type: ignore[misc]
        shape = (RESIDENT // 4, 1, 1)
        drawn_anew = False

        def __init__(self) -> None:
            pass

    assert _may_stay(Many())
    Many.shape = (RESIDENT // 4, 1, 2)
    assert not _may_stay(Many())


def test_evaluation_runs_where_the_batches_are(toy: Path) -> None:
    recipe, task = toy_recipe(toy), load_task(str(toy))
    plain = evaluate(Run(recipe, task).model, Batches(task.test, 8))
    with elsewhere():
        assert evaluate(Run(recipe, task, ELSEWHERE).model, Batches(task.test, 8, ELSEWHERE)) == plain


def test_a_batch_is_normalised_there_as_here() -> None:
    """Its statistics too, over steps of several lengths; then by them, in evaluation."""
    generator = torch.Generator().manual_seed(5)
    x = 2 * torch.randn(6, 4, 3, generator=generator) + 1
    for lengths in (None, torch.tensor([6, 1, 3, 5])):
        found = []
        for device in (CPU, ELSEWHERE):
            with elsewhere():
                norm = tn.BatchNorm(3).to(device)
                here = x.clone().to(device).requires_grad_()
                out = norm(here, None if lengths is None else lengths.to(device))
                out.pow(3).sum().backward()
                assert here.grad is not None
                evaluated = norm.eval()(here)
                parts = out, here.grad, evaluated, *norm.buffers(), *(p.grad for p in norm.parameters())
                assert all(part.device == device for part in parts)
                found.append([part.detach().cpu().clone() for part in parts])
        assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(*found, strict=True))


def test_dropout_draws_there_and_nowhere_else() -> None:
    """It scales what it lets through, draws anew at each call, and does nothing in evaluation."""
    before = torch.get_rng_state()
    with elsewhere():
        drop, x = nn.Dropout(0.75).to(ELSEWHERE), torch.ones(50, 4, 5, device=ELSEWHERE)
        first, second, plain = drop(x).cpu(), drop(x).cpu(), drop.eval()(x).cpu()
    assert torch.equal(torch.get_rng_state(), before)
    assert set(first.unique().tolist()) == {0.0, 4.0} and 0.15 < (first > 0).float().mean() < 0.35
    assert not torch.equal(first, second) and torch.equal(plain, torch.ones(50, 4, 5))


@pytest.mark.parametrize("rule", ["bptt", "fptt"])
def test_normalised_and_dropped_currents_learn_there_as_here(rule: str) -> None:
    """With the masks that one generator draws: here it is set to where the other begins."""

    def make() -> nn.Sequential:
        torch.manual_seed(1)
        parts = nn.Linear(3, 6), tn.BatchNorm(6), nn.Dropout(0.5), tn.TCLIF(6, recurrent=True), tn.Readout(6, 3)
        model = nn.Sequential(*parts)
        torch.manual_seed(0)  # as `elsewhere` begins
        return model

    agree(make, rule)


def test_checkpointed_draws_the_same_masks_again_in_backward() -> None:
    """The gradient of a sum over what Dropout let through is the mask itself, whoever drew it."""

    def gradient(device: torch.device) -> None:
        model = nn.Sequential(nn.Dropout(0.5), nn.Linear(50, 50, bias=False))
        with torch.no_grad():
            model[1].weight.copy_(torch.eye(50))
        x = torch.ones(6, 2, 50, device=device, requires_grad=True)
        out = tn.checkpointed(model.to(device), x, every=2)
        out.sum().backward()
        assert x.grad is not None and torch.equal(x.grad, out.detach())

    with elsewhere():
        gradient(ELSEWHERE)
    gradient(CPU)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "mps:0", "meta", "", "CUDA", "xpu"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(DeviceError, match=r'"cpu", "cuda", "cuda:N", "mps" or "auto" expected'):
        device_of(name)


def test_a_device_that_is_not_there_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device_of("auto") == device_of("cpu") == CPU
    recipe = toy_recipe(tmp_path / "missing.npz")
    for built, says in ((False, "is built without CUDA; install"), (True, "sees no GPU; install its driver")):
        monkeypatch.setattr(torch.backends.cuda, "is_built", lambda built=built: built)
        with pytest.raises(DeviceError, match=f"device \"?'?cuda.*torch {torch.__version__[:4]}.*{says}"):
            train(recipe, tmp_path, device="cuda")
    with pytest.raises(DeviceError, match=r'mps.*torch .*; or take device "cpu"'):
        device_of("mps")


def test_of_several_gpus_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_no_cuda", lambda: "")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"card {number}")
    assert device_of("cuda:0") == torch.device("cuda", 0)
    assert device_of("cuda") == device_of("auto") == torch.device("cuda", 1)
    with pytest.raises(DeviceError, match=r'"cuda:2": torch .* sees cuda:0 \(card 0\), cuda:1 \(card 1\)'):
        device_of("cuda:2")


def test_the_schedule_is_made_and_copied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, made = tn.AdaptiveTCLIF(3, schedule=tn.Schedule(theta=3.25)), []
    known = tn.Schedule.g
    monkeypatch.setattr(tn.Schedule, "g", lambda *args: made.append(args) or known(*args))
    with torch.inference_mode():
        layer(torch.rand(9, 2, 3))
    for t in range(9):
        layer.step(torch.rand(2, 3), None, t)
    layer(torch.rand(9, 2, 3)).sum().backward()
    assert len(made) == 1
    assert torch.equal(layer.schedule.on(torch.zeros(1), 5, 4), known(layer.schedule, 5, 4).float())
    assert len(layer.schedule.on(torch.zeros(1), 40, 1000)) == 40
