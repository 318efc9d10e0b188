"""models/papers: each recipe builds the network whose parameters the paper prints, and trains on data of its format."""

import wave
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from tclif_neuro.learning.recipe.file import load_recipe
from tclif_neuro.learning.recipe.model import build_model
from tclif_neuro.learning.rules.bptt import bptt_step
from tclif_neuro.learning.rules.eprop import eprop_step
from tclif_neuro.learning.training.optimiser import make_optimiser
from tclif_neuro.learning.training.train import train

FOLDER = Path(__file__).resolve().parent.parent / "models" / "papers"
# inputs, classes, what is printed (thousands; of one input: see the file), and ours: without the recurrence's bias
PRINTED = {
    "smnist": (1, 10, 85.1, 85_136),
    "smnist-recurrent": (1, 10, 155.1, 154_768),
    "smnist-small": (1, 10, 44.8, 44_768),
    "smnist-small-recurrent": (1, 10, 63.6, 63_400),
    "psmnist": (1, 10, 85.1, 85_136),
    "psmnist-recurrent": (1, 10, 155.1, 154_768),
    "psmnist-small": (1, 10, 44.8, 44_768),
    "psmnist-small-recurrent": (1, 10, 63.6, 63_400),
    "gsc": (40, 12, 106.2, 106_216),
    "gsc-recurrent": (40, 12, 196.5, 196_216),
    "shd": (700, 20, 108.8, 108_824),
    "shd-recurrent": (700, 20, 141.8, 141_592),
    "ssc": (700, 35, 110.8, 110_759),
    "ssc-recurrent": (700, 35, 110.8, 110_629),
    "online-smnist-rows": (28, 10, 86.9, 86_864),
    "online-smnist-rows-recurrent": (28, 10, 156.8, 156_496),
    "online-psmnist-rows": (28, 10, 86.9, 86_864),
    "online-psmnist-rows-recurrent": (28, 10, 156.8, 156_496),
    "online-shd-recurrent": (700, 20, 141.8, 141_592),
}


def test_every_recipe_of_a_paper_is_counted_here():
    assert {path.stem for path in FOLDER.glob("*.toml")} == PRINTED.keys()


def test_the_page_lists_every_recipe_with_its_parameters():
    page = (FOLDER.parent.parent / "docs" / "papers.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page if line.startswith("| `")]
    listed = {row[0].strip("`"): row[2:4] for row in rows if row[0].strip("`") in PRINTED}
    assert {name: ours for name, (ours, _) in listed.items()} == {n: f"{row[3]:,}" for n, row in PRINTED.items()}
    for name, (_, printed) in listed.items():
        assert f"{PRINTED[name][2]}K" in printed


@pytest.mark.parametrize("name", PRINTED)
def test_parameters_are_those_printed_but_for_the_recurrent_bias(name):
    inputs, classes, printed, ours = PRINTED[name]
    recipe = load_recipe(FOLDER / f"{name}.toml")
    model = build_model(recipe, inputs, classes)
    assert sum(p.numel() for p in model.parameters()) == ours
    recurrent_bias = sum(layer.size for layer in recipe.model.layers if layer.recurrent)
    assert round((ours + recurrent_bias) / 1000, 1) == printed
    text = " ".join((FOLDER / f"{name}.toml").read_text().replace("\n#", "").split())
    assert f"{ours:,} parameters" in text and f"{printed}K" in text
    assert "Otherwise than there:" in text
    assert ("the recurrence has no bias" in text) == bool(recurrent_bias), "every deviation is named"


@pytest.mark.parametrize("name", PRINTED)
def test_a_batch_trains_every_matrix(name):
    inputs, classes, _, _ = PRINTED[name]
    recipe = load_recipe(FOLDER / f"{name}.toml")
    model = build_model(recipe, inputs, classes)
    before = [p.detach().clone() for p in model.parameters()]
    optimiser = make_optimiser(model.parameters(), recipe.training)
    x = torch.rand(60, 4, inputs, generator=torch.Generator().manual_seed(1)) * 4
    step = bptt_step if recipe.training.rule == "bptt" else eprop_step
    assert step(model, optimiser, x, torch.arange(4), recipe.training).loss > 0
    matrices = [(a, b) for a, b in zip(before, model.parameters(), strict=True) if a.ndim == 2]
    assert len(matrices) > 2 and not any(torch.equal(a, b) for a, b in matrices)


def write_mnist(folder: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (14, 28, 28), dtype=np.uint8)
    labels = np.arange(14, dtype=np.uint8) % 10
    np.savez(folder / "mnist.npz", x_train=images[:10], y_train=labels[:10], x_test=images[10:], y_test=labels[10:])


def write_heidelberg(file: Path, classes: int) -> None:
    rng = np.random.default_rng(classes)
    with h5py.File(file, "w") as out:
        times = out.create_dataset("spikes/times", (classes,), h5py.vlen_dtype(np.float16))
        units = out.create_dataset("spikes/units", (classes,), h5py.vlen_dtype(np.uint16))
        for i in range(classes):
            times[i] = np.sort(rng.random(500)).astype(np.float16)
            units[i] = rng.integers(0, 700, 500)
        out["labels"] = np.arange(classes, dtype=np.uint16)


def write_words(folder: Path, classes: int) -> None:
    rng = np.random.default_rng(2)
    for label in range(classes):
        for part in ("train", "valid", "test"):
            path = folder / f"word{label:02}" / f"{part}_nohash_0.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            with wave.open(str(path), "wb") as out:
                out.setparams((1, 2, 16_000, 0, "NONE", ""))
                out.writeframes(rng.integers(-9000, 9000, 16_000).astype("<i2").tobytes())
    for part, name in (("valid", "validation_list.txt"), ("test", "testing_list.txt")):
        (folder / name).write_text("".join(f"word{label:02}/{part}_nohash_0.wav\n" for label in range(classes)))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of every data set that the recipes name, generated: the published formats, a sample or two per class."""
    folder = tmp_path_factory.mktemp("data")
    write_mnist(folder)
    for name, classes in (("shd_train", 20), ("shd_test", 20), ("ssc_train", 35), ("ssc_valid", 35), ("ssc_test", 35)):
        write_heidelberg(folder / f"{name}.h5", classes)
    write_words(folder / "speech-commands", 12)
    return folder


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.parametrize("name", PRINTED)
def test_an_epoch_on_data_of_the_right_format(name, data, tmp_path, monkeypatch, seed):
    monkeypatch.setenv("TCLIF_DATA", str(data))
    monkeypatch.setenv("TCLIF_CACHE", str(tmp_path / "cache"))
    recipe = load_recipe(FOLDER / f"{name}.toml")
    assert recipe.training.epochs >= 100, "as long as the paper trains"
    once = recipe.model_copy(update={"training": recipe.training.model_copy(update={"epochs": 1, "seed": seed})})
    trained = train(once, tmp_path / "run")
    assert trained.parameters == PRINTED[name][3]
    assert trained.epoch == 1 and trained.test_accuracy is not None and 0 <= trained.test_accuracy <= 1
