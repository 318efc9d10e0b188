"""Vectors through a file; a verdict that tells hypotheses apart; files that are damaged, hostile or of another kind."""

import h5py
import numpy as np
import pytest

from tclif_neuro.loihi.conformance import ConformanceError, read_result, verdict, write_vectors
from tclif_neuro.loihi.hypotheses import TCLIF
from tclif_neuro.loihi.vectors import all_vectors, network_vector
from tests.loihi.nets import lif, network, spikes
from tests.loihi.nets import tclif as tclif_layer

VECTORS = all_vectors()
GROUPS = {"hop", "shift", "graded", "lif", "sigma", "stock", "tclif"}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "vectors.h5"
    write_vectors(path, VECTORS)
    return path


def answer(path, **answers):
    """Add answers, as run_vectors.py does."""
    with h5py.File(path, "r+") as file:
        for name in file["vector"]:
            got = answers.get(name.replace("-", "_"), file[f"vector/{name}/expect/lava"][()])
            file.create_dataset(f"vector/{name}/got", data=got)
        for key in ("backend", "versions", "chip", "date"):
            file.create_dataset(f"result/{key}", data=np.bytes_(f"some {key}"))


def test_vectors_are_the_same_every_time_and_cover_every_group(tmp_path, file):
    write_vectors(tmp_path / "again.h5", all_vectors())
    assert (tmp_path / "again.h5").read_bytes() == file.read_bytes()
    assert {v.name.split("-")[0].rstrip("3") for v in VECTORS} == GROUPS
    assert sum(len(v.expect) > 1 for v in VECTORS) >= 18
    assert all(np.abs(v.expect["lava"]).any() for v in VECTORS)


def test_every_vector_of_tclif_spikes_and_tells_hypotheses_apart():
    tclif = {v.name: v for v in VECTORS if v.name.startswith("tclif-")}
    assert len(tclif) == 9
    for vector in tclif.values():
        assert 0 < vector.expect["lava"].sum() < vector.expect["lava"].size, vector.name
        assert len(vector.expect) >= 2, vector.name
    assert {name for v in tclif.values() for name in v.expect} == {*TCLIF, "a-step-later"}
    assert all("wrap24" in tclif[f"tclif-saturating-{reset}"].expect for reset in ("delayed", "immediate"))
    assert "down" in tclif["tclif-rounding"].expect and "greater" in tclif["tclif-equal"].expect


def test_a_network_is_a_vector_of_its_own(tmp_path):
    rng = np.random.default_rng(1)
    net = network(tclif_layer(rng, 6, 8), lif(rng, 8, 3, readout=True))
    vector = network_vector("mine", net, spikes(rng, 30, 1, 6, rate=0.4)[:, 0])
    assert vector.observe == "0.F" and vector.expect["lava"].any() and len(vector.expect) >= 2
    write_vectors(tmp_path / "v.h5", [vector])
    answer(tmp_path / "v.h5")
    assert [(v.vector, v.equal) for v in verdict(read_result(tmp_path / "v.h5"))] == [("net-mine", "lava")]


def test_what_lava_gives_is_equal_to_lava(file):
    answer(file)
    result = read_result(file)
    assert result.facts["chip"] == "some chip"
    assert [v.equal for v in verdict(result)] == ["lava"] * len(VECTORS)


def test_another_hypothesis_and_the_first_difference_from_the_nearest(file):
    by_name = {v.name: v for v in VECTORS}
    late = by_name["hop-sparse"].expect["two-steps"]
    odd = by_name["sigma-overflow"].expect["saturate24"].copy()
    odd[9, 1] += 5
    answer(file, hop_sparse=late, sigma_overflow=odd)
    found = {v.vector: v for v in verdict(read_result(file))}
    assert found["hop-sparse"].equal == "two-steps"
    v = found["sigma-overflow"]
    assert (v.equal, v.nearest, v.step, v.neuron, v.found - v.expected) == ("", "saturate24", 9, 1, 5)
    assert found["hop-dense"].equal == "lava"


def test_errors_and_wrong_shapes_are_said(file):
    answer(file, hop_dense=np.zeros((2, 2), np.int32))
    with h5py.File(file, "r+") as open_file:
        del open_file["vector/lif-wrap/got"]
        open_file["vector/lif-wrap/error"] = np.bytes_("Lava said \x1b[2J no")
    found = {v.vector: v for v in verdict(read_result(file))}
    assert "shape" in found["hop-dense"].error
    assert found["lif-wrap"].error.startswith("Lava said") and "\x1b" not in found["lif-wrap"].error


def test_files_that_are_not_what_was_written(tmp_path, file):
    answer(file)
    good = file.read_bytes()

    def changed(change):
        file.write_bytes(good)
        with h5py.File(file, "r+") as open_file:
            change(open_file)

    def replace_with(name, value):
        def change(open_file):
            del open_file[name]
            open_file[name] = value

        return change

    changes = [
        replace_with("vector/hop-dense/input", np.ones((3, 2), np.int32)),
        replace_with("vector/hop-dense/graph", np.bytes_("{}")),
        replace_with("vector/hop-dense/got", np.ones((14, 2))),
        replace_with("result/chip", np.arange(3)),
        lambda f: f.attrs.modify("format", np.bytes_("tclif")),
        lambda f: f.__delitem__("vector"),
        lambda f: f.__setitem__("vector/hop-dense/got2", h5py.ExternalLink("/etc/passwd", "x")),
    ]
    for change in changes:
        changed(change)
        with pytest.raises(ConformanceError, match=r"vectors\.h5"):
            read_result(file)
    for data in (b"", good[: len(good) // 2], b"PK\x03\x04" + good):
        file.write_bytes(data)
        with pytest.raises(ConformanceError):
            read_result(file)
