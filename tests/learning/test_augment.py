"""Augmentation of training samples: what each kind does, to which samples, and that nothing else changes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tclif_neuro.data import load_task
from tclif_neuro.learning import TrainingError
from tclif_neuro.learning.recipe.training import AugmentSection
from tclif_neuro.learning.training.augment import augmented, shifted
from tclif_neuro.learning.training.run import Run
from tests.learning.toys import toy_recipe

T, B, M = 12, 200, 7
X = torch.rand(T, B, M, generator=torch.Generator().manual_seed(0)) + 1  # nowhere 0


def drawn(seed: int = 0, **augment: Any) -> torch.Tensor:
    return augmented(X, AugmentSection(**augment), torch.Generator().manual_seed(seed))


def zeros(x: torch.Tensor) -> torch.Tensor:
    return x == 0


@given(st.lists(st.integers(-15, 15), min_size=3, max_size=3))
def test_a_shift_moves_each_sample_by_its_own_steps(steps: list[int]) -> None:
    moved = shifted(X[:, :3], torch.tensor(steps))
    for sample, by in enumerate(steps):
        for t in range(T):
            expected = X[t - by, sample] if 0 <= t - by < T else torch.zeros(M)
            assert torch.equal(moved[t, sample], expected)


def test_shifts_are_uniform_within_their_limit() -> None:
    x = drawn(shift=2)
    lost = zeros(x[:, :, 0])
    late, early = lost.long().cumprod(0).sum(0), lost.flip(0).long().cumprod(0).sum(0)
    assert set((late - early).tolist()) == {-2, -1, 0, 1, 2}
    assert ((late == 0) | (early == 0)).all()


@pytest.mark.parametrize(("kind", "size", "longest"), [("time", T, 4), ("channel", M, 3), ("time", T, 99)])
def test_a_mask_is_one_span_of_every_width_anywhere(kind: str, size: int, longest: int) -> None:
    x = drawn(**{f"{kind}_masks": 1, f"{kind}_mask": longest})
    masked = zeros(x)
    over = masked.all(2) if kind == "time" else masked.all(0).T
    assert torch.equal(masked, over[:, :, None].expand(T, B, M) if kind == "time" else over.T.expand(T, B, M))
    widths = over.sum(0)
    assert set(widths.tolist()) == set(range(min(longest, size) + 1))
    assert ((over[1:] != over[:-1]).sum(0) <= 2).all(), "a span is in one piece"
    assert over.any(1).all(), "each place is masked in some sample"
    assert torch.equal(x[~masked], X[~masked])


def test_more_masks_hide_more() -> None:
    hidden = [zeros(drawn(time_masks=n, time_mask=3)).float().mean().item() for n in (0, 1, 3)]
    assert hidden[0] == 0 < hidden[1] < hidden[2]


def test_dropped_events_are_their_share() -> None:
    dropped = zeros(drawn(event_drop=0.25))
    assert dropped.float().mean().item() == pytest.approx(0.25, abs=0.02)  # 6 standard deviations
    assert torch.equal(drawn(event_drop=0.25)[~dropped], X[~dropped])


def test_each_draws_from_the_generator_alone_and_nothing_is_changed_in_place() -> None:
    before, options = X.clone(), {"shift": 2, "time_masks": 1, "channel_masks": 1, "event_drop": 0.1}
    assert torch.equal(drawn(1, **options), drawn(1, **options))
    assert not torch.equal(drawn(1, **options), drawn(2, **options))
    assert torch.equal(X, before)
    assert drawn() is X


def test_only_training_samples_are_changed_and_anew_in_every_epoch(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tclif_neuro.learning.training import run as module

    seen: list[torch.Tensor] = []

    def spy(model: Any, optimiser: Any, x: torch.Tensor, y: Any, training: Any) -> Any:
        seen.append(x)
        return module.bptt_step(model, optimiser, x, y, training)

    monkeypatch.setitem(module.RULES, "bptt", spy)
    run = Run(toy_recipe(toy, augment={"event_drop": 0.5}, input_noise=0.0, validation=0.2), load_task(str(toy)))
    run.epoch(lambda progress: None)
    first, seen[:] = torch.cat(seen, 1), []
    run.epoch(lambda progress: None)
    masks = [zeros(x).float().mean().item() for x in (first, torch.cat(seen, 1))]
    assert all(0.3 < share < 0.7 for share in masks)
    assert not torch.equal(zeros(first), zeros(torch.cat(seen, 1)))
    assert all(not zeros(x).any() for batches in (run.test, run.validation) for x, _ in batches or ())


def test_a_shift_away_from_labels_per_step_is_refused(tmp_path: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "steps.npz", x=np.ones((20, 5, 3), np.float32), y=np.tile(np.arange(5) % 2, (20, 1)))
    with pytest.raises(TrainingError, match="augment.shift would move samples away from their labels"):
        Run(toy_recipe(tmp_path / "steps.npz", augment={"shift": 1}), load_task(str(tmp_path / "steps.npz")))
