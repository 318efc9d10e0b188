"""Graphs as other frameworks write them, and the files that they wrote."""

import os
from contextlib import nullcontext
from pathlib import Path

import nir
import numpy as np
import pytest
import torch

import tclif_neuro as tn
from scripts import braille
from tclif_neuro.neurons.trace import trace
from tests.nir import judge

FILES = Path(os.environ.get("TCLIF_DATA", "data")) / "nir"
needs_files = pytest.mark.skipif(not FILES.is_dir(), reason="the NIR paper's files are not in $TCLIF_DATA/nir")
DT = 1e-4


def random_lif(rng, n, **values):
    standard = {"tau": rng.uniform(5e-4, 5e-3, n), "r": rng.uniform(0.5, 2, n), "v_leak": np.zeros(n)}
    return nir.LIF(**{**standard, "v_threshold": rng.uniform(0.05, 0.2, n), **values})


def recurrent(rng, nested, weights):
    """A recurrent LIF, flat or in a graph of its own."""
    n, m = 6, 4
    cell = {"lif": random_lif(rng, n), "rec": weights(rng.normal(0, 0.3, (n, n)))}
    loop = [("lif", "rec"), ("rec", "lif")]
    ends = {"input": nir.Input(np.array([m])), "a": nir.Affine(rng.normal(0, 1, (n, m)), rng.normal(0, 0.1, n))}
    out = {"output": nir.Output(np.array([n]))}
    if not nested:
        edges = [("input", "a"), ("a", "lif"), *loop, ("lif", "output")]
        return nir.NIRGraph({**ends, **cell, **out}, edges, type_check=False)
    inner = nir.NIRGraph(
        {"input": nir.Input(np.array([n])), **cell, **out},
        [("input", "lif"), *loop, ("lif", "output")],
        type_check=False,
    )
    return nir.NIRGraph(
        {**ends, "rnn": inner, **out}, [("input", "a"), ("a", "rnn"), ("rnn", "output")], type_check=False
    )


def same_spikes(path, inputs, **options):
    x = (np.random.default_rng(5).random((200, 4, inputs)) < 0.5) * 1.0
    model = tn.load_nir(path, dt=DT, **options)
    ours = trace(model.double(), torch.from_numpy(x))[-1].spikes.numpy()
    theirs = judge.run(path, x, DT)
    assert ours.any()
    assert (ours == theirs).all()


@pytest.mark.parametrize("nested", [False, True])
def test_a_recurrent_cycle_flat_or_in_a_graph(nested, tmp_path) -> None:
    graph = recurrent(np.random.default_rng(0), nested, nir.Linear)
    nir.write(tmp_path / "x.nir", graph)
    assert tn.load_nir(tmp_path / "x.nir", dt=DT)[1].recurrent is not None
    same_spikes(tmp_path / "x.nir", 4)


def test_a_recurrent_bias_joins_the_inputs_and_that_is_said(tmp_path) -> None:
    rng = np.random.default_rng(0)
    graph = recurrent(rng, False, lambda w: nir.Affine(w, np.full(6, 0.5)))
    nir.write(tmp_path / "x.nir", graph)
    with pytest.warns(tn.TclifWarning, match="node rec: its bias acts from the first step on"):
        model = tn.load_nir(tmp_path / "x.nir", dt=DT)
    node = graph.nodes["lif"]
    gain = node.r * DT / node.tau / np.nextafter(node.v_threshold, np.inf)
    np.testing.assert_allclose(model[0].bias.detach(), (graph.nodes["a"].bias + 0.5) * gain, rtol=1e-12)


def test_leaks_resets_and_neurons_without_weights(tmp_path) -> None:
    rng = np.random.default_rng(1)
    for lif in (
        random_lif(rng, 3),
        random_lif(rng, 3, v_leak=np.full(3, 0.1)),
        nir.IF(r=np.full(3, 900.0), v_threshold=np.array([0.5, 1.0, 2.0])),
    ):
        nir.write(tmp_path / "x.nir", nir.NIRGraph.from_list(lif))
        same_spikes(tmp_path / "x.nir", 3)


