"""Files and models that have no counterpart: every refusal names the file or module, the node, and the value."""

import builtins

import h5py
import nir
import numpy as np
import pytest
import torch

import tclif_neuro as tn

N = 2


def lif(n=N, **values):
    standard = {"tau": 0.001, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    return nir.LIF(**{k: np.full(n, v) if np.ndim(v) == 0 else v for k, v in {**standard, **values}.items()})


def affine(n=N, m=3):
    return nir.Affine(weight=np.ones((n, m)), bias=np.zeros(n))


def chain(*nodes):
    return nir.NIRGraph.from_list(*nodes, type_check=False)


def compartments(**changed):
    """A TC-LIF of ours as a graph, with some nodes changed."""
    nodes = {
        "input": nir.Input(np.array([N])),
        "b": nir.I(r=np.full(N, 1e4)),
        "c": nir.Scale(np.full(N, 0.5)),
        "d": nir.I(r=np.full(N, 1e4)),
        "e": nir.Threshold(np.ones(N)),
        "f": nir.Scale(np.full(N, -0.5)),
        "g": nir.Scale(np.full(N, -1.0)),
        "h": nir.Scale(np.full(N, -0.5)),
        "output": nir.Output(np.array([N])),
    }
    edges = [("input", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "output")]
    edges += [("e", "f"), ("f", "b"), ("e", "g"), ("g", "d"), ("d", "h"), ("h", "b")]
    return nir.NIRGraph(nodes={**nodes, **changed}, edges=edges, type_check=False)


GRAPHS = {
    "CubaLIF": (
        chain(affine(), nir.CubaLIF(*(np.ones(N) for _ in range(5)))),
        r"node cubalif \(CubaLIF\): v_leak and v_reset are not both 0",
    ),
    "Delay": (chain(affine(), nir.Delay(np.ones(N)), lif()), r"nodes delay \(Delay\) have no counterpart"),
    "tau": (chain(affine(), lif(tau=5e-5)), r"node lif \(LIF\): tau 5e-05 s is shorter than dt 0.0001 s"),
    "v_reset": (
        chain(affine(), lif(v_reset=0.25)),
        r"node lif \(LIF\): v_reset 0.25 of neuron 0 is neither 0 nor v_leak",
    ),
    "threshold": (chain(affine(), lif(v_threshold=-1.0)), r"node lif \(LIF\): v_threshold -1 is not above the rest, 0"),
    "NaN": (chain(affine(), lif(r=np.array([1.0, np.nan]))), r"node lif \(LIF\): r contains NaN or infinity"),
    "size": (chain(affine(), lif(n=5)), r"node lif \(LIF\): r has shape \[5\], there are 2 neurons"),
    "rank": (
        chain(nir.Linear(np.ones((2, 2, 2))), lif()),
        r"node linear \(Linear\): weight has shape \[2, 2, 2\]; two dimensions",
    ),
    "columns": (
        chain(affine(), lif(), affine(2, 5), lif()),
        r"node affine_1 \(Affine\): weight has 5 columns, there are 2 inputs",
    ),
    "two weights": (
        chain(affine(), nir.Linear(np.ones((2, 2))), lif()),
        r"node linear \(Linear\): follows affine, where neurons or a readout are expected",
    ),
    "no neurons": (chain(affine()), r"node output \(Output\): follows affine"),
    "LI inside": (
        chain(affine(), nir.LI(*(np.ones(N) for _ in range(3))), affine(2, 2), lif()),
        r"node li \(LI\): leads to affine_1 \(Affine\); that is no neuron that we know",
    ),
    "readout decays": (
        chain(affine(), nir.LI(np.array([0.001, 0.002]), np.ones(N), np.zeros(N))),
        r"node li \(LI\): decays from 0.9 to 0.95; a layer of ours has one",
    ),
    "coupling": (
        chain(affine(), compartments(c=nir.Scale(np.full(N, 1.5)))),
        r"c \(Scale\): b2 1.5 of neuron 0 is outside",
    ),
    "sign": (
        chain(affine(), compartments(h=nir.Scale(np.full(N, 0.5)))),
        r"h \(Scale\): -b1 -0.5 of neuron 0 is outside",
    ),
    "reset": (
        chain(affine(), compartments(g=nir.Scale(np.full(N, -3.0)))),
        r"g \(Scale\): a spike takes 3 from the soma",
    ),
    "thresholds": (
        chain(affine(), compartments(e=nir.Threshold(np.array([1.0, 2.0])))),
        r"e \(Threshold\): threshold from 1 to 2",
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_without_counterpart_is_refused_by_node_and_value(name, tmp_path) -> None:
    graph, words = GRAPHS[name]
    nir.write(tmp_path / "x.nir", graph)
    with pytest.raises(tn.TclifError, match=words) as caught:
        tn.load_nir(tmp_path / "x.nir", dt=1e-4)
    assert str(caught.value).startswith(str(tmp_path / "x.nir"))


def test_an_edge_too_many_and_one_missing_are_named(tmp_path) -> None:
    for change, words in (
        (lambda edges: [*edges, ("h", "e")], r"\): the edge from .*h to .*e is one too many"),
        (lambda edges: [e for e in edges if e != ("h", "b")], r"h \(Scale\): the edge from .*h to .*b is missing"),
    ):
        inner = compartments()
        inner.edges = change(inner.edges)
        nir.write(tmp_path / "x.nir", chain(affine(), inner))
        with pytest.raises(tn.TclifError, match=words):
            tn.load_nir(tmp_path / "x.nir", dt=1e-4)


def test_dt_has_to_be_known(tmp_path) -> None:
    nir.write(tmp_path / "x.nir", chain(affine(), lif()))
    with pytest.raises(tn.TclifError, match=r"does not say how many seconds a step has; give it \(dt=, --dt\)"):
        tn.load_nir(tmp_path / "x.nir")
    for dt in (0.0, -1.0, float("nan")):
        with pytest.raises(tn.TclifError, match="not a positive number of seconds"):
            tn.load_nir(tmp_path / "x.nir", dt=dt)
    nir.write(tmp_path / "x.nir", chain(affine(), lif(r=10.0)))
    with pytest.warns(tn.TclifWarning, match="tau/r is 0.0001 s everywhere"):
        assert tn.load_nir(tmp_path / "x.nir")[1].beta.tolist() == pytest.approx([0.9])
    with pytest.raises(tn.TclifError, match="reset 'none' is none of"):
        tn.load_nir(tmp_path / "x.nir", reset="none")


def test_a_model_that_nir_cannot_say_is_refused_by_module(tmp_path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), tn.AdaptiveTCLIF(3))
    with pytest.raises(tn.TclifError, match=r"module 1 \(AdaptiveTCLIF\): its decays follow a schedule"):
        tn.save_nir(model, tmp_path / "x.nir")
    assert not (tmp_path / "x.nir").exists()
    good = torch.nn.Sequential(torch.nn.Linear(2, 3), tn.LIF(3))
    with pytest.raises(tn.TclifError, match="dt nan is not a positive number"):
        tn.save_nir(good, tmp_path / "x.nir", dt=float("nan"))
    with pytest.raises(tn.TclifError, match="precision 'half' is neither"):
        tn.save_nir(good, tmp_path / "x.nir", precision="half")


def test_without_the_package_the_error_says_what_to_install(tmp_path, monkeypatch) -> None:
    real = builtins.__import__

    def missing(name, *args):
        if name == "nir":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(tn.TclifError, match=r'pip install "tclif-neuro\[nir\]"'):
        tn.save_nir(torch.nn.Sequential(torch.nn.Linear(2, 3), tn.LIF(3)), tmp_path / "x.nir")


def hostile(change):
    def make(path):
        with h5py.File(path, "r+") as file:
            change(file)

    return make


def replace(name, **dataset):
    def change(file):
        del file[name]
        file.create_dataset(name, **dataset)

    return change


WEIGHT = "node/nodes/affine/weight"
HOSTILE = {
    "external link": (
        hostile(lambda f: f.__setitem__("node/nodes/x", h5py.ExternalLink("/etc/passwd", "/"))),
        "is a link",
    ),
    "bomb": (
        hostile(replace(WEIGHT, shape=(2**15, 2**15), dtype="f8", chunks=(64, 64), compression="gzip")),
        "claims 8589934592 bytes",
    ),
    "text for numbers": (hostile(replace(WEIGHT, data="hello")), r"node affine \(Affine\): weight is missing"),
    "unknown type": (hostile(replace("node/nodes/lif/type", data="Program")), r"nodes lif \(Program\)"),
    "control characters": (hostile(replace("node/nodes/lif/type", data="\x1b[2J")), "not printable"),
    "edge to no node": (hostile(replace("node/edges", data=[[b"input", b"nobody"]])), "names nobody, which is no node"),
    "numbers for edges": (hostile(replace("node/edges", data=np.ones((2, 2)))), "edges are pairs of names"),
    "a cycle of groups": (hostile(lambda f: f["node/nodes"].__setitem__("loop", f["node"])), "nested deeper"),
    "no graph": (hostile(lambda f: f.__delitem__("node")), "is not a NIR file"),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:1000]), "is not a whole HDF5 file"),
    "no HDF5": (lambda path: path.write_text("hello"), "is not a whole HDF5 file"),
    "missing": (lambda path: path.unlink(), "cannot be read: No such file"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_damaged_or_hostile_file_is_refused(name, tmp_path) -> None:
    spoil, words = HOSTILE[name]
    path = tmp_path / "x.nir"
    nir.write(path, chain(affine(), lif()))
    spoil(path)
    with pytest.raises(tn.TclifError, match=words):
        tn.load_nir(path, dt=1e-4)
