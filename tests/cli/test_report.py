"""`tclif report`, on what the commands made."""

import json

import numpy as np

from tests.cli.calls import refused, run, tclif


def numbers(page):
    content = page.read_text()
    start = content.index('id="numbers">') + len('id="numbers">')
    return json.loads(content[start : content.rindex("</script>")])


def test_a_training_run(folder, tmp_path):
    found = run("report", folder / "run", "-o", tmp_path / "run.html")
    ran = run("run", folder / "tiny.net", "--samples", 256, "--energy")
    assert found["subjects"] == ["run"] and found["accuracy"] == [ran["accuracy"]]
    content = (tmp_path / "run.html").read_text()
    assert found["bytes"] == len(content.encode()) < 300_000
    for heading in ("Summary", "Curves", "Integers and float", "Activity", "Sample 0", "Energy", "Recipe"):
        assert f"<h2>{heading}</h2>" in content
    (of_run,) = numbers(tmp_path / "run.html").values()
    assert len(of_run["log"]["loss"]) == 8 and of_run["loss"]["integer_accuracy"] == ran["accuracy"]
    rates = [layer["rate"] for layer in ran["layers"]]
    assert np.isclose(np.mean(of_run["rates"]["0"]), rates[0])
    assert of_run["energy"] == ran["energy"]


def test_the_same_run_gives_the_same_page(folder, tmp_path):
    for name in ("a.html", "b.html"):
        run("report", folder / "tiny.net", "--run", folder / "run", "-o", tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_two_are_compared(folder, tmp_path):
    found = run("report", folder / "run", folder / "tiny.net", "-o", tmp_path / "two.html")
    content = (tmp_path / "two.html").read_text()
    assert found["accuracy"][0] == found["accuracy"][1]
    assert "the same class for 100 %" in content and "Their recipes are the same." in content


def test_learning_on_the_chip(tmp_path):
    recipe = tmp_path / "cue.toml"
    task = '[task]\nname = "cue"\nsilence = 5\ntrain = 60\ntest = 20\n'
    recipe.write_text(task + "[network]\nhidden = 8\n[learning]\npasses = 2\n")
    learnt = run("learn", recipe, "-o", tmp_path / "out")
    found = run("report", tmp_path / "out", "-o", tmp_path / "learnt.html")
    assert found["samples"] == 20 and found["accuracy"] == [learnt["accuracy"]["test"]]
    assert "<h2>Curves</h2>" in (tmp_path / "learnt.html").read_text()
    (tmp_path / "out" / "log.csv").write_text("sample,error\n0,<b>\n")
    refused(tclif("report", tmp_path / "out", "-o", tmp_path / "x.html"), "log.csv", "error", "is no number")


def test_what_cannot_be_is_said(folder, tmp_path):
    refused(tclif("report", folder / "run", "-o", tmp_path / "x.txt"), ".html")
    refused(tclif("report", tmp_path, "-o", tmp_path / "x.html"), "checkpoint.npz: no such file")
    refused(tclif("report", *[folder / "run"] * 3, "-o", tmp_path / "x.html"), "one or two")
    refused(tclif("report", folder / "run", "--run", folder / "run", "-o", tmp_path / "x.html"), "one .net file alone")
    refused(tclif("report", folder / "tiny.net", "--sample", 99, "-o", tmp_path / "x.html"), "sample 99")
    assert not list(tmp_path.glob("x.*"))
