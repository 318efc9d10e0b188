"""A file of ours, run by others: the judge in plain NumPy, nirtorch, snnTorch. Spikes are compared with `==`."""

import contextlib
import io

import numpy as np
import pytest
import torch

import tclif_neuro as tn
from tclif_neuro.neurons.trace import trace
from tclif_neuro.quantization.stages import canonical, parse
from tests.nir import judge

INPUTS, NEURONS, STEPS, BATCH = 12, 24, 50, 16
JUDGES = {"numpy": judge.run, "nirtorch": judge.run_nirtorch}

KINDS = {
    "tclif": lambda **kw: tn.TCLIF(NEURONS, per_neuron=True, **kw),
    "relaxed": lambda **kw: tn.RelaxedTCLIF(NEURONS, per_neuron=True, **kw),
    "lif": lambda **kw: tn.LIF(NEURONS, **kw),
    "if": lambda **kw: tn.LIF(NEURONS, beta=1.0, **kw),
}
RESETS = {"tclif": ("delayed", "immediate"), "relaxed": ("delayed", "immediate")}
CASES = [
    (kind, reset, recurrent)
    for kind in KINDS
    for reset in RESETS.get(kind, ("zero", "delayed", "immediate"))
    for recurrent in (False, True)
]


def layer(kind, reset, recurrent, generator):
    neuron = KINDS[kind](reset=reset, recurrent=recurrent)
    linear = torch.nn.Linear(INPUTS, NEURONS)
    with torch.no_grad():
        linear.weight.normal_(0, 0.4, generator=generator)
        linear.bias.normal_(0, 0.02, generator=generator)
        for name, parameter in neuron.named_parameters():
            spread = 0.1 if name == "recurrent.weight" else 0.5
            parameter.add_(spread * torch.randn(parameter.shape, generator=generator))
        if recurrent:
            neuron.recurrent.weight.normal_(0, 0.1, generator=generator)
    return torch.nn.Sequential(linear, neuron)


def spikes_of(model, x):
    return trace(canonical(parse(model)), torch.from_numpy(x))[-1].spikes.numpy()


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(1)


@pytest.fixture
def x():
    return (np.random.default_rng(2).random((STEPS, BATCH, INPUTS)) < 0.2) * 1.0


@pytest.mark.parametrize("name", JUDGES)
def test_spikes_are_those_of_a_second_interpreter(name, tmp_path, generator, x) -> None:
    """All kinds of layers through files; more than 30,000 spikes, none of which differs."""
    if name == "nirtorch":
        pytest.importorskip("nirtorch", reason="nirtorch is the second interpreter: pip install nirtorch")
    total = 0
    for case in CASES:
        model = layer(*case, generator)
        tn.save_nir(model, tmp_path / "layer.nir")
        expected = spikes_of(model, x)
        assert (JUDGES[name](tmp_path / "layer.nir", x) == expected).all(), case
        assert expected.any(), case
        total += int(expected.sum())
    assert total >= 30_000


@pytest.mark.parametrize("case", CASES, ids=str)
def test_spikes_are_the_same_once_loaded(case, tmp_path, generator, x) -> None:
    model = layer(*case, generator)
    tn.save_nir(model, tmp_path / "layer.nir")
    assert (spikes_of(tn.load_nir(tmp_path / "layer.nir"), x) == spikes_of(model, x)).all()


@pytest.mark.parametrize("name", JUDGES)
def test_a_network_with_a_readout_gives_its_potentials(name, tmp_path, generator, x) -> None:
    if name == "nirtorch":
        pytest.importorskip("nirtorch", reason="nirtorch is the second interpreter: pip install nirtorch")
    model = torch.nn.Sequential(
        *layer("tclif", "delayed", False, generator),
        torch.nn.Linear(NEURONS, NEURONS),
        tn.RelaxedTCLIF(NEURONS, recurrent=True, reset="immediate"),
        tn.Readout(NEURONS, 5, decay=0.9),
    )
    tn.save_nir(model, tmp_path / "net.nir")
    potentials = JUDGES[name](tmp_path / "net.nir", x)[-1]
    with torch.no_grad():
        expected = canonical(parse(model))(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(potentials, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("recurrent", [False, True])
def test_snntorch_runs_an_exported_lif_to_the_same_spikes(recurrent, tmp_path, generator, x) -> None:
    import nir
    from snntorch.import_nir import import_from_nir

    model = layer("lif", "zero", recurrent, generator)
    tn.save_nir(model, tmp_path / "lif.nir", precision="float32")
    with contextlib.redirect_stdout(io.StringIO()):
        other = import_from_nir(nir.read(tmp_path / "lif.nir"))
    state, out = None, []
    for row in torch.from_numpy(x).float():
        result = other(row, state)
        z, state = result if isinstance(result, tuple) else (result, state)
        out.append(z.detach().numpy())
    expected = spikes_of(model, x)
    assert expected.sum() > 1000
    assert (np.array(out) == expected).all()


def test_a_potential_at_the_threshold_spikes_as_ours_does(tmp_path) -> None:
    """`>=` by `>`: with weights of 1/4 the potential meets the threshold exactly, in either precision of the file."""
    model = torch.nn.Sequential(torch.nn.Linear(1, 1), tn.LIF(1, beta=1.0, reset="zero"))
    with torch.no_grad():
        model[0].weight.fill_(0.25)
        model[0].bias.zero_()
    x = np.ones((8, 1, 1))
    for precision in ("float32", "float64"):
        tn.save_nir(model, tmp_path / "at.nir", dt=2.0**-13, precision=precision)
        out = judge.run(tmp_path / "at.nir", x, dt=2.0**-13)
        assert out.ravel().tolist() == [0, 0, 0, 1, 0, 0, 0, 1]
        assert (spikes_of(tn.load_nir(tmp_path / "at.nir"), x) == out).all()
