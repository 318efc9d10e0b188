"""Lengths, labels per step and real targets in the commands."""

import dataclasses
import json

import numpy as np
import pytest

import tclif_neuro as tn
from tests.cli.calls import run, tclif

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
    text = tclif("compare", folder / "tiny.net", "--data", folder / f"{kind}-60.npz", "--no-lava").stdout
    assert text.count(f"samples of 1 to {STEPS} steps") == 1 and f"(1 to {STEPS} steps)" in text
    assert f"equal to the bit on 16 samples of 1 to {STEPS} steps" in " ".join(text.split())
    if kind == "steps":
        figure = tmp_path / "a.png"
        data = folder / f"{kind}-60.npz"
        drawn = run("plot", folder / "tiny.net", "-o", figure, "--data", data, "--sample", 3)
        assert figure.exists() and drawn["label"] is None and drawn["score"]["accuracy"] == 1.0


@pytest.mark.parametrize("kind", ["values", "track"])
def test_a_plot_of_values_names_no_class(folder, kind, tmp_path):
    net, x = tn.load(folder / "tiny.net"), np.load(folder / "values-0.npz")["x"][3:4]
    expected = tn.run(net, x.swapaxes(0, 1), lengths=[4]).float_logits[0]
    drawn = run(
        "plot", folder / "tiny.net", "-o", tmp_path / "a.svg", "--data", folder / f"{kind}-0.npz", "--sample", 3
    )
    assert drawn["prediction"] == ", ".join(f"{value:.4g}" for value in expected)
    assert f"predicts {drawn['prediction']}" in (tmp_path / "a.svg").read_text().replace("−", "-")


@pytest.mark.parametrize(("kind", "of_steps"), [("class", False), ("steps", True), ("track", True)])
def test_answers_at_the_end_are_said_to_be_that_where_targets_are_of_every_step(folder, kind, of_steps):
    data = folder / f"{kind}-0.npz"
    said = "has targets of every step; these answers are of each sample's last: --per-step"
    assert (said in tclif("predict", folder / "tiny.net", data).stderr) == of_steps
    assert said not in tclif("predict", folder / "tiny.net", data, "--per-step").stderr


def test_a_network_for_samples_of_t_steps_takes_shorter_and_padded_ones(folder, tmp_path):
    net = dataclasses.replace(tn.load(folder / "tiny.net"), steps=STEPS)
    tn.save(net, tmp_path / "fixed.net")
    with np.load(folder / "class-60.npz") as arrays:
        short = arrays["lengths"] < STEPS
        x, y, lengths = (arrays[name][short] for name in ("x", "y", "lengths"))
    found = []
    for steps in (STEPS - 1, STEPS, STEPS + 60):
        np.savez(tmp_path / "short.npz", x=x[:, :steps], y=y, lengths=lengths)
        for command in ("run", "compare", "report"):
            option = {"run": (), "compare": ("--no-lava",), "report": ("-o", tmp_path / "a.html")}[command]
            found.append(run(command, tmp_path / "fixed.net", "--data", tmp_path / "short.npz", *option))
    accuracies = [one["accuracy"] for one in found if "accuracy" in one]
    assert len(accuracies) == 6 and {np.ravel(accuracy)[0] for accuracy in accuracies} == {accuracies[0]}
    assert all(one["identical"] for one in found if "identical" in one)


@pytest.mark.parametrize("kind", ["class", "steps", "values", "track"])
def test_check_map_and_deploy_read_no_padding(folder, kind, tmp_path):
    net, of_run = folder / "tiny.net", run("run", folder / "tiny.net", "--data", folder / f"{kind}-0.npz")
    found = []
    for silent in (0, 60):
        data = ("--data", folder / f"{kind}-{silent}.npz")
        checked = run("check", net, "--samples", 20, *data, "--path", "microcode", "--ncmodel", "a.b:C")
        placed = run("map", net, "--samples", 20, *data)
        out = ("-o", tmp_path / str(silent), "--target", "loihi2", "--path", "microcode", "--ncmodel", "a.b:C")
        dry = run("deploy", net, *out, "--partition", "kp", "--dry-run", "--samples", 20, *data)
        found.append((checked["findings"], placed["operations"], dry["reference_accuracy"], dry["reference_error"]))
        assert dry["per_step"] == (kind in ("steps", "track"))
    assert found[0] == found[1]
    assert found[0][1]["steps"] == pytest.approx(np.mean(np.arange(20) % STEPS + 1))
    assert found[0][2:] == (of_run["accuracy"], of_run["error"])


