"""Lengths, unlabelled steps and real targets in every rule: padding changes nothing, and what is wanted is learnt."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tclif_neuro as tn
from tclif_neuro.data import load_task
from tclif_neuro.data.task import UNLABELLED
from tclif_neuro.learning import RecipeError, losses, parse_recipe
from tclif_neuro.learning.rules.targets import at_end, lengths_of, spread
from tclif_neuro.learning.training.run import Run, evaluate, rule_for

STEPS, BATCH, INPUTS, CLASSES = 9, 8, 4, 3
LENGTHS = torch.tensor([9, 2, 5, 9, 1, 7, 5, 8])
OWN = torch.arange(STEPS)[:, None] < LENGTHS
KINDS = ("class", "class per step", "values", "values per step")


def targets(kind: str) -> np.ndarray:
    rng = np.random.default_rng(3)
    if kind == "class":
        return rng.integers(0, CLASSES, BATCH)
    if kind == "class per step":
        return rng.integers(-1, CLASSES, (BATCH, STEPS))  # some steps have no label
    ends = rng.normal(size=(BATCH, CLASSES)) * 0.3 + np.linspace(-1, 1, CLASSES)
    return ends if kind == "values" else ends[:, None] * np.linspace(0, 1, STEPS)[:, None]  # a ramp from 0


def run_of(folder: Path, kind: str, silent: int, *, batch_norm: bool = False, **training: Any) -> Run:
    """A run on samples with lengths, and `silent` more steps of noise as padding."""
    x = np.random.default_rng(0).random((BATCH, STEPS, INPUTS)).astype(np.float32)
    x = np.concatenate([x, np.full((BATCH, silent, INPUTS), 0.7, np.float32)], 1)
    y = targets(kind)
    if "per step" in kind:
        y = np.concatenate([y, np.repeat(y[:, :1], silent, 1)], 1)
    arrays = {"x": x, "y": y, "lengths": LENGTHS.numpy()}
    np.savez(folder / f"{silent}.npz", **arrays, **{f"{name}_test": array for name, array in arrays.items()})
    layer = {"type": "tclif", "size": 12, "recurrent": True, "batch_norm": batch_norm}
    loss = {"loss": "mse"} if kind.startswith("values") else {}
    data = {
        "task": {"name": str(folder / f"{silent}.npz")},
        "model": {"layers": [layer], "readout": {"decay": 0.8}},
        "training": {"epochs": 1, "batch_size": BATCH, "lr": 0.01, **loss, **training},
    }
    return Run(parse_recipe(data), load_task(str(folder / f"{silent}.npz")))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", ["bptt", "eprop", "fptt"])
def test_an_update_does_not_depend_on_the_padding(tmp_path: Path, kind: str, rule: str) -> None:
    options: dict[str, Any] = {"rule": rule}
    if rule == "bptt":
        options |= {"rates": {"upper": 0.05, "lower": 0.02, "weight": 1.0}}
    found = []
    for silent in (0, 60):
        run = run_of(tmp_path, kind, silent, batch_norm=rule == "bptt", **options)
        before = [p.clone() for p in run.model.parameters()]
        record = run.epoch(lambda progress: None)
        assert any(not torch.equal(p, q) for p, q in zip(before, run.model.parameters(), strict=True))
        measured = [getattr(record, f"{part}_{run.measure}") for part in ("train", "test")]
        assert None not in measured and evaluate(run.model, run.test) == measured[1]
        found.append((record.loss, *measured, *run.model.state_dict().values()))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(torch.as_tensor(ours), torch.as_tensor(theirs), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", ["ce_rate", "ce_membrane", "mse_membrane"])
def test_losses_over_time_end_with_the_sample(tmp_path: Path, loss: str) -> None:
    short, padded = (run_of(tmp_path, "class", silent, loss=loss).epoch(lambda p: None).loss for silent in (0, 60))
    assert short == pytest.approx(padded, rel=1e-5)


@pytest.mark.trains
@pytest.mark.slow
@pytest.mark.parametrize("rule", ["bptt", "eprop", "fptt"])
@pytest.mark.parametrize("kind", ["class per step", "values", "values per step"])
def test_every_rule_learns_every_kind(tmp_path: Path, kind: str, rule: str, seed: int) -> None:
    run = run_of(tmp_path, kind, 5, rule=rule, epochs=150, scheduler="constant", seed=seed)
    records = []
    while not run.done:
        records.append(run.epoch(lambda progress: None))
    assert records[-1].loss < 0.8 * records[0].loss
    errors = [record.test_error for record in records]
    if kind.startswith("values"):
        assert min(errors) < 0.8 * errors[0] and records[-1].test_accuracy is None


def test_eprop_counts_labelled_steps_alone() -> None:
    """Unlabelled steps have no error; the gradient is that of the mean over those that are labelled."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(INPUTS, 10), tn.TCLIF(10), tn.Readout(10, CLASSES, decay=0.9))
    x, y = torch.rand(STEPS, BATCH, INPUTS), torch.randint(0, CLASSES, (STEPS, BATCH))
    y = torch.where(OWN, y, UNLABELLED)
    learner = tn.EPropLearner(model)
    result = learner.sequence(x, y, keep=True)
    readout = model[-1]
    potential = tn.outputs(model, x)
    loss = nn.functional.cross_entropy(potential.flatten(0, 1), y.flatten(), ignore_index=UNLABELLED)
    assert result.loss == pytest.approx(loss.item(), rel=1e-5)
    torch.testing.assert_close(result.outputs, potential.detach())
    (wanted,) = torch.autograd.grad(loss, readout.weight)
    torch.testing.assert_close(readout.weight.grad, wanted, rtol=1e-4, atol=1e-6)


