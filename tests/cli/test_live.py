"""`--live`: what a run draws, that it changes nothing in the run, and what a browser makes of it."""

import re
import subprocess
import sys
import time

import pytest

from tclif_neuro.cli.commands.learn import learn_recipe
from tclif_neuro.cli.commands.live import live_learning
from tclif_neuro.cli.commands.train import with_training
from tclif_neuro.cli.commands.views import View, training_report
from tclif_neuro.cli.options import with_port
from tclif_neuro.learning.recipe.file import load_recipe
from tclif_neuro.learning.training.train import train
from tclif_neuro.page.board import Board
from tclif_neuro.show import terminal
from tests import archive
from tests.cli.calls import RECIPE, refused, run, tclif
from tests.page.browser import needs_browser
from tests.page.devtools import tab
from tests.page.test_live import answer, connected, events

CUE = '[task]\nname = "cue"\nsilence = 5\ntrain = 60\ntest = 20\n[network]\nhidden = 8\n[learning]\npasses = 2\n'


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        (["--live"], ["--live", "0"]),
        (["--live", "80"], ["--live", "80"]),
        (["--live=80"], ["--live=80"]),
        (["--live", "-1"], ["--live", "-1"]),
        (["--live", "a.toml"], ["--live", "0", "a.toml"]),
        (["a.toml", "--live", "--json"], ["a.toml", "--live", "0", "--json"]),
    ],
)
def test_the_port_may_be_left_out(given, parsed):
    assert with_port(given) == parsed


def test_training_is_the_same_with_a_page(folder, tmp_path):
    trained = {}
    for name, options in (("with", ["--live"]), ("without", [])):
        run("train", folder / "tiny.toml", "-o", tmp_path / name, "--epochs", 3, *options)
        arrays = archive.read(tmp_path / name / "checkpoint.npz")
        trained[name] = {key: arrays[key] for key in arrays if key.startswith(("model/", "optimiser/", "rng/"))}
    with_page, without = trained["with"], trained["without"]
    assert with_page and all((with_page[key] == without[key]).all() for key in with_page)


def test_learning_is_the_same_with_a_page(tmp_path):
    (tmp_path / "cue.toml").write_text(CUE)
    for name, options in (("with", ["--live"]), ("without", [])):
        run("learn", tmp_path / "cue.toml", "-o", tmp_path / name, *options)
    with_page, without = ((tmp_path / name / "learnt.net").read_bytes() for name in ("with", "without"))
    assert with_page == without


def test_what_training_draws(folder, tmp_path):
    """Curves of the epochs before it was resumed, too; rasters when they are due, and of no more than that."""
    asked = load_recipe(folder / "tiny.toml")
    recipe = asked.model_copy(update={"training": asked.training.model_copy(update={"scheduler": "constant"})})
    train(with_training(recipe, epochs=2), tmp_path)
    board, now = Board(), [0.0]

    def clock():
        now[0] += 0.01
        return now[0]

    train(recipe, tmp_path, progress=training_report(View(board, clock)))
    parts = board.after(0, 0.0).parts
    assert set(parts) == {"progress", "curves", "rasters"}
    assert "8 of 8" in parts["progress"] and "Accuracy" in parts["curves"] and "Loss" in parts["curves"]
    points = re.search(r'<polyline points="([^"]*)"', parts["curves"])
    assert len(points[1].split()) == 8, "the two epochs before, and the six of now"
    assert "neuron 0 to 11" in parts["rasters"] and "channel 0 to 4" in parts["rasters"]


def test_what_goes_not_together_is_said(folder, tmp_path):
    refused(
        tclif("train", folder / "tiny.toml", "--live", "--seeds", "0,1"), "--live", "cannot be combined with --seeds"
    )
    (tmp_path / "cue.toml").write_text(CUE)
    refused(tclif("learn", tmp_path / "cue.toml", "--live", "--backend", "lava"), "--live", "--backend lava")
    refused(tclif("learn", tmp_path / "cue.toml", "--live", "65536"), "--live", "65535")


@pytest.mark.slow
def test_ctrl_c_is_told_to_the_page_and_ends_the_server(folder, tmp_path):
    recipe = tmp_path / "long.toml"
    recipe.write_text(RECIPE.format(data=folder / "data.npz", epochs=100_000))
    code = "from tclif_neuro.cli.app import main; main()"
    command = [sys.executable, "-c", code, "train", str(recipe), "-o", str(tmp_path / "run"), "--live"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://\S+", child.stderr.readline())[0]
        with connected(address) as connection:
            connection.request("GET", "/events")
            found = events(connection.getresponse())
            assert any(event == "part" and data[0] == "curves" for event, data in found)
            child.terminate()
            assert list(found)[-1] == ("over", "the run was interrupted")
        child.communicate(timeout=60)
        assert child.returncode == 130
        with pytest.raises(ConnectionRefusedError):
            answer(address)
    finally:
        child.kill()
        child.communicate()


def test_a_browser_follows_a_run(tmp_path, capsys):
    needs_browser()
    recipe = tmp_path / "cue.toml"
    recipe.write_text(CUE)
    with tab(tmp_path) as page:
        with terminal.progress() as bars, live_learning(0, recipe, bars) as report:
            address = re.search(r"http://\S+", capsys.readouterr().err)[0]
            page.screen(1200, dark=False)
            page.call("Page.navigate", url=address)
            page.wait("document.getElementById('state').textContent === 'running'")
            learn_recipe(recipe, tmp_path / "run", report=report)
            page.wait("document.querySelectorAll('polyline').length >= 3")
            page.wait("document.querySelectorAll('img').length === 2")
            page.wait("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
            for width, dark in ((1200, False), (400, True)):
                page.screen(width, dark)
                assert page.look("document.documentElement.scrollWidth") == width, "it scrolls sideways"
                paper = page.look("getComputedStyle(document.body).backgroundColor")
                assert paper == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")
                (tmp_path / f"{width}.png").write_bytes(page.picture())
        page.wait("document.getElementById('state').textContent === 'the run is over'")
        time.sleep(0.1)
        assert page.console == []
        asked = {request for request in page.requests if not request.startswith("data:image/png;base64,")}
        assert asked == {address + name for name in ("", "live.js", "style.css", "icon.svg", "events")}
