"""Lengths, labels per step and real targets in the commands."""

import numpy as np
import pytest

import tclif_neuro as tn
from tests.cli.calls import refused, run, tclif

INPUTS, STEPS, OUTPUTS = 5, 12, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network, and the same 20 samples with targets of each kind; also without their padding."""
    import torch

    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("lengths")
    hidden = tn.TCLIF(16, recurrent=True)
    model = torch.nn.Sequential(torch.nn.Linear(INPUTS, 16), hidden, tn.Readout(16, OUTPUTS, decay=0.8))
    x = torch.bernoulli(torch.full((STEPS, 20, INPUTS), 0.5))
    net = tn.quantize(model, x, steps=0)
    tn.save(net, folder / "tiny.net")
    lengths = np.arange(20) % STEPS + 1
    done = tn.run(net, x, lengths=lengths, record=True)
    samples = x.numpy().swapaxes(0, 1)
    per_step = np.where(np.arange(STEPS) < lengths[:, None], done.outputs.argmax(-1).T, -1)
    targets = {
        "class": np.where(np.arange(20) < 15, done.predictions, (done.predictions + 1) % 3),
        "steps": per_step,
        "values": done.float_logits + np.array([0.0, 3.0, 4.0]),
        "track": done.float_outputs.swapaxes(0, 1) + 2.0,
    }
    for name, y in targets.items():
        for silent in (0, 60):
            padded = np.concatenate([samples, np.ones((20, silent, INPUTS), np.float32)], 1)
            steps = y
            if name in ("steps", "track"):
                steps = np.concatenate([y, np.repeat(y[:, -1:], silent, 1)], 1)
            np.savez(folder / f"{name}-{silent}.npz", x=padded, y=steps, lengths=lengths)
    return folder


@pytest.mark.parametrize(
    ("kind", "accuracy", "error"),
    [("class", 0.75, None), ("steps", 1.0, None), ("values", None, (25 / 3) ** 0.5), ("track", None, 2.0)],
)
def test_run_reads_no_padding(folder, kind, accuracy, error):
    results = [run("run", folder / "tiny.net", "--data", folder / f"{kind}-{silent}.npz") for silent in (0, 60)]
    found, padded = results
    assert found["accuracy"] == accuracy and found["error"] == (error and pytest.approx(error))
    assert found["per_step"] == (kind in ("steps", "track")) and found["lengths"] == [1, STEPS]
    assert padded["steps"] == STEPS + 60
    for same in ("accuracy", "error", "errors", "predictions", "spikes_per_sample", "layers", "lengths"):
        assert found[same] == padded[same], same
    text = tclif("run", folder / "tiny.net", "--data", folder / f"{kind}-60.npz").stdout
    words = {
        "class": "accuracy 75.00 %",
        "steps": "accuracy per step",
        "values": "error 2.887",
        "track": "error per step",
    }
    assert words[kind] in " ".join(text.split())


@pytest.mark.parametrize("kind", ["class", "steps", "values", "track"])
def test_compare_and_plot_read_no_padding(folder, kind, tmp_path):
    found, padded = (
        run("compare", folder / "tiny.net", "--data", folder / f"{kind}-{silent}.npz", "--no-lava")
        for silent in (0, 60)
    )
    assert found["identical"] and padded["identical"]
    for ours, theirs in zip(found["executors"], padded["executors"], strict=True):
        assert (ours["accuracy"], ours["error"]) == (theirs["accuracy"], theirs["error"]) != (None, None)
    ours, theirs = ([c["layers"] for c in result["comparisons"]] for result in (found, padded))
    assert ours == theirs
    if kind == "steps":
        figure = tmp_path / "a.png"
        data = folder / f"{kind}-60.npz"
        drawn = run("plot", folder / "tiny.net", "-o", figure, "--data", data, "--sample", 3)
        assert figure.exists() and drawn["label"] is None and drawn["score"]["accuracy"] == 1.0


def test_what_takes_whole_samples_alone_says_so(folder, tmp_path):
    command = (
        "deploy",
        folder / "tiny.net",
        "--data",
        folder / "class-0.npz",
        "-o",
        tmp_path / "out",
        "--target",
        "cpu",
    )
    refused(tclif(*command), "has lengths", "whole samples")