def test_online_rules_learn_from_every_own_step(tmp_path: Path) -> None:
    y = torch.full((4, 2), UNLABELLED)
    y[1, 0], y[3, 1] = 2, 1
    assert lengths_of(y).tolist() == [2, 4] and at_end(y).tolist() == [2, 1]
    assert spread(y).T.tolist() == [[2, 2, -100, -100], [1, 1, 1, 1]]
    values = torch.full((3, 1, 2), torch.nan)
    values[1, 0] = torch.tensor([1.0, 2.0])
    assert spread(values)[:2, 0].tolist() == [[1, 2], [1, 2]] and spread(values)[2].isnan().all()
    run = run_of(tmp_path, "class", 0, rule="eprop")
    assert run.train.ends and rule_for(run.recipe.training, run.train).keywords == {"ends": True}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("training", "says"),
    [
        ({"loss": "mse", "logits": "mean"}, "neither label_smoothing nor"),
        ({"loss": "mse", "label_smoothing": 0.1}, "neither label_smoothing nor"),
        ({"loss": "mse", "rule": "eprop", "eprop": {"potential": "step"}}, 'eprop.potential = "running"'),
    ],
)
def test_what_a_rule_cannot_do_is_refused_when_the_recipe_is_read(training: dict, says: str) -> None:
    layers = [{"type": "lif", "size": 2}]
    data = {"task": {"name": "a.npz"}, "model": {"layers": layers}, "training": {"epochs": 1, **training}}
    with pytest.raises(RecipeError, match=says):
        parse_recipe(data)


@pytest.mark.parametrize("name", ["ce_rate", "ce_count", "ce_latency", "mse_rate", "mse_count", "mse_latency"])
def test_a_loss_is_the_mean_of_what_it_is_for_each_sample(name: str) -> None:
    spikes = torch.bernoulli(torch.full((STEPS, BATCH, CLASSES), 0.3), generator=torch.Generator().manual_seed(1))
    y, loss = torch.from_numpy(targets("class")), getattr(losses, name)
    singles = [loss(spikes[:n, b : b + 1], y[b : b + 1]) for b, n in enumerate(LENGTHS)]
    torch.testing.assert_close(loss(spikes, y, LENGTHS), torch.stack(singles).mean())
    rates = [losses.rate_above(spikes[:n, b : b + 1], 0.1) for b, n in enumerate(LENGTHS)]
    torch.testing.assert_close(losses.rate_above(spikes, 0.1, LENGTHS), torch.stack(rates).mean())
