"""The tutorials, how-tos and explanations: every block, in its order, in an empty folder; their own asserts judge."""

import shutil

import numpy as np
import pytest

from scripts.run_page import IMAGES, ROOT, pictures, run_page

TUTORIALS = ROOT / "docs" / "tutorials"
EXPLANATION = ROOT / "docs" / "explanation"
HOW_TO = ROOT / "docs" / "how-to"
pytestmark = [pytest.mark.slow, pytest.mark.trains, pytest.mark.timeout(900)]


@pytest.fixture
def page_runs(tmp_path, monkeypatch):
    """A function that runs a page of a folder, and sees that it makes the pictures that it shows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "models").symlink_to(ROOT / "models")

    def run(page):
        said = run_page(page)
        shown = pictures(page)
        assert shown or page.parent.name != "tutorials", "a tutorial opens with a picture"
        assert all((tmp_path / name).stat().st_size > 1000 and (IMAGES / name).exists() for name in shown)
        return said

    return run


def stand_in_for_mnist(folder):
    """mnist.npz of scikit-learn's digits, three times as large: a page on MNIST can then run anywhere, and soon."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.kron(digits.images, np.ones((3, 3))) * (255 / 16)
    images = np.pad(images, ((0, 0), (2, 2), (2, 2))).astype(np.uint8)
    y = digits.target.astype(np.uint8)
    np.savez(folder / "mnist.npz", x_train=images[:1400], y_train=y[:1400], x_test=images[1400:], y_test=y[1400:])


def test_first_hour(page_runs):
    assert "digits.net" in page_runs(TUTORIALS / "first-hour.md")["tclif inspect digits.net"]


def test_s_mnist(page_runs, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    stand_in_for_mnist(tmp_path / "data")
    monkeypatch.setenv("TCLIF_DATA", str(tmp_path / "data"))
    page_runs(TUTORIALS / "s-mnist.md")


def test_own_recordings(page_runs):
    page_runs(TUTORIALS / "own-recordings.md")


def test_learning_on_the_chip(page_runs):
    page_runs(TUTORIALS / "learning-on-chip.md")


def test_others_network(page_runs):
    page_runs(TUTORIALS / "others-network.md")


@pytest.mark.lava
def test_loihi(page_runs):
    said = page_runs(TUTORIALS / "loihi.md")
    assert "lava-loihi" in next(text for command, text in said.items() if "loihi2" in command)


@pytest.mark.parametrize("name", ["two-resets", "one-trace", "time-in-lava"])
def test_explanations(page_runs, name):
    page_runs(EXPLANATION / f"{name}.md")


@pytest.mark.parametrize("name", ["add-a-neuron", "first-differing-bit", "many-seeds"])
def test_how_to(page_runs, name):
    page_runs(HOW_TO / f"{name}.md")


@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize(("name", "library"), [("lightning", "lightning"), ("onnx", "onnxruntime")])
def test_how_to_with_a_library_of_others(page_runs, name, library):
    pytest.importorskip(library, reason=f"the page is for who has {library}")
    page_runs(HOW_TO / f"{name}.md")


def test_a_net_file_in_c(page_runs):
    if shutil.which("h5cc") is None:
        pytest.skip("there is no h5cc: scripts/test_packages.sh installs HDF5 for C")
    page_runs(HOW_TO / "read-a-net-in-c.md")
