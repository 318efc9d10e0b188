"""What a user sees of the package: names, types, what a layer prints."""

from pathlib import Path

import pytest
import torch
from mypy import api

import tclif_neuro as tn
from tclif_neuro.neurons.kinds import KINDS

TYPING = Path(__file__).parent / "typing"


@pytest.mark.slow
def test_types_of_a_users_file_are_known_to_mypy():
    text, errors, status = api.run(["--strict", "--config-file=", "--ignore-missing-imports", str(TYPING / "user.py")])
    assert status == 0, text + errors
    for found in (
        'float"',
        "TCLIFState",
        "QuantizedNetwork",
        "numpy.ndarray",
        "torch._tensor.Tensor",
        "Sequential",
    ):
        assert found in text, text
    assert '"Any"' not in text
    text, _, status = api.run(["--strict", "--config-file=", "--ignore-missing-imports", str(TYPING / "wrong.py")])
    assert status == 1 and '"recurent"' in text and '"vth"' in text, text


def test_every_exported_name_is_listed_and_there():
    assert {name for name in dir(tn) if not name.startswith("__")} == set(tn.__all__)
    for name in set(tn.__all__) - {"lava"}:
        assert getattr(tn, name) is not None
    with pytest.raises(AttributeError, match="'TCLF'"):
        _ = tn.TCLF


def test_no_room_hides_a_name_once_it_is_imported():
    """Importing tclif_neuro.NAME makes `tn.NAME` that module."""
    rooms = {path.stem for path in Path(tn.__file__).parent.iterdir() if path.is_dir() or path.suffix == ".py"}
    for name in set(tn.__all__) & rooms:
        assert getattr(tn, name).__name__ == f"tclif_neuro.{name}"


@pytest.mark.parametrize("kind", [kind.module for kind in KINDS])
def test_a_layer_prints_what_it_was_made_with(kind):
    text = str(kind(7, recurrent=True, vth=0.25, reset_grad="detach"))
    assert text.startswith(f"{kind.__name__}(") and "7, recurrent=True, vth=0.25" in text and "'detach'" in text


def test_a_readout_prints_its_decay():
    assert str(tn.Readout(3, 2, decay=0.5)) == "Readout(in_features=3, out_features=2, bias=True, decay=0.5)"


def test_the_steps_of_the_neurons_are_public():
    zero = torch.zeros(1, 2)
    coefficients = {name: torch.ones(1) for name in ("a1", "a2", "b1", "b2")}
    p = tn.functional.TCLIFParams(**coefficients, vth=0.5)
    after = tn.functional.tclif_step(tn.functional.TCLIFState(zero, zero, zero), torch.ones(1, 2), p)
    assert after.spike.tolist() == [[1.0, 1.0]]
