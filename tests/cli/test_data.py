"""`tclif data`: what a recipe would make of a file, and what is odd about it."""

from pathlib import Path

import numpy as np
import pytest

from tclif_neuro.cli.commands.data import data_parts, describe_data
from tclif_neuro.data import DataError
from tests.cli.calls import run, tclif

GROUPS = {"groups": np.array(["ann", "bob"] * 20), "groups_test": np.array(["bob", "cleo", "ann"])}


def save(path: Path, **arrays: np.ndarray) -> Path:
    rng = np.random.default_rng(0)
    np.savez(path, **{"x": rng.random((40, 5, 3)), "y": np.arange(40) % 2, **arrays})
    return path


def test_it_says_what_is_there(tmp_path: Path) -> None:
    path = save(tmp_path / "own.npz", groups=np.arange(40) // 4)
    found = run("data", path)
    assert (found["kind"], found["steps"], found["inputs"], found["classes"]) == ("class", 5, 3, ["0", "1"])
    assert [part["samples"] for part in found["parts"]] == [32, 8]
    assert found["parts"][1]["groups"] == 2 and found["parts"][1]["labels"] == [4, 4]
    assert not found["odd"]
    shown = tclif("data", path).stdout
    assert "5 steps of 3 inputs" in shown and "2 of 10 groups whole" in shown


def test_it_counts_what_has_no_target(tmp_path: Path) -> None:
    steps = np.tile([0, 1, -1, 1, -1], (40, 1))
    found = run("data", save(tmp_path / "steps.npz", y=steps, x_test=np.ones((2, 5, 3)), y_test=steps[:2]))
    assert [part["unlabelled"] for part in found["parts"]] == [80, 4] and found["parts"][1]["labels"] == [2, 4]
    values = np.full((40, 5, 2), np.nan)
    values[:, 2:] = [[0.5, -2.0]]
    found = run("data", save(tmp_path / "values.npz", y=values))
    assert [part["unlabelled"] for part in found["parts"]] == [32 * 4, 8 * 4]
    assert found["parts"][0]["span"] == [-2.0, 0.5] and found["parts"][0]["labels"] is None
    assert "-2 to 0.5; always the mean is off by 0" in tclif("data", tmp_path / "values.npz").stdout
    y = np.stack([np.tile([1.0, 3.0], 20), np.full(40, np.nan)], axis=1)
    found = run("data", save(tmp_path / "some.npz", y=y, x_test=np.ones((2, 5, 3)), y_test=y[:2]))
    assert found["parts"][0]["deviation"] == found["parts"][1]["deviation"] == 1.0


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"y": np.arange(40) % 2 + 1}, "the labels start at 1"),
        ({"x_test": np.full((2, 5, 3), 3.0), "y_test": np.array([0, 1])}, "integers clip what was never seen"),
        ({"x": np.full((40, 5, 3), 255)}, "inputs up to 255: scale them"),
        ({"y": np.arange(40) // 38}, "the classes differ in size"),
        ({"x_test": np.zeros((2, 5, 3)), "y_test": np.array([0, 2])}, "no training sample of the class '2'"),
        ({"x": np.eye(40)[:, :15].reshape(40, 5, 3)}, "samples have no input that is not 0"),
        ({"y": np.linspace(0, 90, 40)[:, None]}, "train: targets from 0 to"),
        ({"x": np.ones((40, 5, 3))}, "8 of 8 test samples are in the training set too"),
        (
            {"x_test": np.ones((3, 5, 3)), "y_test": np.array([0, 1, 1]), **GROUPS},
            "2 groups are in the training set and the test set, ann among them",
        ),
    ],
)
def test_it_says_what_is_odd(tmp_path: Path, arrays: dict[str, np.ndarray], says: str) -> None:
    summary = describe_data(str(save(tmp_path / "own.npz", **arrays)))
    assert any(says in line for line in summary.odd)
    assert any(says in part for part in data_parts(summary) if isinstance(part, str))


def test_a_folder_needs_no_slash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clips").mkdir()
    np.save(tmp_path / "clips" / "x", np.zeros((10, 2, 1), np.uint8))
    np.save(tmp_path / "clips" / "y", np.arange(10) % 2)
    monkeypatch.chdir(tmp_path)
    assert describe_data("clips").parts[0].binary
    with pytest.raises(DataError, match="task 'clip'"):
        describe_data("clip")


def test_of_a_recipe_it_is_the_task_that_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCLIF_CACHE", str(tmp_path / "cache"))
    for label, channel in (("a", 0), ("b", 1)):
        (tmp_path / "taps" / label).mkdir(parents=True)
        for i in range(3):
            (tmp_path / "taps" / label / f"{i}.txt").write_text(f"0.1 {channel}\n0.25 {channel + i}\n")
    (tmp_path / "taps.toml").write_text(
        '[task]\nname = "./taps"\nbins = { steps = 5, duration = 0.5 }\nlengths = true\n[training]\nepochs = 1\n'
    )
    found = run("data", tmp_path / "taps.toml")
    assert (found["steps"], found["duration"], found["rate"]) == (5, 0.5, None)
    assert found["parts"][0]["shortest"] == 3 and run("data", tmp_path / "taps")["steps"] == 100
    assert "0.5 s each" in tclif("data", tmp_path / "taps.toml").stdout
    (tmp_path / "none.toml").write_text("[training]\nepochs = 1\n")
    assert "none.toml: task" in tclif("data", tmp_path / "none.toml").stderr