def test_a_reset_to_the_leak_is_measured_from_there(tmp_path) -> None:
    """Started at rest: at v_leak, where the neuron is without input."""
    level = np.full(2, -0.65)
    shifted = nir.LIF(np.full(2, 1e-3), np.ones(2), level, level + 0.1, level)
    plain = nir.LIF(np.full(2, 1e-3), np.ones(2), np.zeros(2), np.full(2, 0.1), np.zeros(2))
    for name, node in (("a", shifted), ("b", plain)):
        nir.write(tmp_path / f"{name}.nir", nir.NIRGraph.from_list(node))
    a, b = (tn.load_nir(tmp_path / f"{name}.nir", dt=DT) for name in "ab")
    assert a[1].vth == pytest.approx(b[1].vth)
    assert torch.equal(a[0].bias, b[0].bias)


@pytest.mark.parametrize("reset", ["zero", "delayed", "immediate"])
def test_how_a_lif_is_reset_is_the_callers_to_say(reset, tmp_path) -> None:
    nir.write(tmp_path / "x.nir", nir.NIRGraph.from_list(random_lif(np.random.default_rng(0), 2)))
    assert tn.load_nir(tmp_path / "x.nir", dt=DT, reset=reset)[1].reset == reset


def test_a_loaded_network_becomes_integers(tmp_path) -> None:
    nir.write(tmp_path / "x.nir", recurrent(np.random.default_rng(0), True, nir.Linear))
    model = tn.load_nir(tmp_path / "x.nir", dt=DT, reset="delayed")
    x = torch.from_numpy((np.random.default_rng(5).random((50, 4, 4)) < 0.5) * 1.0)
    assert tn.simulate(tn.quantize(model, x), x.numpy()).logits.any()


@needs_files
@pytest.mark.parametrize("name", ["lif_norse.nir", "lif_rockpool.nir"])
def test_the_papers_lif_networks(name) -> None:
    linear, lif = tn.load_nir(FILES / name, dt=DT)
    assert lif.beta.tolist() == pytest.approx([0.96])
    assert lif.vth == np.nextafter(np.float32(0.1), np.float32(np.inf))
    weight = {"lif_norse.nir": 1.0 * 0.04, "lif_rockpool.nir": 0.04 * 24.019737 * 0.04}[name]
    assert linear.weight.item() == pytest.approx(weight, rel=1e-6)


@needs_files
def test_the_papers_two_lif_neurons_with_a_leak() -> None:
    path = FILES / "two_lif_neurons.nir"
    model = tn.load_nir(path, dt=DT)
    x = np.ones((3000, 1, 1)) * np.linspace(0, 2, 3000)[:, None, None]
    first = trace(model, torch.from_numpy(x))[0].spikes.numpy()
    assert first.any()
    assert model[0].bias.item() == pytest.approx(0.012)
    assert (trace(model, torch.from_numpy(x))[1].spikes.numpy() == judge.run(path, x, DT)).all()


@needs_files
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cnn_sinabs.nir", r"nodes 0 \(Conv2d\), 2 \(Conv2d\), 4 \(SumPool2d\), .* have no counterpart here"),
    ],
)
def test_the_papers_other_networks_are_refused_by_node(name, words) -> None:
    with pytest.raises(tn.TclifError, match=words):
        tn.load_nir(FILES / name, dt=DT)


@needs_files
@pytest.mark.parametrize(
    ("name", "reset", "decays"),
    [
        ("braille_noDelay_bias_zero.nir", "zero", (0.55, 0.9, 0.5, 0.55)),
        ("braille_noDelay_noBias_subtract.nir", "immediate", (0.75, 0.85, 0.45, 0.7)),
    ],
)
def test_the_papers_braille_networks(name, reset, decays) -> None:
    """Two layers of neurons whose current has a memory, the first one recurrent."""
    with (
        pytest.warns(tn.TclifWarning, match="its bias acts from the first step on")
        if reset == "zero"
        else nullcontext()
    ):
        model = tn.load_nir(FILES / name, dt=DT, reset=reset)
    first, second = model[1], model[3]
    assert isinstance(first, tn.CUBALIF) and first.recurrent is not None and second.recurrent is None
    found = [c.item() for layer in (first, second) for c in layer.coefficients(1)[:2]]
    assert found == pytest.approx(decays, rel=1e-6)
    x = torch.from_numpy((np.random.default_rng(5).random((40, 3, 12)) < 0.3) * 1.0)
    assert model(x).any()


@needs_files
@pytest.mark.slow
def test_the_papers_recordings_are_what_the_braille_network_computes_from_some_input() -> None:
    net = braille.hidden(braille.network())
    for platform, spikes in braille.recordings().items():
        assert braille.missing(net, spikes[:48]) < 1e-6, platform
        assert braille.missing(net, spikes[:48], late=True) > 0.05, platform
