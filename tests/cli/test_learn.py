"""`tclif learn`."""

import json

import numpy as np
import pytest

from tests.cli.calls import interrupted, process, refused, run, tclif

RECIPE = """
[task]
name = "cue"
silence = 5
train = 60
test = 20

[network]
hidden = 8

[learning]
passes = {passes}
test_every = 100
checkpoint_every = 100
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "cue.toml"
    path.write_text(RECIPE.format(passes=4))
    return path


def test_it_learns_and_the_network_runs(recipe, tmp_path):
    found = run("learn", recipe, "-o", tmp_path / "out")
    assert found["samples"] == 240 and found["task"] == "cue"
    assert found["phases"] == {"all": found["accuracy"]} and 0 <= found["accuracy"]["test"] <= 1
    assert run("inspect", found["file"])["outputs"] == 2
    shown = tclif("learn", recipe, "-o", tmp_path / "out")
    assert shown.exit_code == 0 and "learnt cue, 240 samples" in shown.stdout and "learnt.net" in shown.stdout
    assert (tmp_path / "out" / "log.csv").read_text().startswith("sample,phase,online_accuracy,error,accuracy_test")


def test_what_is_wrong_is_said_in_one_line(recipe, tmp_path):
    refused(tclif("learn", tmp_path / "none.toml"), "none.toml: cannot be read")
    bad = tmp_path / "bad.toml"
    bad.write_text(RECIPE.format(passes=0))
    refused(tclif("learn", bad), "learning.passes = 0")
    bad.write_text('[task]\nname = "cue"\n[network]\nstart = "none.net"\n')
    refused(tclif("learn", bad, "-o", tmp_path / "x"), "none.net")
    refused(tclif("learn", recipe, "-o", recipe), "is not a folder")
    assert tclif("learn", recipe, "-o", tmp_path / "out").exit_code == 0
    other = tmp_path / "other.toml"
    other.write_text(RECIPE.format(passes=5))
    refused(tclif("learn", other, "-o", tmp_path / "out"), "learning.passes is 4 there and 5 here")
    assert tclif("learn", other, "-o", tmp_path / "out", "--fresh").exit_code == 0


def test_a_run_at_chance_says_what_to_look_at(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "noise.npz", x=rng.random((120, 4, 3)).astype(np.float32), y=np.arange(120) % 6)
    recipe = tmp_path / "noise.toml"
    recipe.write_text('[task]\nname = "noise.npz"\n[network]\nhidden = 4\n[learning]\npasses = 1\n')
    clear = tmp_path / "clear.toml"
    clear.write_text(recipe.read_text().replace("noise.npz", "clear.npz").replace("passes = 1", "passes = 20"))
    y = np.arange(120) % 3
    np.savez(tmp_path / "clear.npz", x=np.eye(3, dtype=np.float32)[y][:, None].repeat(4, axis=1), y=y)
    said = {path.stem: tclif("learn", path, "-o", tmp_path / path.stem).stdout for path in (recipe, clear)}
    assert "near chance (16.67 %)" in said["noise"] and "clipped_error" in said["noise"]
    assert "near chance" not in said["clear"]
    log = (tmp_path / "noise" / "log.csv").read_text().split("\n")[0].split(",")
    for column in ("clipped_error", "clipped_posted_0", "clipped_trace_0", "lost_0", "saturated_1", "limit_1"):
        assert column in log


@pytest.mark.slow
def test_ctrl_c_loses_nothing(recipe, tmp_path):
    recipe.write_text(RECIPE.format(passes=5_000))
    out = tmp_path / "out"
    status, stdout, stderr = interrupted("learn", recipe, out)
    assert status == 130 and stdout == "", stderr
    assert stderr.endswith("error: interrupted\n") and "Traceback" not in stderr
    assert sorted(p.name for p in out.iterdir()) == ["checkpoint.npz", "log.csv"]


@pytest.mark.slow
@pytest.mark.lava
def test_lava_learns_the_same(recipe):
    result = process("learn", recipe, "--backend", "lava", "--samples", 3, "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["identical"] and found["samples"] == 3 and found["weights_differ"] == 0
