"""What docs/loihi.md says of cores is what the placement counts."""

import os
import re
from pathlib import Path

import pytest

import tclif_neuro as tn
from tclif_neuro.cli.commands.loihi import choose_path
from tclif_neuro.loihi.limits import find_board
from tclif_neuro.loihi.mapper import place

DATA = Path(os.environ.get("TCLIF_DATA", "no such folder"))
ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"\| `([\w-]+\.net)`(, lava-dl's)? \| (lif|stock|microcode) \| (\d+) \|")
ROWS = ROW.findall((ROOT / "docs" / "loihi.md").read_text())


def test_every_model_has_a_row() -> None:
    ours = {name for name, theirs, _, _ in ROWS if not theirs}
    assert ours == {path.name for path in (ROOT / "models").glob("*.net")}


@pytest.mark.parametrize(("name", "theirs", "path", "cores"), ROWS)
def test_the_cores_of_a_network(name: str, theirs: str, path: str, cores: str) -> None:
    file = (DATA / "netx" if theirs else ROOT / "models") / name
    if theirs and not file.exists():
        pytest.skip(f"set TCLIF_DATA to a folder with netx/{name}")
    net = tn.load(file)
    assert choose_path(net, "auto") == path
    found = place(net, find_board("oheogulch"), path)
    assert found.fits and found.cores == int(cores)
