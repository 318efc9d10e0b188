"""The library's trained models: the file is data alone, and its floats become the very integers of models/."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import tclif_neuro as tn
from tclif_neuro.data import load_task
from tclif_neuro.data.sequences import time_first
from tclif_neuro.learning import CheckpointError
from tclif_neuro.learning.training.run import Run
from tclif_neuro.learning.zoo import KEY, names, read_model, save_model
from tests.examples import examples
from tests.learning.toys import toy_file, toy_recipe

MODELS = Path(__file__).resolve().parents[2] / "models"
CALIBRATION = 256  # samples, as `tclif export` takes them


@pytest.mark.parametrize("name", names())
def test_a_model_of_the_library_becomes_its_net_bit_for_bit(name: str) -> None:
    shipped, found = tn.load(MODELS / f"{name}.net"), read_model(name)
    x = torch.from_numpy(time_first(load_task(found.recipe.task).x_train[:CALIBRATION]))
    model = tn.load_model(name)
    assert not model.training and shipped.classes == found.classes
    assert tn.quantize(model, x, classes=found.classes, recipe=shipped.recipe) == shipped


def test_digits_rows_is_among_them() -> None:
    assert "digits-rows" in names()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("zoo")
    toy, path = toy_file(folder / "toy.npz", 0), folder / "toy.safetensors"
    run = Run(toy_recipe(toy), load_task(str(toy)))
    run.epoch(lambda progress: None)
    save_model(path, run.checkpoint())
    return path, run


def test_what_was_saved_is_loaded(saved: tuple[Path, Run]) -> None:
    path, run = saved
    found = read_model(path)
    assert found.recipe == run.recipe and found.classes == ("0", "1", "2") and not found.model.training
    ours, theirs = run.checkpoint().model, found.model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(
        torch.equal(value, theirs[key]) if isinstance(value, torch.Tensor) else value == theirs[key]
        for key, value in ours.items()
    )


def edited(path: Path, change: Any) -> bytes:
    """The file with another header: `change` edits it in place."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


def facts(**changes: Any) -> Any:
    """An edit of our entry."""

    def change(header: dict[str, Any]) -> None:
        entry = {**json.loads(header["__metadata__"][KEY]), **changes}
        header["__metadata__"][KEY] = json.dumps(entry)

    return change


def wide(header: dict[str, Any]) -> None:
    entry = json.loads(header["__metadata__"][KEY])
    entry["recipe"]["model"]["layers"][0]["size"] = 10**6
    header["__metadata__"][KEY] = json.dumps(entry)


BAD: dict[str, tuple[Any, str]] = {
    "no entry": (lambda header: header.pop("__metadata__"), "is not a model of this library: format: is missing"),
    "another format": (facts(format="x"), "is not a model of this library: format = 'x'"),
    "no inputs": (facts(inputs=0), "inputs = 0"),
    "no classes": (facts(classes=[]), "classes"),
    "another key": (facts(pickle="cos"), "there is no such key"),
    "no recipe": (facts(recipe={}), "task: is missing"),
    "too wide": (wide, r"its recipe's model has \d+ weights, the file holds \d+ numbers"),
    "other inputs": (facts(inputs=2), "the weights do not fit"),
    "a weight less": (lambda header: header.pop("0.bias"), "is not a safetensors file, or is damaged"),
    "an unknown type": (lambda header: header["0.bias"].update(dtype="F3"), "is not a safetensors file, or is damaged"),
    "beyond the end": (
        lambda header: header["0.bias"].update(data_offsets=[0, 2**40]),
        "is not a safetensors file, or is damaged",
    ),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD.keys())
def test_another_header_is_refused(saved: tuple[Path, Run], tmp_path: Path, change: Any, message: str) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(edited(saved[0], change))
    with pytest.raises(tn.TclifError, match=f"bad.safetensors: .*{message}"):
        tn.load_model(path)


def test_nan_is_refused(saved: tuple[Path, Run], tmp_path: Path) -> None:
    checkpoint = saved[1].checkpoint()
    checkpoint.model["0.bias"][0] = float("nan")
    save_model(tmp_path / "nan.safetensors", checkpoint)
    with pytest.raises(CheckpointError, match=r"0.bias: holds NaN or infinity"):
        tn.load_model(tmp_path / "nan.safetensors")


def test_a_pickle_is_not_executed(tmp_path: Path) -> None:
    path = tmp_path / "pickle.safetensors"
    torch.save({"0.weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"pickle.safetensors: is not a safetensors file, or is damaged"):
        tn.load_model(path)


@examples(60)
@given(st.data())
@example(None)
def test_a_damaged_file_is_read_or_refused(saved: tuple[Path, Run], data: Any) -> None:
    """Cut off anywhere, or with bytes of its header changed."""
    content = bytearray(saved[0].read_bytes())
    size = 8 + struct.unpack("<Q", content[:8])[0]
    cut = 4 if data is None else data.draw(st.none() | st.integers(0, len(content) - 1))
    if cut is not None:
        del content[cut:]
    else:
        for place, value in data.draw(
            st.dictionaries(st.integers(0, size - 1), st.integers(0, 255), min_size=1)
        ).items():
            content[place] = value
    path = saved[0].with_name("damaged.safetensors")
    path.write_bytes(content)
    try:
        tn.load_model(path)
    except tn.TclifError as error:
        assert "damaged.safetensors" in str(error)


def test_what_there_is_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"'digits': is no model of the library .there are: .*digits-rows"):
        tn.load_model("digits")
    with pytest.raises(CheckpointError, match=r"absent.safetensors: cannot be read: No such file"):
        tn.load_model(tmp_path / "absent.safetensors")
    with pytest.raises(CheckpointError, match=r"cannot be read: it is a folder"):
        (tmp_path / "x.safetensors").mkdir()
        tn.load_model(tmp_path / "x.safetensors")