@pytest.mark.trains
@pytest.mark.parametrize("kind", ["class", "values"])
def test_from_a_file_with_lengths_to_predictions(kind, tmp_path, seed):
    """train, export, run and predict on samples of different lengths: none of them reads the padding."""
    rng = np.random.default_rng(seed)
    y, lengths = np.arange(60) % 3, rng.integers(4, 9, 60)
    x = (rng.random((60, 8, 3)) < 0.1 + 0.7 * np.eye(3)[y][:, None]).astype(np.float32)
    targets, loss = (y, "cross_entropy") if kind == "class" else (np.eye(3)[y] * 2.0, "mse")
    for name, filler in (("own", 0.0), ("dirty", 1.0)):
        padded = np.where(np.arange(8)[None, :, None] < lengths[:, None, None], x, np.float32(filler))
        np.savez(tmp_path / f"{name}.npz", x=padded, y=targets, lengths=lengths)
        (tmp_path / f"{name}.toml").write_text(
            f'[task]\nname = "{name}.npz"\n[[model.layers]]\ntype = "tclif"\nsize = 8\n'
            f'[training]\nepochs = 2\nbatch_size = 16\nloss = "{loss}"\n'
        )
    found = []
    for name in ("own", "dirty"):
        trained = run("train", tmp_path / f"{name}.toml", "-o", tmp_path / name)
        run("export", tmp_path / name, "-o", tmp_path / f"{name}.net")
        net, data = tmp_path / f"{name}.net", tmp_path / f"{name}.npz"
        ran = run("run", net, "--data", data)
        answers = json.loads(tclif("predict", net, data, "--format", "json").stdout)["predictions"]
        assert trained["spikes_per_sample"] > 0 and not trained["per_step"]
        measure = "accuracy" if kind == "class" else "error"
        found.append((trained[f"test_{measure}"], ran[measure], ran["predictions"], answers))
    assert found[0] == found[1]
    run_says, answers = found[0][2:]
    if kind == "class":
        assert [int(one["class"]) for one in answers] == run_says
        return
    assert [one["values"] for one in answers] == run_says and "class" not in answers[0]
    text = tclif("predict", tmp_path / "own.net", tmp_path / "own.npz", "--per-step").stdout.splitlines()
    assert text[0] == "sample,step,value 0,value 1,value 2" and len(text) == 1 + lengths.sum()


@pytest.mark.parametrize(
    ("kind", "accuracy", "error"),
    [("class", 0.75, None), ("steps", 1.0, None), ("values", None, (25 / 3) ** 0.5), ("track", None, 2.0)],
)
def test_a_report_reads_no_padding(folder, kind, accuracy, error, tmp_path):
    pages = []
    for silent in (0, 60):
        data, page = folder / f"{kind}-{silent}.npz", tmp_path / f"{silent}.html"
        found = run("report", folder / "tiny.net", "--data", data, "--sample", 3, "-o", page)
        assert found["accuracy"] == [accuracy] and found["error"] == [error and pytest.approx(error)]
        pages.append(page.read_text().replace(data.name, ""))
    assert pages[0] == pages[1] and "1 to 12 steps each" in pages[0]
    words = {
        "class": "accuracy, integers",
        "steps": "Right at 100 % of its 4 labelled steps.",
        "values": "At its end, the outputs are off by 2.887",
        "track": "After each step, the outputs are off by 2,",
    }
    assert words[kind] in pages[0]
    assert ("Class labelled" in pages[0]) == (kind == "steps")


@pytest.mark.parametrize(
    ("kind", "words"),
    [("class", "100 % of the samples"), ("steps", "100 % of the labelled steps"), ("track", "are 0 apart")],
)
def test_a_report_of_two_reads_no_padding(folder, kind, words, tmp_path):
    data = folder / f"{kind}-60.npz"
    run("report", folder / "tiny.net", folder / "tiny.net", "--data", data, "-o", tmp_path / "two.html")
    assert words in (tmp_path / "two.html").read_text()


@pytest.mark.slow
@pytest.mark.lava
def test_deploy_runs_lengths_and_targets_per_step_in_lava(folder, tmp_path):
    command = ("deploy", folder / "tiny.net", "-o", tmp_path, "--target", "cpu", "--path", "microcode", "--samples", 2)
    found = run(*command, "--data", folder / "steps-60.npz")
    assert found["identical"] is True and found["accuracy"] is None and found["reference_accuracy"] == 1.0
    with np.load(tmp_path / "spikes.npz") as kept:
        assert kept["spikes_0"].shape == (STEPS + 60, 2, 16) and not kept["spikes_0"][1:, 0].any()
