"""`tclif export --nir` and `tclif import`: a trained model goes to a NIR file, and that becomes integers."""

import numpy as np
import pytest
import torch

import tclif_neuro as tn
from tclif_neuro.learning.training.checkpoint import load_trained
from tclif_neuro.quantization.stages import parse
from tests import archive
from tests.cli.calls import refused, run, tclif


@pytest.fixture
def samples(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, x=(np.random.default_rng(0).random((12, 6, 5)) < 0.5).astype(np.float32))
    return path


def test_a_trained_model_goes_to_nir_and_back(folder, tmp_path, samples) -> None:
    run("export", folder / "run", "-o", tmp_path / "a.net", "--nir", tmp_path / "a.nir")
    result = run("import", tmp_path / "a.nir", "-o", tmp_path / "b.net", "--data", samples)
    assert result["report"]["layers"][0]["kind"] == "TCLIF"
    trained, loaded = parse(load_trained(folder / "run")[0]), parse(tn.load_nir(tmp_path / "a.nir"))
    x = torch.from_numpy(archive.read(samples)["x"]).transpose(0, 1)
    assert tn.load(tmp_path / "b.net") == tn.quantize(tn.load_nir(tmp_path / "a.nir"), x)
    for ours, again in zip(trained, loaded, strict=True):
        assert torch.equal(ours.weight, again.weight)
        assert torch.equal(ours.bias, again.bias)


def test_mistakes_of_the_user_are_said_in_a_line(folder, tmp_path, samples) -> None:
    out = tmp_path / "b.net"
    refused(tclif("import", tmp_path / "no.nir", "-o", out, "--data", samples), "no.nir", "cannot be read")
    refused(tclif("import", samples, "-o", out, "--data", samples), "is not a whole HDF5 file")
    run("export", folder / "run", "-o", tmp_path / "a.net", "--nir", tmp_path / "a.nir")
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, x=np.ones((2, 6, 7), np.float32))
    refused(tclif("import", tmp_path / "a.nir", "-o", out, "--data", wrong), "7 inputs", "5")
    refused(tclif("import", tmp_path / "a.nir", "-o", tmp_path / "b.txt", "--data", samples), "must end in .net")
    refused(tclif("export", folder / "run", "-o", out, "--nir", tmp_path / "a.txt"), "must end in .nir")
    assert not out.exists()
